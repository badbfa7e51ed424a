import { join } from 'node:path';
import { isEngineError, messageOf } from './base/errors.ts';
import { once } from './base/once.ts';
import { withVertex, type ActOptions } from './base/progress.ts';
import {
  CACHE_PLACE,
  mountFolder,
  mountLock,
  saysMount,
  stepsOf,
  type ExportedBlob,
  type MountRecord,
  type MountUse,
} from './cache/index.ts';
import type { Parts } from './connect.ts';
import { shortDigest } from './image/digest.ts';
import type { Digest } from './image/types.ts';
import type { Helper } from './native/index.ts';
import { cacheMountNames, fillMount, measureMounts, packMount } from './store/index.ts';

/** Contents of `RUN --mount=type=cache` on their way in and out of the store (DESIGN.md 6). */
export interface MountExchange {
  /**
   * Names the contents that the cache's source can give; one is fetched when a step mounts it and it is not here.
   *
   * @returns how many
   */
  import(records: readonly MountRecord[], available: ReadonlySet<Digest>): number;
  /**
   * What steps of this engine have left in their mounts, packed unless the same steps had filled what the outer cache has; and what else was
   * imported and can still be had.
   *
   * @param options `available` are blobs of the outer cache, `maxSize` bytes that one mount may take
   */
  export(now: Date, options: MountExportOptions): Promise<MountExport>;
}

export interface MountExportOptions extends ActOptions {
  readonly available: ReadonlySet<Digest>;
  readonly maxSize: number;
}

export interface MountExport {
  readonly records: readonly MountRecord[];
  readonly blobs: readonly ExportedBlob[];
  /** Mounts that cannot be saved, by what the Dockerfile calls them, and why. */
  readonly leftOut: readonly { readonly id: string; readonly why: string }[];
}

/** A record that no step has asked for in this time is not exported any more, in milliseconds. */
const KEEP_UNUSED = 14 * 24 * 3600 * 1000;

export function createMountExchange(parts: Parts): MountExchange {
  const { mounts, store } = parts;
  return {
    import: (records, available) => {
      for (const record of records) if (available.has(record.blob.digest)) mounts.offered.set(record.name, record);
      return mounts.offered.size;
    },
    export: async (now, options) => {
      const kept = [...mounts.offered.values()].filter(
        ({ name, blob, usedAt }) =>
          !mounts.used.has(name) &&
          options.available.has(blob.digest) &&
          now.getTime() - Date.parse(usedAt) < KEEP_UNUSED,
      );
      const made = await packUsed(parts, now, options);
      const records = [...made.records, ...kept].sort((a, b) => (a.name < b.name ? -1 : 1));
      const blobs = await Promise.all(
        records.map(async ({ blob }): Promise<ExportedBlob> => {
          const isHere = await store.content.exists(blob);
          const path = isHere ? join(store.root, store.content.pathOf(blob.digest)) : undefined;
          return { descriptor: blob, path, madeBy: 'mount' };
        }),
      );
      return { records, blobs, leftOut: made.leftOut };
    },
  };
}

async function packUsed(
  parts: Parts,
  now: Date,
  options: MountExportOptions,
): Promise<Pick<MountExport, 'records' | 'leftOut'>> {
  const { mounts } = parts;
  const folderOf = (name: string): string => mountFolder(name, parts.options.cacheMountScope);
  if (mounts.used.size === 0) return { records: [], leftOut: [] };
  const { helper } = await parts.machine(options);
  const sizes = await measureMounts(helper, [...mounts.used.keys()].map(folderOf), options.signal);
  const records: MountRecord[] = [];
  const leftOut: { readonly id: string; readonly why: string }[] = [];
  for (const [name, use] of mounts.used) {
    const before = mounts.offered.get(name);
    const known = before && options.available.has(before.blob.digest) ? before : undefined;
    const old = known && { ...known, usedAt: now.toISOString() };
    const size = sizes.get(folderOf(name));
    if (old && (size === undefined || saysMount(old, use))) {
      records.push(old);
      continue;
    }
    if (size === undefined) continue;
    const made = size > options.maxSize ? TOO_LARGE : await packOne(parts, helper, { name, use, known }, now, options);
    if (typeof made === 'string') leftOut.push({ id: use.id, why: made });
    // What cannot be packed now leaves what the outer cache has.
    const kept = typeof made === 'string' ? old : made;
    if (kept) records.push(kept);
  }
  return { records, leftOut };
}

const TOO_LARGE = 'over the size limit of the cache';

/** The new record of a mount, undefined when it is empty, or why there is none. */
async function packOne(
  { store, mounts, options: { cacheMountScope } }: Parts,
  helper: Helper,
  { name, use, known }: { readonly name: string; readonly use: MountUse; readonly known: MountRecord | undefined },
  now: Date,
  { signal, onEvent }: ActOptions,
): Promise<MountRecord | string | undefined> {
  const act = { signal, forbidden: mounts.forbidden };
  const folder = mountFolder(name, cacheMountScope);
  const vertex = { id: `pack cache mount ${name}`, name: `packing cache mount ${use.id}` };
  try {
    const packed = await store.locks.ifFree(mountLock(folder), async () => ({
      result: await withVertex(vertex, onEvent, () => packMount(store, helper, folder, act)),
    }));
    if (!packed) return 'another build is using it';
    return packed.result && { name, steps: stepsOf(use, known), ...packed.result, usedAt: now.toISOString() };
  } catch (error) {
    signal?.throwIfAborted();
    return messageOf(error);
  }
}

/**
 * Has a cache mount here that the outer cache has. A fault is a warning: then the step finds it empty.
 *
 * @throws the signal's reason
 */
export function createBringMount(
  { store, mounts, fetchBlob, options }: Pick<Parts, 'store' | 'mounts' | 'fetchBlob' | 'options'>,
  helper: Helper,
): (mount: { readonly name: string; readonly id: string }, act: ActOptions) => Promise<void> {
  const present = once(() => cacheMountNames(helper));
  const coming = new Map<string, Promise<void>>();
  const bring = async (record: MountRecord, id: string, { signal, onEvent }: ActOptions): Promise<void> => {
    const folder = mountFolder(record.name, options.cacheMountScope);
    if ((await present()).has(folder)) return;
    const vertex = { id: `restore cache mount ${record.name}`, name: `restoring cache mount ${id}` };
    const onProgress = (current: number, total: number): void =>
      onEvent?.({ type: 'status', vertex: vertex.id, name: shortDigest(record.blob.digest), current, total });
    const fetch = (): AsyncIterable<Uint8Array> => fetchBlob(record.blob, [CACHE_PLACE], { signal });
    try {
      await withVertex(vertex, onEvent, () =>
        fillMount(store, helper, folder, { packed: record, fetch, signal, onProgress }),
      );
    } catch (error) {
      signal?.throwIfAborted();
      mounts.offered.delete(record.name);
      const isSaid = isEngineError(error) && error.code === 'CACHE_BLOB_LOST';
      if (!isSaid) onEvent?.({ type: 'warning', message: `A cache mount begins empty: ${messageOf(error)}` });
    }
  };
  return async ({ name, id }, act) => {
    const record = mounts.offered.get(name);
    if (!record) return;
    const started = coming.get(name) ?? bring(record, id, act);
    coming.set(name, started);
    await started;
  };
}
