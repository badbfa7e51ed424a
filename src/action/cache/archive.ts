import { Readable, Transform, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import * as zlib from 'node:zlib';
import { extract } from 'tar-stream';
import { EngineError } from '../../../engine/index.ts';

/** A file of an archive, with the bytes that its header promises. */
export interface ArchiveFile {
  /** Name below the archive's folder. */
  readonly name: string;
  readonly size: number;
  readonly body: AsyncIterable<Uint8Array>;
}

/** What an archive may hold. */
export interface Expected {
  /** Folder that everything lies in. */
  readonly path: string;
  /** Largest size of each file that may be there. */
  readonly files: ReadonlyMap<string, number>;
}

/** Headers, padding and extended attributes around the files, in bytes. */
const OVERHEAD = 1024 * 1024;
/** Header, extended header and padding of one file. */
const PER_FILE = 4096;
const ZSTD = [0x28, 0xb5, 0x2f, 0xfd];
const GZIP = [0x1f, 0x8b];

/**
 * Files of a cache archive, one after the other; the caller reads each body before it asks for the next file.
 *
 * Nothing is unpacked to a path: an archive from a cache may name any (the toolkit unpacks with `tar -P`). Names that are not expected, links,
 * devices, too many bytes and a second copy of a file end the reading.
 *
 * @throws `CACHE_ARCHIVE` saying what is wrong; what `source` throws
 */
export async function* readArchive(
  source: AsyncIterable<Uint8Array>,
  expected: Expected,
): AsyncGenerator<ArchiveFile, void, undefined> {
  const { first, rest, close } = await peek(source);
  const budget = createBudget();
  const tar = extract();
  const inflate = decompressor(first);
  if (inflate instanceof EngineError) {
    await close();
    throw inflate;
  }
  const done = pipeline(Readable.from(rest), inflate, budget.stream, tar);
  // Reported where the files are read; without this a failure before the first file would be unhandled.
  done.catch(() => undefined);
  const seen = new Set<string>();
  try {
    for await (const entry of tar) {
      const { name, type, size = 0 } = entry.header;
      const file = type === 'file' ? fileName(name, expected) : undefined;
      if (type === 'directory' && size === 0 && isFolder(name, expected)) {
        entry.resume();
        continue;
      }
      if (file === undefined || seen.has(file)) throw bad(`it holds ${JSON.stringify(name.slice(0, 200))} (${type})`);
      if (size > (expected.files.get(file) ?? 0)) throw bad(`${file} has ${size} bytes`);
      seen.add(file);
      budget.allow(size + PER_FILE);
      yield { name: file, size, body: entry as AsyncIterable<Uint8Array> };
    }
    await done;
  } catch (error) {
    throw budget.fault() ?? asFault(error);
  } finally {
    tar.destroy();
    await done.catch(() => undefined);
  }
}

function fileName(name: string, { path, files }: Expected): string | undefined {
  const file = name.startsWith(`${path}/`) ? name.slice(path.length + 1) : '';
  return files.has(file) ? file : undefined;
}

function isFolder(name: string, { path }: Expected): boolean {
  return name === path || name === `${path}/`;
}

/** The first bytes, and all of them again. */
async function peek(source: AsyncIterable<Uint8Array>): Promise<{
  readonly first: Uint8Array;
  readonly rest: AsyncIterable<Uint8Array>;
  readonly close: () => Promise<unknown>;
}> {
  const iterator = source[Symbol.asyncIterator]();
  const head: Uint8Array[] = [];
  let size = 0;
  while (size < ZSTD.length) {
    const next = await iterator.next();
    if (next.done) break;
    head.push(next.value);
    size += next.value.length;
  }
  const first = Buffer.concat(head);
  const rest = async function* (): AsyncGenerator<Uint8Array> {
    try {
      yield first;
      for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
    } finally {
      await iterator.return?.();
    }
  };
  return { first, rest: rest(), close: async () => iterator.return?.() };
}

function decompressor(first: Uint8Array): Transform | EngineError {
  if (startsWith(first, GZIP)) return zlib.createGunzip();
  if (!startsWith(first, ZSTD)) return bad('it is neither zstd nor gzip');
  // Node 20 has no zstd; the Action itself runs on 24.
  if (typeof zlib.createZstdDecompress !== 'function') return bad(`Node ${process.version} cannot read zstd`);
  return zlib.createZstdDecompress();
}

function startsWith(bytes: Uint8Array, magic: readonly number[]): boolean {
  return magic.every((byte, at) => bytes[at] === byte);
}

/**
 * Lets through what the headers seen so far allow, and a little more. The tar reader keeps extended headers in memory, so that a header that
 * promises gigabytes has to be stopped before it.
 */
function createBudget(): {
  readonly stream: Transform;
  allow(bytes: number): void;
  fault(): EngineError | undefined;
} {
  let left = OVERHEAD;
  let fault: EngineError | undefined;
  const stream = new Transform({
    transform(chunk: Uint8Array, _encoding, done: TransformCallback) {
      left -= chunk.length;
      // Bytes run ahead of the headers by what the streams between them hold.
      if (left < 0) fault = bad('it holds more bytes than its files');
      if (fault) done(fault);
      else done(null, chunk);
    },
  });
  return { stream, allow: (bytes) => void (left += bytes), fault: () => fault };
}

function bad(why: string): EngineError {
  return new EngineError('CACHE_ARCHIVE', `Cannot read a cache archive: ${why}`);
}

function asFault(error: unknown): unknown {
  if (error instanceof EngineError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new EngineError('CACHE_ARCHIVE', `Cannot read a cache archive: ${message}`, { cause: error });
}
