import { closeSync, openSync, readSync } from 'node:fs';

/** No file of flags, variables or rules comes near it. */
const LARGEST = 16 * 1024 * 1024;

/** A file that a flag names, which may also be a pipe (`<(…)`): read to its end, and no further than such a file goes. @throws the error of the disk */
export function readSmallFile(path: string): Buffer {
  const file = openSync(path, 'r');
  try {
    const chunks: Buffer[] = [];
    let size = 0;
    for (;;) {
      const chunk = Buffer.alloc(65_536);
      const count = readSync(file, chunk);
      if (count === 0) return Buffer.concat(chunks);
      chunks.push(chunk.subarray(0, count));
      size += count;
      if (size > LARGEST) throw new Error(`open ${path}: it is over the limit of ${LARGEST} bytes`);
    }
  } finally {
    closeSync(file);
  }
}
