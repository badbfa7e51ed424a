import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ActOptions } from '../base/progress.ts';
import type { Digest } from '../image/types.ts';
import type { Helper } from '../native/types.ts';
import { type CacheMount, type CacheScope, choosePart } from './prune-cache.ts';
import { findReachable, keptImages, type Reachable } from './reach.ts';
import { orphanTraces } from './traces.ts';
import type { CacheRecord, Store, StoredImage } from './types.ts';

/** How much is pruned. */
export interface PruneScope extends ActOptions {
  /** Also images that no container uses, and the whole build cache. */
  readonly all: boolean;
  /** The whole build cache, or a part of it. */
  readonly cache?: boolean | CacheScope | undefined;
  /** With the cache, what `RUN --mount=type=cache` keeps; left out, as `all` says. */
  readonly mounts?: boolean | undefined;
  /** Images that stay, used or not, with or without a name; one for several platforms stays as a whole. */
  readonly keep?: ((image: StoredImage) => boolean) | undefined;
  /** Ids of the images that containers were made from. */
  readonly used: readonly Digest[];
}

/** What was removed: names for people, and bytes. */
export interface Pruned {
  readonly removed: readonly string[];
  readonly bytes: number;
}

/**
 * Removes what nothing leads to: images without a name, cache records whose layers are gone, layers, blobs, snapshots of this id map, and
 * what killed processes left. Holds the lock `store` exclusively, so that no build is under way anywhere. Done twice, or killed in between,
 * it does no harm: records go before what they name.
 */
export async function prune(store: Store, helper: Helper, scope: PruneScope): Promise<Pruned> {
  return await store.locks.with('store', 'exclusive', () => pruneLocked(store, helper, scope), scope);
}

async function pruneLocked(
  store: Store,
  helper: Helper,
  { all, cache = all, mounts: withMounts = all, keep = () => false, used, signal, onEvent }: PruneScope,
): Promise<Pruned> {
  const { kept, dropped, indexes } = await keptImages(store.images, { used, keep, rest: all ? 'used' : 'named' });
  for (const { id } of dropped) await store.images.remove(id);
  for (const { descriptor } of indexes) await store.images.removeIndex(descriptor.digest);
  const present = withMounts && cache !== false ? await listMounts(helper, { signal }) : [];
  const chosen = await dropRecords(store, helper, { cache, mounts: present });
  const records = await store.records.list();
  const reachable = await findReachable(store, { images: kept, used, records });
  await dropLayers(store, reachable, helper.idMapName);
  const blobs = await dropBlobs(store, reachable);
  const snapshots = await dropSnapshots(store, helper, { signal, onEvent });
  const mounts = await dropCacheMounts(helper, chosen, { signal, onEvent });
  const ingests = await dropIngests(store.root);
  return {
    removed: [
      ...dropped.map(({ id }) => id),
      ...blobs.removed,
      ...snapshots.removed,
      ...mounts.removed,
      ...ingests.removed,
    ],
    bytes: blobs.bytes + snapshots.bytes + mounts.bytes + ingests.bytes,
  };
}

/** Drops cache records that cannot be a hit any more, and those of the cache that goes. @returns the cache mounts that go with them */
async function dropRecords(
  store: Store,
  helper: Helper,
  { cache, mounts }: { readonly cache: boolean | CacheScope; readonly mounts: readonly CacheMount[] },
): Promise<readonly CacheMount[]> {
  const there = await snapshotNames(helper);
  const records = await store.records.list();
  const part = typeof cache === 'object' ? await choosePart(store, helper, { records, mounts }, cache) : undefined;
  const isDead = async ({ diffId }: CacheRecord): Promise<boolean> =>
    diffId !== null && !(await canBeHad(store, diffId, helper.idMapName, there));
  for (const record of records) {
    if (cache === true || part?.records.has(record) || (await isDead(record)))
      await store.records.remove(record.key, record.scope);
  }
  // They name no layer, and go with the steps that they belong to.
  for (const { key, scope } of orphanTraces(await store.records.list())) await store.records.remove(key, scope);
  return part?.mounts ?? mounts;
}

