/** Records of steps: `local` for now; registry and Actions backends join it. Source: DESIGN.md 5 and 6. */
export { satisfies } from './isolation.ts';
export { createLocalCache, type StepCache } from './local.ts';
export {
  CACHE_PLACE,
  createCacheExchange,
  trackRecords,
  type CacheExchange,
  type CacheExport,
  type ExportedBlob,
  type TrackedRecords,
} from './exchange.ts';
export {
  createMountLedger,
  mountFolder,
  mountLock,
  parseMountRecords,
  saysMount,
  stepsOf,
  type MountLedger,
  type MountRecord,
  type MountTracker,
  type MountUse,
} from './mounts.ts';
export { parseCacheIndex, type CacheIndex, type IndexedLayer, type IndexedRecord } from './exchange-index.ts';
