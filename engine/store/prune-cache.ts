import { statfs } from 'node:fs/promises';
import type { Digest } from '../image/types.ts';
import type { Helper } from '../native/types.ts';
import type { CacheRecord, Store } from './types.ts';

/** Which part of the build cache goes; bytes as BuildKit counts them. Without any, all of it. */
export interface CacheScope {
  /** Only steps that no build has used since: milliseconds since 1970. Of cache mounts nobody knows when, so they stay. */
  readonly until?: number | undefined;
  /** So much may stay in any case. */
  readonly reserved?: number | undefined;
  /** The most that stays. */
  readonly maxUsed?: number | undefined;
  /** As much goes as is needed to have so much free on the disk. */
  readonly minFree?: number | undefined;
}

/** What `RUN --mount=type=cache` keeps: name of its folder, bytes on the disk. */
export interface CacheMount {
  readonly name: string;
  readonly bytes: number;
}

/** The cache that a scope is about; cache mounts are left out where none may go. */
export interface CacheParts {
  readonly records: readonly CacheRecord[];
  readonly mounts: readonly CacheMount[];
}

/** What of it goes: steps, the longest unused first, and then cache mounts, until few enough bytes are left. */
export async function choosePart(
  store: Store,
  helper: Helper,
  { records, mounts }: CacheParts,
  scope: CacheScope,
): Promise<{ readonly records: ReadonlySet<CacheRecord>; readonly mounts: readonly CacheMount[] }> {
  const candidates = await byLastUse(store, records, scope.until);
  const sizes = await sizesOf(store, helper, records);
  let left = [...sizes.values(), ...mounts.map(({ bytes }) => bytes)].reduce((sum, bytes) => sum + bytes, 0);
  const kept = keptBytes(left, await freeBytes(store.root), scope);
  const isEnough = (): boolean => kept !== undefined && left <= kept;
  const users = new Map<Digest, number>();
  for (const { diffId } of records) if (diffId !== null) users.set(diffId, (users.get(diffId) ?? 0) + 1);
  const chosen = new Set<CacheRecord>();
  for (const record of candidates) {
    if (isEnough()) break;
    chosen.add(record);
    const { diffId } = record;
    if (diffId === null) continue;
    const others = (users.get(diffId) ?? 1) - 1;
    users.set(diffId, others);
    if (others === 0) left -= sizes.get(diffId) ?? 0;
  }
  const going: CacheMount[] = [];
  for (const mount of scope.until === undefined ? mounts : []) {
    if (isEnough()) break;
    going.push(mount);
    left -= mount.bytes;
  }
  return { records: chosen, mounts: going };
}

/** Those that were last used before `until`, the longest unused first. */
async function byLastUse(
  { records: store }: Pick<Store, 'records'>,
  records: readonly CacheRecord[],
  until: number | undefined,
): Promise<readonly CacheRecord[]> {
  const dated = await Promise.all(
    records.map(async (record) => ({
      record,
      usedAt: (await store.usedAt(record.key, record.scope)) ?? Date.parse(record.createdAt),
    })),
  );
  return dated
    .filter(({ usedAt }) => until === undefined || usedAt < until)
    .sort((a, b) => a.usedAt - b.usedAt)
    .map(({ record }) => record);
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
    const layer = await store.layers.getWhole(diffId);
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
