import { createHash } from 'node:crypto';
import { createReadStream, readFileSync, statSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { collect } from '../base/collect.ts';
import { EngineError } from '../base/errors.ts';
import { verify } from '../base/verify.ts';
import { digestOf, encodedOf, isDigest, parseDigest } from '../image/digest.ts';
import type { Descriptor, Digest, PushOptions } from '../image/types.ts';
import { errnoOf, listFolder, randomName, storeError, syncFolder } from './files.ts';
import { createIngest } from './ingest.ts';
import type { ContentStore, Ingest } from './types.ts';

/** Limit of a manifest or config, in bytes (spec/bad-inputs.md; the distribution specification asks for 4 MiB at least). */
const SMALL = 8 * 1024 * 1024;
/** Bytes that are read at once. */
const AT_ONCE = 256 * 1024;

/**
 * `blobs/` and `ingest/` of the store: bytes are written below `ingest/` exclusively, hashed while they are written, synced and renamed
 * (spec/bad-inputs.md 3). `tag` names a manifest in the image store, which lies above.
 */
export function createContentStore(root: string, tag: ContentStore['tag']): ContentStore {
  const blobs = join(root, 'blobs', 'sha256');
  /** Blobs whose bytes this process has hashed. */
  const verified = new Set<Digest>();
  const pathOf = (digest: Digest): string => `blobs/sha256/${encodedOf(parseDigest(digest, 'a blob'))}`;
  const fetch = (descriptor: Descriptor): AsyncIterable<Uint8Array> =>
    verify(readBlob(root, pathOf, descriptor.digest), descriptor);

  /** True when the blob is there with that size and, checked once a process, the right bytes. A wrong one is replaced by the caller. */
  const isRight = async ({ digest, size }: { readonly digest: Digest; readonly size: number }): Promise<boolean> => {
    if (sizeOf(join(root, pathOf(digest))) !== size) return false;
    if (verified.has(digest)) return true;
    if ((await hashFile(join(root, pathOf(digest)))) !== digest) return false;
    verified.add(digest);
    return true;
  };

  const commit = async (ingest: string, blob: { readonly digest: Digest; readonly size: number }): Promise<void> => {
    const path = join(root, ingest);
    try {
      const size = sizeOf(path);
      if (size !== blob.size) throw wrongSize(blob, size);
      await syncFile(path);
      if (await isRight(blob)) return await rm(path, { force: true });
      await rename(path, join(root, pathOf(blob.digest)));
      await syncFolder(blobs);
      verified.add(blob.digest);
    } catch (error) {
      await rm(path, { force: true }).catch(() => undefined);
      throw storeError('store', path, error);
    }
  };

  const openIngest = (): Promise<Ingest> => createIngest(root, `ingest/${randomName()}`, commit);

  const push = async (
    descriptor: Descriptor,
    source: () => AsyncIterable<Uint8Array>,
    { signal, onProgress }: PushOptions = {},
  ): Promise<'pushed' | 'exists'> => {
    if (await isRight(descriptor)) return 'exists';
    const ingest = await openIngest();
    try {
      let written = 0;
      for await (const chunk of verify(source(), descriptor)) {
        signal?.throwIfAborted();
        await ingest.write(chunk);
        onProgress?.((written += chunk.length), descriptor.size);
      }
      await ingest.commit(descriptor.digest);
    } finally {
      await ingest.abort();
    }
    return 'pushed';
  };

  return {
    pathOf,
    fetch,
    push,
    commit,
    tag,
    exists: async (descriptor) => sizeOf(join(root, pathOf(descriptor.digest))) === descriptor.size,
    read: async (digest, limit = SMALL) => {
      const size = sizeOf(join(root, pathOf(digest)));
      if (size === undefined) throw notFound(digest);
      // What is small is read at once: a stream takes a hundred times as long, and a megabyte of memory.
      const content = size <= AT_ONCE ? readWhole(root, pathOf, digest) : readBlob(root, pathOf, digest);
      return await collect(verify(content, { digest, size }), digest, limit);
    },
    write: async (mediaType, content) => {
      const descriptor = { mediaType, digest: digestOf(content), size: content.length };
      await push(descriptor, () => once(content));
      return descriptor;
    },
    size: async (digest) => sizeOf(join(root, pathOf(digest))),
    readRange: (digest, range) => readBlob(root, pathOf, digest, range),
    openIngest,
    newIngest: () => `ingest/${randomName()}`,
    remove: async (digest) => {
      verified.delete(digest);
      await rm(join(root, pathOf(digest)), { force: true });
    },
    list: async () => {
      const digests = listFolder(blobs).map((name) => `sha256:${name}`);
      return digests.filter(isDigest).flatMap((digest) => {
        const size = sizeOf(join(root, pathOf(digest)));
        return size === undefined ? [] : [{ digest, size }];
      });
    },
  };
}

/** SHA-256 of a file on the disk. */
export async function hashFile(path: string): Promise<Digest> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Uint8Array);
  return `sha256:${hash.digest('hex')}`;
}

async function* once(content: Uint8Array): AsyncGenerator<Uint8Array> {
  yield content;
}

async function* readWhole(
  root: string,
  pathOf: (digest: Digest) => string,
  digest: Digest,
): AsyncGenerator<Uint8Array> {
  try {
    yield readFileSync(join(root, pathOf(digest)));
  } catch (error) {
    throw readError(pathOf, digest, error);
  }
}

async function* readBlob(
  root: string,
  pathOf: (digest: Digest) => string,
  digest: Digest,
  range: { readonly start?: number; readonly end?: number } = {},
): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(join(root, pathOf(digest)), {
      highWaterMark: 1 << 20,
      ...range,
    }) as AsyncIterable<Uint8Array>;
  } catch (error) {
    throw readError(pathOf, digest, error);
  }
}

function readError(pathOf: (digest: Digest) => string, digest: Digest, error: unknown): unknown {
  if (errnoOf(error) === 'ENOENT') return notFound(digest);
  return errnoOf(error) === undefined ? error : storeError('read', pathOf(digest), error);
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

function sizeOf(path: string): number | undefined {
  try {
    return statSync(path).size;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw storeError('read', path, error);
  }
}

function notFound(digest: Digest): EngineError {
  return new EngineError('NOT_FOUND', `Cannot read ${digest}: it is not in the store`);
}

function wrongSize(blob: { readonly digest: Digest; readonly size: number }, size: number | undefined): EngineError {
  return new EngineError(
    'CONTENT_MISMATCH',
    `Cannot store ${blob.digest}: wanted ${blob.size} bytes, found ${size ?? 'no file'}`,
  );
}
