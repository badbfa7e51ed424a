import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  EngineError,
  isEngineError,
  lostLayerOf,
  messageOf,
  type Descriptor,
  type Digest,
  type Fetcher,
} from '../../../engine/index.ts';
import { readArchive, type ArchiveFile } from './archive.ts';
import type { BlobEntry } from './document.ts';
import { download } from './download.ts';
import { versionOf } from './names.ts';
import type { RestoreParts } from './restore.ts';
import type { FoundEntry } from './service.ts';

/** Blobs of the entries that are there. Whatever goes wrong with one makes its blobs lost, and the build goes on without them. */
export interface CacheSource extends Fetcher {
  /** Blobs that an entry which is there promises, without those that were lost. */
  readonly available: ReadonlySet<Digest>;
  /** Takes the blobs that turned out to be lost since the last call. */
  takeLost(): ReadonlySet<Digest>;
  /** Bytes that were read, and how many blobs. */
  figures(): { readonly blobs: number; readonly bytes: number };
}

export interface SourceOptions {
  /** Folder for the blobs of packs; made on first use. */
  readonly folder: string;
  /** Hears of each entry that cannot be used, in a sentence. */
  readonly warn: (message: string) => void;
  readonly signal: AbortSignal;
}

/**
 * Looks every entry up, so that an evicted one is a miss before anything is built on it, and gives their blobs on demand.
 *
 * @throws `CACHE_RATE_LIMITED`, `CACHE_UNAVAILABLE` when the service does not answer
 */
export async function createCacheSource(
  parts: RestoreParts,
  entries: readonly BlobEntry[],
  options: SourceOptions,
): Promise<CacheSource> {
  const found = await lookUpAll(parts, entries, options.signal);
  const byDigest = new Map<Digest, PresentEntry>();
  for (const present of found) for (const { digest } of present.entry.blobs) byDigest.set(digest, present);
  const lost = new Set<Digest>();
  const count = { blobs: 0, bytes: 0 };
  const packs = new Map<string, Promise<void>>();

  const lose = ({ entry }: PresentEntry, error: unknown): EngineError => {
    for (const { digest } of entry.blobs) {
      byDigest.delete(digest);
      lost.add(digest);
    }
    options.warn(`A layer in the cache cannot be used and is made again: ${messageOf(error)}`);
    return lostError(error);
  };
  const read = (present: PresentEntry, signal: AbortSignal): AsyncGenerator<ArchiveFile> => {
    const files = new Map(present.entry.blobs.map(({ digest, size }) => [hexOf(digest), size]));
    const refresh = async (): Promise<string | undefined> => (await lookUp(parts, present.entry, signal))?.found.url;
    return readArchive(download(parts.http, { url: present.found.url, refresh }, signal), {
      path: present.entry.key,
      files,
    });
  };
  const unpack = (present: PresentEntry, signal: AbortSignal): Promise<void> => {
    const { key } = present.entry;
    const running = packs.get(key) ?? storeFiles(read(present, signal), options.folder);
    packs.set(key, running);
    return running;
  };

  return {
    get available() {
      return new Set(byDigest.keys());
    },
    takeLost: () => {
      const taken = new Set(lost);
      lost.clear();
      return taken;
    },
    figures: () => ({ ...count }),
    fetch: async function* (descriptor, how = {}) {
      const signal = how.signal ? AbortSignal.any([options.signal, how.signal]) : options.signal;
      const present = byDigest.get(descriptor.digest);
      if (!present) {
        lost.add(descriptor.digest);
        throw lostError(undefined);
      }
      try {
        const bytes =
          present.entry.blobs.length === 1
            ? onlyFile(read(present, signal), descriptor)
            : packedFile(unpack(present, options.signal), options.folder, descriptor);
        for await (const chunk of verified(bytes, descriptor)) {
          count.bytes += chunk.length;
          yield chunk;
        }
        count.blobs += 1;
      } catch (error) {
        signal.throwIfAborted();
        throw lose(present, error);
      }
    },
  };
}

/** An entry and its address. */
interface PresentEntry {
  readonly entry: BlobEntry;
  readonly found: FoundEntry;
}

/** Eight at a time: the service limits requests. */
async function lookUpAll(
  parts: RestoreParts,
  entries: readonly BlobEntry[],
  signal: AbortSignal,
): Promise<readonly PresentEntry[]> {
  const waiting = [...entries];
  const present: PresentEntry[] = [];
  const work = async (): Promise<void> => {
    for (let entry = waiting.shift(); entry; entry = waiting.shift()) {
      const found = await lookUp(parts, entry, signal);
      if (found) present.push(found);
    }
  };
  await Promise.all(Array.from({ length: 8 }, work));
  return present;
}

async function lookUp(parts: RestoreParts, entry: BlobEntry, signal: AbortSignal): Promise<PresentEntry | undefined> {
  const version = versionOf(entry.key, entry.compression);
  const found = await parts.service.find({ key: entry.key, version }, { signal });
  return found && { entry, found };
}

async function* onlyFile(files: AsyncGenerator<ArchiveFile>, descriptor: Descriptor): AsyncGenerator<Uint8Array> {
  for await (const { body } of files) {
    yield* body;
    return;
  }
  throw new EngineError('CACHE_ARCHIVE', `Cannot read a cache archive: it does not hold ${descriptor.digest}`);
}

async function* packedFile(
  unpacked: Promise<void>,
  folder: string,
  { digest }: Descriptor,
): AsyncGenerator<Uint8Array> {
  await unpacked;
  yield* createReadStream(join(folder, hexOf(digest))) as AsyncIterable<Uint8Array>;
}

/** Files of a pack below `folder`, by the names that were expected and no others. They are verified when they are read. */
async function storeFiles(files: AsyncGenerator<ArchiveFile>, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for await (const { name, body } of files) {
    const path = join(folder, `${name}.${randomUUID()}`);
    const file = await open(path, 'wx', 0o600);
    try {
      for await (const chunk of body) await file.writeFile(chunk);
      await file.close();
      await rename(path, join(folder, name));
    } catch (error) {
      await file.close().catch(() => undefined);
      await rm(path, { force: true });
      throw error;
    }
  }
}

/** The bytes, checked here so that a fault is known to be the cache's. */
async function* verified(source: AsyncIterable<Uint8Array>, { digest, size }: Descriptor): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  let received = 0;
  let held: Uint8Array | undefined;
  for await (const chunk of source) {
    received += chunk.length;
    if (received > size) break;
    hash.update(chunk);
    // The last piece waits for the verdict: whoever counts bytes must not take a wrong blob for a whole one.
    if (held) yield held;
    held = chunk;
  }
  if (received !== size || `sha256:${hash.digest('hex')}` !== digest) {
    throw new EngineError('CACHE_ARCHIVE', `Cannot use a cached layer: its bytes are not those of ${digest}`);
  }
  if (held) yield held;
}

/**
 * True for the failure of something that a lost layer was needed for. Any other comes again, whatever has been lost meanwhile: a cache mount then
 * begins empty, and the build makes a layer again by itself.
 */
export function tellsOfLost(error: unknown): boolean {
  if (lostLayerOf(error) !== undefined) return true;
  for (let one = error; one instanceof Error; one = one.cause) {
    if (isEngineError(one, 'CACHE_BLOB_LOST')) return true;
  }
  return false;
}

function lostError(cause: unknown): EngineError {
  return new EngineError('CACHE_BLOB_LOST', 'Cannot read a layer from the cache: its entry is gone or damaged', {
    ...(cause === undefined ? {} : { cause }),
  });
}

function hexOf(digest: Digest): string {
  return digest.slice('sha256:'.length);
}
