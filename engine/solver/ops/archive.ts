import { open } from 'node:fs/promises';
import { createGunzip } from 'node:zlib';
import { EngineError } from '../../base/errors.ts';
import type { Context, Selected } from '../../context/index.ts';
import type { Vertex } from '../../graph/types.ts';

/** Bytes read of a file to know what it is: a tar's first header, or enough packed bytes to hold one. */
const HEAD = 4096;
const TAR_HEADER = 512;

/**
 * ADD unpacks local archives by what they are, not by their names. Unpacking is not built yet, so an archive is refused by name rather than
 * copied as it is; a packed file that holds no archive is copied, as Docker does.
 *
 * @throws `ADD_ARCHIVE_UNSUPPORTED` naming the file
 */
export async function refuseArchives(context: Context, vertex: Vertex, selected: readonly Selected[]): Promise<void> {
  for (const { entry } of selected) {
    if (entry.type !== 'file') continue;
    const kind = await kindOf(context.pathOf(entry));
    if (kind === undefined) continue;
    throw new EngineError(
      'ADD_ARCHIVE_UNSUPPORTED',
      `Cannot unpack ${entry.path.toString('utf8')} as ${vertex.name} asks: ADD of ${kind} is not built yet`,
      { hint: 'Use COPY, and unpack it in a RUN', location: vertex.location, vertex: vertex.id },
    );
  }
}

async function kindOf(path: Buffer): Promise<string | undefined> {
  const head = await readHead(path);
  if (isTar(head)) return 'a tar archive';
  if (head[0] === 0x1f && head[1] === 0x8b)
    return isTar(await inflateHead(head)) ? 'a tar archive packed with gzip' : undefined;
  const magic = head.toString('latin1', 0, 6);
  // Whether a tar is inside cannot be seen without the codec; a file of these kinds is one nearly always.
  if (magic.startsWith('BZh')) return 'a file packed with bzip2';
  if (magic === '\xfd7zXZ\0') return 'a file packed with xz';
  return undefined;
}

async function readHead(path: Buffer): Promise<Buffer> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD), 0, HEAD, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** The first bytes inside a gzip file whose beginning this is. A broken one gives none. */
async function inflateHead(packed: Buffer): Promise<Buffer> {
  const gunzip = createGunzip();
  gunzip.end(packed);
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of gunzip) {
      chunks.push(chunk as Buffer);
      if (chunks.reduce((sum, { length }) => sum + length, 0) >= TAR_HEADER) break;
    }
  } catch {
    // The end of the beginning: what came out until here is what counts.
  }
  return Buffer.concat(chunks);
}

/** A header block whose checksum is right (POSIX.1-1988 ustar, and the older format that has no magic). */
function isTar(block: Buffer): boolean {
  if (block.length < TAR_HEADER) return false;
  const header = block.subarray(0, TAR_HEADER);
  const stored = parseInt(
    header
      .toString('latin1', 148, 156)
      .replace(/[\0 ]+$/, '')
      .trim(),
    8,
  );
  const sum = header.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 0x20 : byte), 0);
  return header[0] !== 0 && stored === sum;
}
