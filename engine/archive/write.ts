/** A regular file of an archive. */
export interface ArchiveEntry {
  /** At most 100 bytes of ASCII. */
  readonly name: string;
  readonly size: number;
  /** Exactly `size` bytes. */
  readonly content: AsyncIterable<Uint8Array> | Uint8Array;
}

const BLOCK = 512;
/** The largest number that eleven octal digits hold. */
const MAX_OCTAL = 0o77777777777;

/** A tar of some files, piece by piece. Nothing in it depends on the clock or the user. */
export async function* writeTar(entries: Iterable<ArchiveEntry>): AsyncGenerator<Uint8Array> {
  for (const { name, size, content } of entries) {
    yield header(name, size);
    let written = 0;
    for await (const chunk of content instanceof Uint8Array ? [content] : content) {
      written += chunk.length;
      yield chunk;
    }
    if (written !== size) throw new Error(`${name} has ${written} bytes, and ${size} were announced`);
    if (size % BLOCK > 0) yield Buffer.alloc(BLOCK - (size % BLOCK));
  }
  yield Buffer.alloc(2 * BLOCK);
}

/** A ustar header (POSIX.1-1988); a size that octal digits cannot hold is written in GNU's base 256. */
function header(name: string, size: number): Uint8Array {
  const block = Buffer.alloc(BLOCK);
  block.write(name, 0, 100, 'utf8');
  block.write('0000644\0', 100);
  block.write('0000000\0', 108);
  block.write('0000000\0', 116);
  if (size <= MAX_OCTAL) block.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
  else {
    block[124] = 0x80;
    block.writeBigUInt64BE(BigInt(size), 128);
  }
  block.write('00000000000\0', 136);
  block.write('        0', 148);
  block.write('ustar\x0000', 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}
