import type { Digest } from '../image/types.ts';
import type { Helper } from '../native/types.ts';
import { LAYER } from './prune.ts';
import { findReachable } from './reach.ts';
import type { LayerRecord, Store } from './types.ts';

/** A line of `docker system df`; bytes on the disk. */
export interface Usage {
  readonly kind: 'images' | 'containers' | 'volumes' | 'cache';
  readonly total: number;
  readonly active: number;
  readonly bytes: number;
  readonly reclaimable: number;
}

/** A container, as much as counts here. */
export interface UsedBy {
  readonly imageId: Digest;
  readonly isRunning: boolean;
  /** Names of its volumes. */
  readonly volumes: readonly string[];
}

/** What the store takes, by kind. A layer that an image uses counts there, one that only the cache remembers as cache. */
export async function measure(store: Store, helper: Helper, containers: readonly UsedBy[]): Promise<readonly Usage[]> {
  const [images, records, layers, blobs, { snapshots }, cacheMounts] = await Promise.all([
    store.images.list(),
    store.records.list(),
    store.layers.list(),
    store.content.list(),
    helper.call('usage', { names: [], measure: true }),
    measureCacheMounts(helper),
  ]);
  const used = containers.map(({ imageId }) => imageId);
  const active = images.filter(({ id }) => used.includes(id));
  const ofImages = await findReachable(store, { images, used, records: [] });
  const ofActive = await findReachable(store, { images: active, used, records: [] });
  const blobSizes = new Map<string, number>(blobs.map(({ digest, size }) => [digest, size]));
  const snapshotSizes = new Map(snapshots.map(({ name, bytes }) => [name, bytes]));
  const sum = (some: ReadonlySet<Digest>, digests: ReadonlySet<Digest>): number =>
    total([...digests].map((digest) => blobSizes.get(digest) ?? 0)) +
    total(snapshotsOf(layers, some, helper.idMapName).map((name) => snapshotSizes.get(name) ?? 0));
  const imageBytes = sum(ofImages.layers, ofImages.blobs);
  const all =
    total([...blobSizes.values()]) + total(snapshots.filter(({ name }) => LAYER.test(name)).map(({ bytes }) => bytes));
  const uppers = total(snapshots.filter(({ name }) => !LAYER.test(name)).map(({ bytes }) => bytes));
  const running = containers.filter(({ isRunning }) => isRunning).length;
  return [
    {
      kind: 'images',
      total: images.length,
      active: active.length,
      bytes: imageBytes,
      reclaimable: imageBytes - sum(ofActive.layers, ofActive.blobs),
    },
    {
      kind: 'containers',
      total: containers.length,
      active: running,
      bytes: uppers,
      reclaimable: running === 0 ? uppers : 0,
    },
    await measureVolumes(helper, new Set(containers.flatMap(({ volumes }) => volumes))),
    {
      kind: 'cache',
      total: records.length + cacheMounts.length,
      active: 0,
      bytes: all - imageBytes + total(cacheMounts),
      reclaimable: all - imageBytes + total(cacheMounts),
    },
  ];
}

/** Bytes of each `RUN --mount=type=cache` of this id map: part of the build cache. */
async function measureCacheMounts(helper: Helper): Promise<readonly number[]> {
  const { snapshots } = await helper.call('usage', { names: [], measure: true, cacheMounts: true });
  return snapshots.map(({ bytes }) => bytes);
}

function snapshotsOf(layers: readonly LayerRecord[], some: ReadonlySet<Digest>, idMap: string): readonly string[] {
  return layers
    .filter(({ diffId }) => some.has(diffId))
    .flatMap(({ snapshots }) => snapshots.filter((form) => form.idMap === idMap).map(({ name }) => name));
}

function total(sizes: readonly number[]): number {
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function measureVolumes(helper: Helper, used: ReadonlySet<string>): Promise<Usage> {
  const { volumes } = await helper.call('volume', { action: { kind: 'list', measure: true } });
  const unused = volumes.filter(({ name }) => !used.has(name));
  return {
    kind: 'volumes',
    total: volumes.length,
    active: volumes.length - unused.length,
    bytes: total(volumes.map(({ bytes }) => bytes ?? 0)),
    reclaimable: total(unused.map(({ bytes }) => bytes ?? 0)),
  };
}
