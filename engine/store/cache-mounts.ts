import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '../base/errors.ts';
import { verify } from '../base/verify.ts';
import { compressionOf, layerType } from '../image/media-type.ts';
import type { Descriptor, Digest } from '../image/types.ts';
import type { Helper } from '../native/types.ts';
import { storeError } from './files.ts';
import { MAX_LAYER_BYTES } from './check-blob.ts';
import { namesOf, type ForbiddenValue } from './forbidden.ts';
import { MAX_LAYER_ENTRIES } from './unpack.ts';
import { requireSpace } from './space.ts';
import type { Store } from './types.ts';

/** The content of a cache mount as one blob. */
export interface PackedMount {
  readonly diffId: Digest;
  /** Bytes of the plain tar. */
  readonly size: number;
  readonly blob: Descriptor;
}

/** Quick, and wheels and other archives stay as they are. */
const PACKING = { codec: 'zstd', level: 3, mayBePlain: true } as const;

/** Names of the cache mounts of this id map. */
export async function cacheMountNames(helper: Helper): Promise<ReadonlySet<string>> {
  const { snapshots } = await helper.call('usage', { names: [], measure: false, cacheMounts: true });
  return new Set(snapshots.map(({ name }) => name));
}

/** Bytes on disk of the cache mounts of this id map, by name. */
export async function measureMounts(
  helper: Helper,
  names: readonly string[],
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, number>> {
  if (names.length === 0) return new Map();
  const { snapshots } = await helper.call('usage', { names: [...names], measure: true, cacheMounts: true }, { signal });
  return new Map(snapshots.map(({ name, bytes }) => [name, bytes]));
}

/**
 * Packs the content of a cache mount into a blob of the store. The caller holds its lock.
 *
 * @returns undefined when there is no file in it
 * @throws `SECRET_IN_CACHE_MOUNT` naming the place; then there is no blob
 */
export async function packMount(
  { content }: Pick<Store, 'content'>,
  helper: Helper,
  name: string,
  { forbidden, signal }: { readonly forbidden: readonly ForbiddenValue[]; readonly signal?: AbortSignal | undefined },
): Promise<PackedMount | undefined> {
  const ingest = content.newIngest();
  const what = { snapshot: name, cacheMount: true, lowers: [], output: ingest, clamp: null, container: null };
  const reply = await helper.call(
    'diff',
    { ...what, ...PACKING, finish: false, ...namesOf(forbidden) },
    { signal, secrets: forbidden },
  );
  const [found] = reply.found;
  if (found) {
    const value = forbidden.find(({ id }) => id === found.secret);
    throw new EngineError(
      'SECRET_IN_CACHE_MOUNT',
      `Cannot keep a cache mount: ${found.path} holds the secret "${value?.secret ?? found.secret}" ${value?.form ?? ''}`.trimEnd(),
    );
  }
  if (!reply.blob) throw new Error('The helper gave no blob of a cache mount');
  const { size, codec, ...blob } = reply.blob;
  // The helper gives digests in this form alone.
  const digest = blob.digest as Digest;
  await content.commit(ingest, { digest, size });
  if (reply.entries === 0) return undefined;
  return { diffId: reply.diffId as Digest, size: reply.plainSize, blob: { mediaType: layerType(codec), digest, size } };
}

/** Makes a cache mount of its content. One that another step has made meanwhile stays. @throws what `fetch` and the helper throw */
export async function fillMount(
  { root, content }: Pick<Store, 'root' | 'content'>,
  helper: Helper,
  name: string,
  {
    packed: { diffId, size, blob },
    fetch,
    signal,
    onProgress,
  }: {
    readonly packed: PackedMount;
    readonly fetch: () => AsyncIterable<Uint8Array>;
    readonly signal?: AbortSignal | undefined;
    readonly onProgress?: ((current: number, total: number) => void) | undefined;
  },
): Promise<void> {
  await requireSpace(root, [
    { record: { v: 1, diffId, size, blobs: [blob], snapshots: [], sources: {} }, local: undefined },
  ]);
  const ingest = content.newIngest();
  const path = join(root, ingest);
  try {
    await write(path, verify(fetch(), blob), (written) => onProgress?.(written, blob.size));
    await helper.call(
      'apply',
      {
        blob: ingest,
        codec: compressionOf(blob.mediaType),
        diffId,
        chainId: diffId,
        lowers: [],
        maxBytes: MAX_LAYER_BYTES,
        maxEntries: MAX_LAYER_ENTRIES,
        cacheMount: name,
      },
      { signal },
    );
  } finally {
    await rm(path, { force: true });
  }
}

async function write(
  path: string,
  source: AsyncIterable<Uint8Array>,
  onProgress: (written: number) => void,
): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    let written = 0;
    for await (const chunk of source) {
      await file.writeFile(chunk).catch((error: unknown) => {
        throw storeError('write', path, error);
      });
      onProgress((written += chunk.length));
    }
  } finally {
    await file.close();
  }
}
