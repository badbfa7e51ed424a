import { join } from 'node:path';
import type { Descriptor, Digest } from '../image/types.ts';
import { holdsLayer, orphanTraces } from '../store/index.ts';
import { isVerified, mapClaims } from '../store/claims.ts';
import type { CacheRecord, CacheRecords, LayerClaims, LayerForms, LayerRecord, Store } from '../store/types.ts';
import type { CacheIndex, IndexedLayer, IndexedRecord } from './exchange-index.ts';
import { scopeRecords } from './scoped.ts';

/** The place in a layer's sources that stands for the cache outside this machine. No repository is named so: those have a slash. */
export const CACHE_PLACE = 'external-cache';

/** A record that nothing has asked for in this time is not exported any more, in milliseconds. */
const KEEP_UNUSED = 14 * 24 * 3600 * 1000;
/** Records in one index; the ones that were used last stay. */
const MAX_RECORDS = 2000;

/** What a cache outside this machine takes: the index, and the blobs that it names and that lie here. */
export interface CacheExport {
  readonly index: CacheIndex;
  readonly blobs: readonly ExportedBlob[];
}

export interface ExportedBlob {
  readonly descriptor: Descriptor;
  /** hostPath of its bytes; undefined when only the outer cache has them. */
  readonly path: string | undefined;
  /** Places that serve it; only in an export of what was used. */
  readonly places?: readonly string[] | undefined;
  /** `file` for COPY and the like, which are made again in no time; `exec` for RUN; `mount` for the content of a cache mount. */
  readonly madeBy: 'exec' | 'file' | 'mount';
}

/** Records and layers on their way in and out of the store. */
export interface CacheExchange {
  /** The records that the last days used, and the layers that they name. */
  export(now: Date): Promise<CacheExport>;
  /** The records that this engine has used, those of some layers alone where `layers` is given; also layers that only another place serves. */
  exportUsed(now: Date, layers?: ReadonlySet<Digest>): Promise<CacheExport>;
  /**
   * Adds records and layers of an index to the store; no layer is fetched.
   *
   * @param available blobs that the cache's source can give; layers of other blobs are left out
   * @param place where they are; default the cache outside this machine
   */
  import(
    index: CacheIndex,
    available: ReadonlySet<Digest>,
    place?: string,
  ): Promise<{ readonly records: number; readonly layers: number }>;
  /** Forgets that the outer cache has these blobs: the steps that made them are misses from now on. */
  forget(blobs: ReadonlySet<Digest>): Promise<void>;
}

/** Records that remember which of them were asked for or written. */
export interface TrackedRecords extends CacheRecords {
  readonly used: ReadonlySet<string>;
  /** The same records without the memory: what an import does is no use. */
  readonly untracked: CacheRecords;
  /** Those of every scope, for what cleans and checks the store. */
  readonly all: CacheRecords;
}

/** @returns the records that a scope sees, with the keys that were hit or put since */
export function trackRecords(all: CacheRecords, scope?: string): TrackedRecords {
  const used = new Set<string>();
  const records = scopeRecords(all, scope);
  return {
    ...records,
    used,
    untracked: records,
    all,
    get: async (key) => {
      const record = await records.get(key);
      if (record) used.add(key);
      return record;
    },
    put: async (record) => {
      await records.put(record);
      used.add(record.key);
    },
  };
}

/** @param records those of the store, tracked */
export function createCacheExchange(store: Store, records: TrackedRecords): CacheExchange {
  const lastUse = new Map<string, number>();
  return {
    export: async (now) => {
      const indexed = chooseRecords(await records.list(), records.used, lastUse, now.getTime());
      const layers = await collectLayers(store, indexed);
      const index: CacheIndex = { v: 1, records: indexed, layers: layers.map(({ layer }) => layer) };
      return { index, blobs: layers.map(({ blob }) => blob) };
    },
    exportUsed: async (now, scope) => {
      const used = (await records.list())
        .filter(({ key }) => records.used.has(key))
        .flatMap((record) => within(record, scope));
      const indexed = chooseRecords(used, records.used, lastUse, now.getTime());
      const layers = await collectLayers(store, indexed, true);
      const index: CacheIndex = { v: 1, records: indexed, layers: layers.map(({ layer }) => layer) };
      return { index, blobs: layers.map(({ blob }) => blob) };
    },
    import: async (index, available, place = CACHE_PLACE) => {
      const layers = index.layers.filter(({ blob }) => available.has(blob.digest));
      for (const layer of layers) await store.layers.add(layer.diffId, formsOf(layer, place));
      let added = 0;
      for (const { usedAt, ...record } of index.records) {
        lastUse.set(record.key, Date.parse(usedAt));
        // What was made here is newer than what comes from outside.
        if ((await records.untracked.get(record.key)) !== undefined) continue;
        await records.untracked.put(record);
        added += 1;
      }
      return { records: added, layers: layers.length };
    },
    forget: async (blobs) => {
      for (const record of await store.layers.list()) {
        if (!record.blobs.some(({ digest }) => blobs.has(digest) && record.sources[digest]?.includes(CACHE_PLACE)))
          continue;
        await store.layers.update(record.diffId, (current) =>
          mapClaims(current, (claims) => withoutPlace(claims, blobs)),
        );
      }
    },
  };
}

