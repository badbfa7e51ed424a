/** Everything below BERTH_ROOT. Source: DESIGN.md 7, spec/bad-inputs.md 3. */
export { fillMount, measureMounts, packMount, type PackedMount } from './cache-mounts.ts';
export { holdsLayer } from './check-blob.ts';
export { createContextHashes, type ContextHashes } from './stat-cache.ts';
export { createDownloadRecords, type DownloadRecord, type DownloadRecords } from './downloads.ts';
export { measureEach, type CacheUsage, type ImageUsage } from './detail.ts';
export { measure, type Usage, type UsedBy } from './df.ts';
export { fsck, type Findings } from './fsck.ts';
export { isLineage, orphanTraces } from './traces.ts';
export { listFolder, randomName, storeError } from './files.ts';
export { lostLayerOf, LostLayerError } from './lost-layer.ts';
export { openLayout } from './layout.ts';
export { isNamed } from './names.ts';
export { isComplete } from './oci-index.ts';
export { openStore, type OpenStoreOptions } from './open.ts';
export type { CacheScope } from './prune-cache.ts';
export { prune, type Pruned, type PruneScope } from './prune.ts';
export {
  createSnapshots,
  type FetchBlob,
  type ForbiddenValue,
  type Packing,
  type PackOptions,
  type Repacked,
  type SnapshotOptions,
  type Snapshots,
} from './snapshots.ts';
export type * from './types.ts';
