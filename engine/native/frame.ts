import { FRAME, MAX_FRAME } from './protocol.ts';

/** Bytes of a frame's head: kind and big-endian length (native/wire, frame). */
const HEAD = 5;

/** A frame as it came from the helper. */
export interface Frame {
  readonly kind: number;
  readonly payload: Buffer;
}

/** Head and payload of one frame. @throws `RangeError` when the payload is over the protocol's limit */
export function encodeFrame(kind: number, payload: Uint8Array): Buffer {
  if (payload.length > MAX_FRAME) {
    throw new RangeError(`Cannot frame ${payload.length} bytes: the limit is ${MAX_FRAME}`);
  }
  const frame = Buffer.allocUnsafe(HEAD + payload.length);
  frame.writeUInt8(kind, 0);
  frame.writeUInt32BE(payload.length, 1);
  frame.set(payload, HEAD);
  return frame;
}

/** The data frames for `chunk`, split where it is over the limit of one frame; none for an empty chunk. */
export function* dataFrames(chunk: Uint8Array): Generator<Buffer> {
  for (let at = 0; at < chunk.length; at += MAX_FRAME) {
    yield encodeFrame(FRAME.data, chunk.subarray(at, at + MAX_FRAME));
  }
}

/** The frame of a secret: the length of its id in two bytes, id, value. @throws `RangeError` when either is too long */
export function secretFrame({ id, value }: { readonly id: string; readonly value: Uint8Array }): Buffer {
  const name = Buffer.from(id);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(name.length);
  return encodeFrame(FRAME.secret, Buffer.concat([length, name, value]));
}

/**
 * Frames of a byte stream, whatever the sizes of its chunks. A stream that ends inside a frame ends the iteration: the helper has died, and
 * its exit status says so better.
 *
 * @throws `RangeError` when a head announces more than the protocol's limit
 */
export async function* readFrames(source: AsyncIterable<Uint8Array>): AsyncGenerator<Frame> {
  const pending = new Pending();
  for await (const chunk of source) {
    pending.push(chunk);
    for (let frame = nextFrame(pending); frame; frame = nextFrame(pending)) yield frame;
  }
}

function nextFrame(pending: Pending): Frame | undefined {
  const head = pending.peek(HEAD);
  if (!head) return undefined;
  const length = head.readUInt32BE(1);
  if (length > MAX_FRAME) throw new RangeError(`Cannot read a frame of ${length} bytes: the limit is ${MAX_FRAME}`);
  const whole = pending.take(HEAD + length);
  return whole && { kind: whole.readUInt8(0), payload: whole.subarray(HEAD) };
}

/** Chunks that wait for the rest of their frame; joined only when a frame is whole, so that large frames stay linear. */
class Pending {
  #chunks: Uint8Array[] = [];
  #length = 0;

  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  }

  /** The first `size` bytes without taking them; undefined when there are fewer. */
  peek(size: number): Buffer | undefined {
    if (this.#length < size) return undefined;
    const first = this.#chunks[0];
    if (first && first.length >= size) return Buffer.from(first.buffer, first.byteOffset, size);
    const joined = this.#join();
    return joined.subarray(0, size);
  }

  take(size: number): Buffer | undefined {
    if (this.#length < size) return undefined;
    const joined = this.#join();
    this.#chunks = joined.length > size ? [joined.subarray(size)] : [];
    this.#length -= size;
    return joined.subarray(0, size);
  }

  #join(): Buffer {
    const [only] = this.#chunks;
    if (this.#chunks.length === 1 && only) return Buffer.from(only.buffer, only.byteOffset, only.length);
    const joined = Buffer.concat(this.#chunks);
    this.#chunks = [joined];
    return joined;
  }
}