/** A record whose layer is not among those that go along is kept where it tells the key of a step, without the layer. */
function within(record: CacheRecord, layers: ReadonlySet<string> | undefined): readonly CacheRecord[] {
  if (record.diffId === null || !layers || layers.has(record.diffId)) return [record];
  return record.result === undefined ? [] : [{ ...record, diffId: null, base: null }];
}

function chooseRecords(
  records: readonly CacheRecord[],
  used: ReadonlySet<string>,
  lastUse: ReadonlyMap<string, number>,
  now: number,
): readonly IndexedRecord[] {
  const chosen = records
    .map((record) => ({ record, at: used.has(record.key) ? now : (lastUse.get(record.key) ?? now) }))
    .filter(({ at }) => now - at < KEEP_UNUSED)
    .sort((a, b) => b.at - a.at || (a.record.key < b.record.key ? -1 : 1))
    .slice(0, MAX_RECORDS)
    .map(({ record, at }) => ({ ...record, usedAt: new Date(at).toISOString() }));
  const orphans = new Set(orphanTraces(chosen));
  return chosen.filter((record) => !orphans.has(record));
}

interface CollectedLayer {
  readonly layer: IndexedLayer;
  readonly blob: ExportedBlob;
}

/** The layers that the records name and whose blob is here, or in the outer cache already. */
async function collectLayers(
  store: Store,
  records: readonly IndexedRecord[],
  anyPlace = false,
): Promise<readonly CollectedLayer[]> {
  const madeBy = new Map<Digest, 'exec' | 'file'>();
  for (const { diffId, op } of records) {
    if (diffId !== null && madeBy.get(diffId) !== 'exec') madeBy.set(diffId, isExec(op) ? 'exec' : 'file');
  }
  const collected = await Promise.all(
    [...madeBy].map(async ([diffId, kind]) => {
      const record = await store.layers.get(diffId);
      return record && (await collectLayer(store, record, kind, anyPlace));
    }),
  );
  return collected.filter((layer) => layer !== undefined).sort((a, b) => (a.layer.diffId < b.layer.diffId ? -1 : 1));
}

async function collectLayer(
  store: Store,
  record: LayerRecord,
  madeBy: 'exec' | 'file',
  anyPlace: boolean,
): Promise<CollectedLayer | undefined> {
  const { diffId, size } = record;
  for (const blob of record.blobs) {
    const local = await store.content.exists(blob);
    const places = record.sources[blob.digest] ?? [];
    if (!(await isOfLayer(store, record, blob, local))) continue;
    if (!local && !(anyPlace ? places.length > 0 : places.includes(CACHE_PLACE))) continue;
    const path = local ? join(store.root, store.content.pathOf(blob.digest)) : undefined;
    return {
      layer: { diffId, ...(size === undefined ? {} : { size }), blob },
      blob: { descriptor: blob, path, madeBy, ...(anyPlace ? { places } : {}) },
    };
  }
  return undefined;
}

/** A blob that holds the layer, or of which another cache says so that gave the step; what the manifests of images say is no reason to tell others. */
async function isOfLayer(store: Store, record: LayerRecord, blob: Descriptor, isHere: boolean): Promise<boolean> {
  if (isHere) return (await holdsLayer(store, record.diffId, blob)) === true;
  return isVerified(record, blob) || (record.cached?.includes(blob.digest) ?? false);
}

function formsOf({ size, blob }: IndexedLayer, place: string): LayerForms {
  return { size, blobs: [blob], sources: { [blob.digest]: [place] }, cached: [blob.digest] };
}

function withoutPlace(claims: LayerClaims, blobs: ReadonlySet<Digest>): LayerClaims {
  const sources = Object.entries(claims.sources).map(([digest, places]): [string, readonly string[]] => [
    digest,
    blobs.has(digest as Digest) ? places.filter((place) => place !== CACHE_PLACE) : places,
  ]);
  return { ...claims, sources: Object.fromEntries(sources) };
}

function isExec(op: unknown): boolean {
  return typeof op === 'object' && op !== null && 'type' in op && op.type === 'exec';
}
