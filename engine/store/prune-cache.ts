import { statfs } from 'node:fs/promises';
import type { Digest } from '../image/types.ts';
import type { Helper } from '../native/types.ts';
import type { CacheRecord, Store } from './types.ts';

/** Which part of the build cache goes; bytes as BuildKit counts them. Without any, all of it. */
export interface CacheScope {
  /** Only steps that ran before: milliseconds since 1970. */
  readonly until?: number | undefined;
  /** So much may stay in any case. */
  readonly reserved?: number | undefined;
  /** The most that stays. */
  readonly maxUsed?: number | undefined;
  /** As much goes as is needed to have so much free on the disk. */
  readonly minFree?: number | undefined;
}

/** Keys of the records to forget: the oldest first, until few enough bytes are left. */
export async function chooseRecords(
  store: Store,
  helper: Helper,
  records: readonly CacheRecord[],
  scope: CacheScope,
): Promise<ReadonlySet<string>> {
  const candidates = records
    .filter(({ createdAt }) => scope.until === undefined || Date.parse(createdAt) < scope.until)
    .sort((a, b) => Date.parse(a.createdAt) - Date.parse(b.createdAt));
  const sizes = await sizesOf(store, helper, records);
  let left = [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
  const kept = keptBytes(left, await freeBytes(store.root), scope);
  const users = new Map<Digest, number>();
  for (const { diffId } of records) if (diffId !== null) users.set(diffId, (users.get(diffId) ?? 0) + 1);
  const chosen = new Set<string>();
  for (const { key, diffId } of candidates) {
    if (kept !== undefined && left <= kept) break;
    chosen.add(key);
    if (diffId === null) continue;
    const others = (users.get(diffId) ?? 1) - 1;
    users.set(diffId, others);
    if (others === 0) left -= sizes.get(diffId) ?? 0;
  }
  return chosen;
}

/** Undefined: all of it may go. Source: BuildKit, the rule of `buildctl prune`. */
function keptBytes(total: number, free: number, { reserved, maxUsed, minFree }: CacheScope): number | undefined {
  if (!reserved && !maxUsed && !minFree) return undefined;
  const excess = Math.max(0, (minFree ?? 0) - free);
  const most = maxUsed || (excess > 0 ? total : 0);
  return Math.max(excess > 0 ? Math.min(most, total - excess) : most, reserved ?? 0);
}

/** Bytes on the disk of the layers that only records have. */
async function sizesOf(
  store: Store,
  helper: Helper,
  records: readonly CacheRecord[],
): Promise<ReadonlyMap<Digest, number>> {
  const [images, blobs, { snapshots }] = await Promise.all([
    store.images.list(),
    store.content.list(),
    helper.call('usage', { names: [], measure: true }),
  ]);
  const used = new Set(images.flatMap(({ config }) => config.rootfs.diff_ids));
  const blobBytes = new Map<string, number>(blobs.map(({ digest, size }) => [digest, size]));
  const snapshotBytes = new Map(snapshots.map(({ name, bytes }) => [name, bytes]));
  const sizes = new Map<Digest, number>();
  for (const { diffId } of records) {
    if (diffId === null || used.has(diffId) || sizes.has(diffId)) continue;
    const layer = await store.layers.get(diffId);
    const parts = [
      ...(layer?.blobs ?? []).map(({ digest }) => blobBytes.get(digest) ?? 0),
      ...(layer?.snapshots ?? [])
        .filter(({ idMap }) => idMap === helper.idMapName)
        .map(({ name }) => snapshotBytes.get(name) ?? 0),
    ];
    sizes.set(
      diffId,
      parts.reduce((sum, bytes) => sum + bytes, 0),
    );
  }
  return sizes;
}

async function freeBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return bavail * bsize;
}
