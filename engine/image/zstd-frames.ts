import { EngineError } from '../base/errors.ts';

const MAGIC = 0xfd2fb528;
/** With any lower four bits: a frame that holds no content, as zstd:chunked has for its table. */
const SKIPPABLE = 0x184d2a50;

/**
 * The frames of a zstd file that hold content, one after the other (RFC 8878, 3.1): a decoder of Node's ends with the first one, and a layer may have
 * thousands. Each is to be read to its end before the next is asked for.
 *
 * @throws `ARCHIVE_INVALID` for bytes that are no frame, while they are read
 */
export async function* zstdFrames(
  source: AsyncIterable<Uint8Array>,
  what: string,
): AsyncGenerator<AsyncIterable<Uint8Array>> {
  const input = createReader(source, what);
  try {
    while (!(await input.isAtEnd())) {
      const magic = await input.take(4);
      const word = magic.readUInt32LE();
      if ((word & 0xfffffff0) >>> 0 === SKIPPABLE) await input.skip((await input.take(4)).readUInt32LE());
      else if (word === MAGIC) yield frame(magic, input);
      else throw damaged(what, 'they are no zstd frame');
    }
  } finally {
    await input.close();
  }
}

async function* frame(magic: Buffer, input: Reader): AsyncGenerator<Uint8Array> {
  const head = await input.take(1);
  const flags = head.readUInt8();
  yield magic;
  yield head;
  yield await input.take(headerSize(flags));
  for (let isLast = false; !isLast;) {
    const block = await input.take(3);
    const bits = block.readUIntLE(0, 3);
    isLast = (bits & 1) === 1;
    yield block;
    // One byte stands for all of a block of equal ones.
    yield await input.take(((bits >> 1) & 3) === 1 ? 1 : bits >> 3);
  }
  if (flags & 0x04) yield await input.take(4);
}

/** Bytes of a frame's header after its first: the window, the dictionary's id and the size of the content. */
function headerSize(flags: number): number {
  const isSingle = (flags & 0x20) !== 0;
  const dictionary = [0, 1, 2, 4][flags & 3] ?? 0;
  const content = [isSingle ? 1 : 0, 2, 4, 8][flags >> 6] ?? 0;
  return (isSingle ? 0 : 1) + dictionary + content;
}

/** Takes so many bytes at a time of a stream. A block has no more than 2 MiB by its header. */
interface Reader {
  readonly isAtEnd: () => Promise<boolean>;
  readonly take: (size: number) => Promise<Buffer>;
  readonly skip: (size: number) => Promise<void>;
  readonly close: () => Promise<void>;
}

function createReader(source: AsyncIterable<Uint8Array>, what: string): Reader {
  const chunks = source[Symbol.asyncIterator]();
  let rest: Buffer = Buffer.alloc(0);
  const more = async (): Promise<boolean> => {
    while (rest.length === 0) {
      const next = await chunks.next();
      if (next.done) return false;
      const { buffer, byteOffset, byteLength } = next.value;
      rest = Buffer.from(buffer, byteOffset, byteLength);
    }
    return true;
  };
  const some = async (most: number): Promise<Buffer> => {
    if (!(await more())) throw damaged(what, 'they end within a zstd frame');
    const taken = rest.subarray(0, most);
    rest = rest.subarray(taken.length);
    return taken;
  };
  return {
    isAtEnd: async () => !(await more()),
    take: async (size) => {
      const parts: Buffer[] = [];
      for (let left = size; left > 0;) {
        const part = await some(left);
        parts.push(part);
        left -= part.length;
      }
      return parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts);
    },
    skip: async (size) => {
      for (let left = size; left > 0;) left -= (await some(left)).length;
    },
    close: async () => void (await chunks.return?.()),
  };
}

function damaged(what: string, why: string): EngineError {
  return new EngineError('ARCHIVE_INVALID', `Cannot unpack ${what}: its compressed bytes are damaged (${why})`);
}
