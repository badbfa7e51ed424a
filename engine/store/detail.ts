import type { Digest } from '../image/types.ts';
import type { Helper } from '../native/types.ts';
import type { Store } from './types.ts';

/** An image's part of `docker system df -v`, in bytes of its layers. */
export interface ImageUsage {
  readonly id: Digest;
  /** Layers that another image has as well. */
  readonly shared: number;
  readonly unique: number;
}

/** A remembered step, or what `RUN --mount=type=cache` keeps. */
export interface CacheUsage {
  readonly id: string;
  /** `regular`, `exec.cachemount`. */
  readonly type: string;
  readonly bytes: number;
  /** RFC 3339; a cache mount has none. */
  readonly createdAt?: string | undefined;
  /** When a build made it or last took it, to the hour, RFC 3339; a cache mount has none. */
  readonly usedAt?: string | undefined;
  /** An image has the layer too. */
  readonly shared: boolean;
}

/** What images and the build cache take, one by one. */
export async function measureEach(
  store: Store,
  helper: Helper,
): Promise<{ readonly images: readonly ImageUsage[]; readonly cache: readonly CacheUsage[] }> {
  const [images, records, layers, { snapshots }] = await Promise.all([
    store.images.list(),
    store.records.list(),
    store.layers.list(),
    helper.call('usage', { names: [], measure: true, cacheMounts: true }),
  ]);
  const used = await Promise.all(
    records.map(async ({ key, scope }) => {
      const at = await store.records.usedAt(key, scope);
      return at === undefined ? undefined : new Date(at).toISOString();
    }),
  );
  const sizes = new Map<Digest, number>(
    layers.map(({ diffId, size, blobs }) => [diffId, size ?? blobs[0]?.size ?? 0] as const),
  );
  const users = new Map<Digest, number>();
  for (const { config } of images) {
    for (const diffId of new Set(config.rootfs.diff_ids)) users.set(diffId, (users.get(diffId) ?? 0) + 1);
  }
  const sum = (some: readonly Digest[]): number => some.reduce((bytes, diffId) => bytes + (sizes.get(diffId) ?? 0), 0);
  return {
    images: images.map(({ id, config }) => {
      const own = [...new Set(config.rootfs.diff_ids)];
      const shared = own.filter((diffId) => (users.get(diffId) ?? 0) > 1);
      return { id, shared: sum(shared), unique: sum(own) - sum(shared) };
    }),
    cache: [
      ...records.map(({ key, diffId, createdAt }, index) => ({
        id: key.replace(/^.*:/, ''),
        type: 'regular',
        bytes: diffId === null ? 0 : (sizes.get(diffId) ?? 0),
        createdAt,
        usedAt: used[index],
        shared: diffId !== null && users.has(diffId),
      })),
      ...snapshots.map(({ name, bytes }) => ({ id: name, type: 'exec.cachemount', bytes, shared: false })),
    ],
  };
}