async function canBeHad(store: Store, diffId: Digest, idMap: string, there: ReadonlySet<string>): Promise<boolean> {
  const record = await store.layers.getWhole(diffId);
  if (!record) return false;
  // Of another id map nothing is known here; its snapshots are that map's to judge.
  if (record.snapshots.some((form) => form.idMap !== idMap || there.has(form.name))) return true;
  const blobs = record.blobs.map(
    async (blob) => record.sources[blob.digest] !== undefined || (await store.content.exists(blob)),
  );
  return (await Promise.all(blobs)).includes(true);
}

async function dropLayers(store: Store, { layers }: Reachable, idMap: string): Promise<void> {
  for (const { diffId } of await store.layers.list()) {
    if (layers.has(diffId)) continue;
    // Snapshots of other id maps can only be removed under these, so the record that names them stays until then.
    await store.layers.update(diffId, (record) => {
      const elsewhere = record.snapshots.filter((form) => form.idMap !== idMap);
      if (elsewhere.length === 0) return undefined;
      return { v: 1, diffId, size: record.size, blobs: [], sources: {}, snapshots: elsewhere };
    });
  }
}

async function dropBlobs(store: Store, { blobs }: Reachable): Promise<Pruned> {
  const gone = (await store.content.list()).filter(({ digest }) => !blobs.has(digest));
  for (const { digest } of gone) await store.content.remove(digest);
  return { removed: gone.map(({ digest }) => digest), bytes: gone.reduce((sum, { size }) => sum + size, 0) };
}

async function dropSnapshots(store: Store, helper: Helper, { signal, onEvent }: ActOptions): Promise<Pruned> {
  const named = (await store.layers.list()).flatMap(({ snapshots }) =>
    snapshots.filter(({ idMap }) => idMap === helper.idMapName).map(({ name }) => name),
  );
  const before = (await helper.call('usage', { names: [], measure: true }, { signal })).snapshots;
  // Layers have 64 digits; every other name is an upper, and the helper knows which of those are in use.
  const layers = before.filter(({ name }) => LAYER.test(name) && !named.includes(name)).map(({ name }) => name);
  const { removed, warnings } = await helper.call(
    'remove',
    { snapshots: layers, containers: [], force: false, garbage: true },
    { signal },
  );
  for (const message of warnings) onEvent?.({ type: 'warning', message });
  const sizes = new Map(before.map(({ name, bytes }) => [name, bytes]));
  return { removed, bytes: removed.reduce((sum, name) => sum + (sizes.get(name) ?? 0), 0) };
}

const NOTHING: Pruned = { removed: [], bytes: 0 };

/** What `RUN --mount=type=cache` keeps. */
async function listMounts(helper: Helper, { signal }: ActOptions): Promise<readonly CacheMount[]> {
  return (await helper.call('usage', { names: [], measure: true, cacheMounts: true }, { signal })).snapshots;
}

/** The lock says that no step uses them. */
async function dropCacheMounts(
  helper: Helper,
  mounts: readonly CacheMount[],
  { signal, onEvent }: ActOptions,
): Promise<Pruned> {
  const names = mounts.map(({ name }) => name);
  if (names.length === 0) return NOTHING;
  const { removed, warnings } = await helper.call(
    'remove',
    { snapshots: [], containers: [], force: false, garbage: false, cacheMounts: names },
    { signal },
  );
  for (const message of warnings) onEvent?.({ type: 'warning', message });
  const sizes = new Map(mounts.map(({ name, bytes }) => [name, bytes]));
  return {
    removed: removed.map((name) => `cache-mounts/${name}`),
    bytes: removed.reduce((sum, name) => sum + (sizes.get(name) ?? 0), 0),
  };
}

async function snapshotNames(helper: Helper): Promise<ReadonlySet<string>> {
  const { snapshots } = await helper.call('usage', { names: [], measure: false });
  return new Set(snapshots.map(({ name }) => name));
}

/** Half written files: the lock says that nobody writes them any more. */
async function dropIngests(root: string): Promise<Pruned> {
  const folder = join(root, 'ingest');
  const names = await readdir(folder);
  let bytes = 0;
  for (const name of names) {
    bytes += (await stat(join(folder, name))).size;
    await rm(join(folder, name), { recursive: true, force: true });
  }
  return { removed: names.map((name) => `ingest/${name}`), bytes };
}

/** A layer's snapshot is named by a diff id or chain id. */
export const LAYER = /^[0-9a-f]{64}$/;
