import { EngineError } from '../base/errors.ts';
import type { Descriptor } from '../image/types.ts';

/** Reads a source piece by piece. A piece that follows the last one goes on reading; any other opens the source again and skips. */
export interface ChunkReader {
  /** Exactly `length` bytes from `offset`. @throws `CONTENT_MISMATCH` when the source is shorter than its descriptor says */
  read(offset: number, length: number): AsyncGenerator<Uint8Array>;
  close(): Promise<void>;
}

interface Position {
  readonly iterator: AsyncIterator<Uint8Array>;
  offset: number;
  rest: Uint8Array;
  isBusy: boolean;
}

const NOTHING = new Uint8Array(0);

export function createChunkReader(descriptor: Descriptor, open: () => AsyncIterable<Uint8Array>): ChunkReader {
  let position: Position | undefined;

  const at = async (offset: number): Promise<Position> => {
    if (position?.offset === offset && !position.isBusy) return position;
    await close();
    position = { iterator: open()[Symbol.asyncIterator](), offset: 0, rest: NOTHING, isBusy: false };
    const fresh = position;
    while (fresh.offset < offset) await advance(fresh, offset - fresh.offset, descriptor);
    return fresh;
  };
  const read = async function* (offset: number, length: number): AsyncGenerator<Uint8Array> {
    const own = await at(offset);
    own.isBusy = true;
    while (own.offset < offset + length) yield await advance(own, offset + length - own.offset, descriptor);
    own.isBusy = false;
  };
  const close = async (): Promise<void> => {
    const old = position;
    position = undefined;
    // A source that is in the middle of a read ends by itself; waiting for it could take for ever.
    void old?.iterator.return?.().catch(() => undefined);
  };
  return { read, close };
}

/** The next bytes, at most `limit` of them. */
async function advance(position: Position, limit: number, { digest, size }: Descriptor): Promise<Uint8Array> {
  while (position.rest.length === 0) {
    const next = await position.iterator.next();
    if (next.done === true)
      throw new EngineError(
        'CONTENT_MISMATCH',
        `Cannot read ${digest}: its source ended after ${position.offset} of ${size} bytes`,
      );
    position.rest = next.value;
  }
  const chunk = position.rest.subarray(0, limit);
  position.rest = position.rest.subarray(chunk.length);
  position.offset += chunk.length;
  return chunk;
}
