import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { encodedOf, isDigest } from '../image/digest.ts';
import type { Descriptor, Digest } from '../image/types.ts';
import { isRecord, readJson, replaceFile } from './files.ts';
import type { LayerRecord, LayerStore, Locks, SnapshotForm } from './types.ts';

/**
 * `records/layers/`: one file a layer. A record that cannot be read counts as absent, with a warning: the layer is made or pulled again.
 * Changes are read-modify-write, so they hold the lock `snapshot`.
 */
export function createLayerStore(root: string, locks: Locks, warn: (message: string) => void): LayerStore {
  const folder = join(root, 'records', 'layers');
  const pathOf = (diffId: Digest): string => join(folder, `${encodedOf(diffId)}.json`);
  const get = async (diffId: Digest): Promise<LayerRecord | undefined> => {
    const file = await readJson(pathOf(diffId));
    if ('missing' in file) return undefined;
    if ('value' in file && isLayerRecord(file.value) && file.value.diffId === diffId) return file.value;
    warn(`The record of layer ${diffId} cannot be read and is ignored`);
    return undefined;
  };
  const change: LayerStore['update'] = (diffId, act) =>
    locks.with('snapshot', 'exclusive', async () => {
      const record = await get(diffId);
      const next = act(record ?? { v: 1, diffId, blobs: [], snapshots: [], sources: {} });
      if (next === undefined) await rm(pathOf(diffId), { force: true });
      else if (!record || JSON.stringify(next) !== JSON.stringify(record))
        await replaceFile(pathOf(diffId), JSON.stringify(next));
    });
  return {
    get,
    add: async (diffId, forms) => {
      let merged: LayerRecord | undefined;
      await change(diffId, (record) => (merged = merge(record, forms)));
      return merged ?? { v: 1, diffId, blobs: [], snapshots: [], sources: {} };
    },
    update: change,
    list: async () => {
      const names = await readdir(folder);
      const diffIds = names.filter((name) => name.endsWith('.json')).map((name) => `sha256:${name.slice(0, -5)}`);
      const records = await Promise.all(diffIds.filter(isDigest).map(get));
      return records.filter((record) => record !== undefined);
    },
    remove: async (diffId) => rm(pathOf(diffId), { force: true }),
  };
}

function merge(record: LayerRecord, forms: Partial<Omit<LayerRecord, 'v' | 'diffId'>>): LayerRecord {
  return {
    ...record,
    size: forms.size ?? record.size,
    blobs: unique([...record.blobs, ...(forms.blobs ?? []).map(toForm)], (blob) => blob.digest),
    snapshots: unique([...record.snapshots, ...(forms.snapshots ?? [])], ({ idMap, name }) => `${idMap}/${name}`),
    sources: mergeSources(record.sources, forms.sources ?? {}),
  };
}

/** Annotations and platform belong to a manifest's entry, not to the blob. */
function toForm({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size };
}

function mergeSources(a: LayerRecord['sources'], b: LayerRecord['sources']): LayerRecord['sources'] {
  const digests = [...new Set([...Object.keys(a), ...Object.keys(b)])];
  return Object.fromEntries(
    digests.map((digest) => [digest, [...new Set([...(a[digest] ?? []), ...(b[digest] ?? [])])]]),
  );
}

function unique<T>(values: readonly T[], keyOf: (value: T) => string): readonly T[] {
  return [...new Map(values.map((value) => [keyOf(value), value])).values()];
}

function isLayerRecord(value: unknown): value is LayerRecord {
  return (
    isRecord(value) &&
    value.v === 1 &&
    isDigest(value.diffId) &&
    Array.isArray(value.blobs) &&
    value.blobs.every(isBlobForm) &&
    Array.isArray(value.snapshots) &&
    value.snapshots.every(isSnapshotForm) &&
    isRecord(value.sources) &&
    Object.values(value.sources).every(
      (places) => Array.isArray(places) && places.every((place) => typeof place === 'string'),
    )
  );
}

function isBlobForm(value: unknown): value is Descriptor {
  return (
    isRecord(value) && isDigest(value.digest) && typeof value.size === 'number' && typeof value.mediaType === 'string'
  );
}

function isSnapshotForm(value: unknown): value is SnapshotForm {
  return isRecord(value) && typeof value.idMap === 'string' && typeof value.name === 'string';
}
