import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { encodedOf, isDigest } from '../image/digest.ts';
import type { Descriptor, Digest } from '../image/types.ts';
import { seenBy, seenByAll, withForms } from './claims.ts';
import { isRecord, listFolder, readJson, replaceFile } from './files.ts';
import type { LayerClaims, LayerStore, Locks, SnapshotForm, WholeLayerRecord } from './types.ts';

/** What a layer store stands on. */
export interface LayerStoreParts {
  readonly root: string;
  readonly locks: Locks;
  /** Whose word of blobs is taken beside that of all; undefined: that of all. */
  readonly scope?: string | undefined;
  readonly warn: (message: string) => void;
}

/**
 * `records/layers/`: one file a layer. A record that cannot be read counts as absent, with a warning: the layer is made or pulled again.
 * Changes are read-modify-write, so they hold the lock `snapshot`. A record of an earlier version says of no blob that it was verified.
 */
export function createLayerStore({ root, locks, scope, warn }: LayerStoreParts): LayerStore {
  const folder = join(root, 'records', 'layers');
  const pathOf = (diffId: Digest): string => join(folder, `${encodedOf(diffId)}.json`);
  const read = (diffId: Digest): WholeLayerRecord | undefined => {
    const file = readJson(pathOf(diffId));
    if ('missing' in file) return undefined;
    if ('value' in file && isLayerRecord(file.value) && file.value.diffId === diffId) return file.value;
    warn(`The record of layer ${diffId} cannot be read and is ignored`);
    return undefined;
  };
  const change: LayerStore['update'] = (diffId, act) =>
    locks.with('snapshot', 'exclusive', async () => {
      const record = read(diffId);
      const next = act(record ?? empty(diffId));
      if (next === undefined) await rm(pathOf(diffId), { force: true });
      else if (!record || JSON.stringify(next) !== JSON.stringify(record))
        await replaceFile(pathOf(diffId), JSON.stringify(next));
    });
  return {
    get: async (diffId) => {
      const record = read(diffId);
      return record && seenBy(record, scope);
    },
    getWhole: async (diffId) => {
      const record = read(diffId);
      return record && seenByAll(record);
    },
    add: async (diffId, forms) => {
      let next = empty(diffId);
      await change(diffId, (record) => (next = withForms(record, forms, scope)));
      return seenBy(next, scope);
    },
    update: change,
    list: async () => {
      const names = listFolder(folder);
      const diffIds = names.filter((name) => name.endsWith('.json')).map((name) => `sha256:${name.slice(0, -5)}`);
      const records = diffIds.filter(isDigest).map(read);
      return records.filter((record) => record !== undefined).map(seenByAll);
    },
    remove: async (diffId) => rm(pathOf(diffId), { force: true }),
  };
}

function empty(diffId: Digest): WholeLayerRecord {
  return { v: 1, diffId, blobs: [], snapshots: [], sources: {} };
}

function isLayerRecord(value: unknown): value is WholeLayerRecord {
  return (
    isRecord(value) &&
    value.v === 1 &&
    isDigest(value.diffId) &&
    Array.isArray(value.snapshots) &&
    value.snapshots.every(isSnapshotForm) &&
    isClaims(value) &&
    isDigests(value.verified) &&
    (value.scopes === undefined || (isRecord(value.scopes) && Object.values(value.scopes).every(isClaims)))
  );
}

function isClaims(value: unknown): value is LayerClaims {
  return (
    isRecord(value) &&
    Array.isArray(value.blobs) &&
    value.blobs.every(isBlobForm) &&
    isDigests(value.cached) &&
    isRecord(value.sources) &&
    Object.values(value.sources).every(
      (places) => Array.isArray(places) && places.every((place) => typeof place === 'string'),
    )
  );
}

function isDigests(value: unknown): boolean {
  return value === undefined || (Array.isArray(value) && value.every(isDigest));
}

function isBlobForm(value: unknown): value is Descriptor {
  return (
    isRecord(value) && isDigest(value.digest) && typeof value.size === 'number' && typeof value.mediaType === 'string'
  );
}

function isSnapshotForm(value: unknown): value is SnapshotForm {
  return isRecord(value) && typeof value.idMap === 'string' && typeof value.name === 'string';
}
