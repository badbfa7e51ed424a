import { posix } from 'node:path';
import { Readable } from 'node:stream';
import type { Header } from 'tar-stream';
import { EngineError, messageOf } from '../base/errors.ts';
import { escapeControl } from '../base/escape.ts';
import { inflate } from '../image/inflate.ts';
import type { Compression } from '../image/media-type.ts';
import type { Digest } from '../image/types.ts';

/** A file of an archive on its way in: hashed, and thrown away unless it is kept. */
export interface Draft {
  write(chunk: Uint8Array): Promise<void>;
  /** All bytes have come. */
  seal(): { readonly digest: Digest; readonly size: number };
}

/** A file of an archive. */
export interface ArchiveFile<D extends Draft> {
  readonly draft: D;
  readonly digest: Digest;
  readonly size: number;
  /** The first bytes, to tell what it is. */
  readonly head: Buffer;
}

/** Files by their names, links resolved among them. */
export type ArchiveFiles<D extends Draft> = ReadonlyMap<string, ArchiveFile<D>>;

/** More files than any archive of images has: layers, their metadata, and the index. */
const MAX_FILES = 4000;
/** All entries, folders included. */
const MAX_ENTRIES = 20_000;
const HEAD = 8;

/**
 * Reads a tar that may be packed with gzip or zstd. Every regular file goes into a draft of its own; nothing is named after it on the disk.
 *
 * @throws `ARCHIVE_INVALID` for what is no tar, is cut off, or has too many entries
 */
export async function readArchive<D extends Draft>(
  source: AsyncIterable<Uint8Array>,
  open: () => Promise<D>,
  signal?: AbortSignal,
): Promise<ArchiveFiles<D>> {
  const files = new Map<string, ArchiveFile<D>>();
  const links = new Map<string, string>();
  // Loaded here, since few commands read an archive.
  // A CommonJS package that is a file of its own in a bundle has its default export alone.
  const {
    default: { extract },
  } = await import('tar-stream');
  const parser = extract();
  const input = Readable.from(await unpacked(source), { objectMode: false });
  input.on('error', (error) => parser.destroy(error));
  input.pipe(parser);
  let entries = 0;
  try {
    for await (const entry of parser) {
      signal?.throwIfAborted();
      entries += 1;
      if (entries > MAX_ENTRIES || files.size > MAX_FILES) throw invalid(`it has more than ${MAX_FILES} files`);
      const { header } = entry;
      const name = clean(header.name);
      if (header.type === 'file') files.set(name, await take(entry as AsyncIterable<Uint8Array>, await open()));
      else {
        const target = linkOf(header, name);
        if (target !== undefined) links.set(name, target);
        entry.resume();
      }
    }
  } catch (error) {
    if (error instanceof EngineError || signal?.aborted || !isFormatError(error)) throw error;
    throw invalid(`it is no tar, or cut off (${escapeControl(messageOf(error)).slice(0, 200)})`, error);
  } finally {
    input.destroy();
  }
  if (entries === 0) throw invalid('it has no entries');
  return withLinks(files, links);
}

async function take<D extends Draft>(content: AsyncIterable<Uint8Array>, draft: D): Promise<ArchiveFile<D>> {
  let head = Buffer.alloc(0);
  for await (const chunk of content) {
    if (head.length < HEAD) head = Buffer.concat([head, chunk.subarray(0, HEAD)]);
    await draft.write(chunk);
  }
  return { draft, ...draft.seal(), head };
}

/** A name as a key: without `./` before it. `..` leads nowhere, since no name becomes a path; such an archive is refused all the same. */
function clean(name: string): string {
  const path = posix.normalize(name).replace(/\/$/, '');
  if (path.startsWith('/') || path.split('/').includes('..'))
    throw invalid(`the name ${JSON.stringify(name.slice(0, 200))} leads out of it`);
  return path;
}

function linkOf({ type, linkname }: Header, name: string): string | undefined {
  if (typeof linkname !== 'string') return undefined;
  if (type === 'link') return clean(linkname);
  // Old archives of Docker say by such links that two images share a layer.
  return type === 'symlink' ? clean(posix.join(posix.dirname(name), linkname)) : undefined;
}

function withLinks<D extends Draft>(
  files: ReadonlyMap<string, ArchiveFile<D>>,
  links: ReadonlyMap<string, string>,
): ArchiveFiles<D> {
  const all = new Map(files);
  for (const [name, target] of links) {
    // One step: a link to a link is nothing that any tool writes.
    const file = files.get(target);
    if (file && !all.has(name)) all.set(name, file);
  }
  return all;
}

/** How bytes are packed, by their first ones. @throws `ARCHIVE_INVALID` naming a kind that is not read */
export function compressionOfHead(head: Uint8Array, what: string): Compression {
  const magic = Buffer.from(head).toString('latin1', 0, 6);
  if (magic.startsWith('\x1f\x8b')) return 'gzip';
  if (magic.startsWith('\x28\xb5\x2f\xfd')) return 'zstd';
  const other = magic.startsWith('BZh') ? 'bzip2' : magic === '\xfd7zXZ\0' ? 'xz' : undefined;
  if (other === undefined) return 'none';
  throw new EngineError('ARCHIVE_INVALID', `Cannot read ${what}: it is packed with ${other}, which is not supported`, {
    hint: `Unpack it before: ${other === 'xz' ? 'xz' : 'bzip2'} -dc FILE | berth …`,
  });
}

/** The source without its compression, which its first bytes tell. */
async function unpacked(source: AsyncIterable<Uint8Array>): Promise<AsyncIterable<Uint8Array>> {
  const { head, whole } = await peek(source);
  return inflate(whole, compressionOfHead(head, 'the archive'), 'the archive');
}

/** The first bytes of a source, and the source from its beginning. */
export async function peek(
  source: AsyncIterable<Uint8Array>,
): Promise<{ readonly head: Buffer; readonly whole: AsyncIterable<Uint8Array> }> {
  const iterator = source[Symbol.asyncIterator]();
  const first: Uint8Array[] = [];
  let length = 0;
  while (length < HEAD) {
    const next = await iterator.next();
    if (next.done) break;
    first.push(next.value);
    length += next.value.length;
  }
  const whole = async function* (): AsyncGenerator<Uint8Array> {
    try {
      yield* first;
      for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
    } finally {
      await iterator.return?.();
    }
  };
  return { head: Buffer.concat(first).subarray(0, HEAD), whole: whole() };
}

/** Errors of the tar parser are plain; those of the disk and the network have a code. */
function isFormatError(error: unknown): boolean {
  return error instanceof Error && (!('code' in error) || error.code === 'ERR_STREAM_PREMATURE_CLOSE');
}

/** `ARCHIVE_INVALID` with what is wrong. */
export function invalid(state: string, cause?: unknown): EngineError {
  return new EngineError('ARCHIVE_INVALID', `Cannot read the archive: ${state}`, { cause });
}
