import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ActOptions } from '../base/progress.ts';
import type { Digest } from '../image/types.ts';
import type { Helper } from '../native/types.ts';
import { withoutBlobs } from './claims.ts';
import { hashFile } from './content.ts';
import { readJson, replaceFile, isRecord, readText } from './files.ts';
import { parseNames } from './names.ts';
import { LAYER } from './prune.ts';
import { childrenIn } from './reach.ts';
import type { LayerRecord, Store, StoredImage } from './types.ts';

/** What a check of the store found. */
export interface Findings {
  readonly checked: {
    readonly blobs: number;
    readonly images: number;
    readonly layers: number;
    readonly snapshots: number;
    readonly records: number;
  };
  /** Each as a sentence naming the thing. */
  readonly problems: readonly string[];
  readonly repaired: readonly string[];
}

/** One thing that is wrong, and what makes it right again. */
interface Problem {
  readonly message: string;
  /** What a killed process left: nothing leads to it, so it is no fault of the store, and a repair takes it away. */
  readonly garbage?: true;
  readonly repair: () => Promise<void>;
}

/**
 * Checks that every blob has the bytes that its name says, and that every record and name leads to what is there. With `repair` what is broken
 * is removed, so that it is made or pulled again, and so is what killed processes left. Holds the lock `store` exclusively.
 *
 * @param helper sees the snapshots of its id map; those of others are not looked at
 */
export async function fsck(
  store: Store,
  helper: Helper,
  { repair, ...options }: ActOptions & { readonly repair: boolean },
): Promise<Findings> {
  return await store.locks.with('store', 'exclusive', () => fsckLocked(store, helper, repair), options);
}

async function fsckLocked(store: Store, helper: Helper, repair: boolean): Promise<Findings> {
  const found: Problem[] = [];
  const repaired: string[] = [];
  /** Each check sees what the repairs of the ones before it left. */
  const check = async <T>(
    act: () => Promise<{ readonly count: T; readonly problems: readonly Problem[] }>,
  ): Promise<T> => {
    const { count, problems } = await act();
    found.push(...problems.filter(({ garbage }) => !garbage));
    if (!repair) return count;
    for (const problem of problems) {
      await problem.repair();
      repaired.push(problem.message);
    }
    return count;
  };
  await check(() => checkJson(store));
  const blobs = await check(() => checkBlobs(store));
  await check(() => checkIngests(store));
  const snapshots = await check(() => checkSnapshots(store, helper));
  const layers = await check(() => checkLayers(store, helper));
  const images = await check(() => checkImages(store));
  await check(() => checkIndexes(store));
  await check(() => checkNames(store));
  const records = await check(() => checkRecords(store));
  return {
    checked: { blobs, images, layers, snapshots, records },
    problems: found.map(({ message }) => message),
    repaired,
  };
}

/** Every record file is JSON. Their shapes are checked by their readers, which ignore what is wrong. */
async function checkJson({ root }: Store): Promise<{ readonly count: number; readonly problems: readonly Problem[] }> {
  const problems: Problem[] = [];
  let count = 0;
  for (const folder of ['images', 'records/layers', 'records/cache', 'records/context', 'records/repositories']) {
    for (const name of await readdir(join(root, folder))) {
      const path = join(root, folder, name);
      if (name.endsWith('.tmp'))
        problems.push({ message: `${folder}/${name} is half written`, garbage: true, repair: () => rm(path) });
      if (!name.endsWith('.json')) continue;
      count += 1;
      if (!('broken' in readJson(path))) continue;
      problems.push({ message: `${folder}/${name} is not JSON`, repair: () => restore(path) });
    }
  }
  return { count, problems };
}

/** The state before the last write, where there is one that can be read. */
async function restore(path: string): Promise<void> {
  const backup = readJson(`${path}.bak`);
  if ('value' in backup && isRecord(backup.value)) await replaceFile(path, readText(`${path}.bak`) ?? '');
  else await rm(path, { force: true });
}

async function checkBlobs({
  root,
  content,
}: Store): Promise<{ readonly count: number; readonly problems: readonly Problem[] }> {
  const problems: Problem[] = [];
  const names = await readdir(join(root, 'blobs', 'sha256'));
  for (const name of names) {
    const path = join(root, 'blobs', 'sha256', name);
    if (!LAYER.test(name)) {
      problems.push({
        message: `blobs/sha256/${name} is not named by a digest`,
        repair: () => rm(path, { recursive: true }),
      });
      continue;
    }
    const digest: Digest = `sha256:${name}`;
    const found = await hashFile(path);
    if (found !== digest)
      problems.push({ message: `blob ${digest} has other bytes: ${found}`, repair: () => content.remove(digest) });
  }
  return { count: names.length, problems };
}

async function checkIngests({
  root,
}: Store): Promise<{ readonly count: number; readonly problems: readonly Problem[] }> {
  const names = await readdir(join(root, 'ingest'));
  const problems = names.map((name) => ({
    message: `ingest/${name} is half written`,
    garbage: true as const,
    repair: () => rm(join(root, 'ingest', name), { recursive: true, force: true }),
  }));
  return { count: names.length, problems };
}

/** Every snapshot belongs to a layer record; uppers of containers are the helper's to judge. */
async function checkSnapshots(
  store: Store,
  helper: Helper,
): Promise<{ readonly count: number; readonly problems: readonly Problem[] }> {
  const names = await snapshotNames(helper);
  const known = new Set((await store.layers.list()).flatMap(({ snapshots }) => snapshots.map(({ name }) => name)));
  const problems = names
    .filter((name) => LAYER.test(name) && !known.has(name))
    .map((name) => ({
      message: `snapshot ${name} belongs to no layer`,
      garbage: true as const,
      repair: async () =>
        void (await helper.call('remove', { snapshots: [name], containers: [], force: false, garbage: false })),
    }));
  return { count: names.length, problems };
}

async function checkLayers(
  store: Store,
  helper: Helper,
): Promise<{ readonly count: number; readonly problems: readonly Problem[] }> {
  const there = new Set(await snapshotNames(helper));
  const records = await store.layers.list();
  const problems: Problem[] = [];
  for (const record of records) {
    const blobs = await Promise.all(
      record.blobs.map(async (blob) => isServed(record, blob.digest) || (await store.content.exists(blob))),
    );
    const kept = {
      blobs: record.blobs.filter((_, at) => blobs[at]),
      snapshots: record.snapshots.filter(({ idMap, name }) => idMap !== helper.idMapName || there.has(name)),
    };
    const missing = [
      ...record.blobs.filter((_, at) => !blobs[at]).map(({ digest }) => `blob ${digest}`),
      ...record.snapshots.filter((form) => !kept.snapshots.includes(form)).map(({ name }) => `snapshot ${name}`),
    ];
    if (missing.length === 0) continue;
    const lost = new Set(record.blobs.filter((_, at) => !blobs[at]).map(({ digest }) => digest));
    const isEmpty = kept.blobs.length + kept.snapshots.length === 0;
    problems.push({
      message: `layer ${record.diffId} names what is not there: ${missing.join(', ')}`,
      repair: () =>
        store.layers.update(record.diffId, (now) =>
          isEmpty ? undefined : { ...withoutBlobs(now, lost), snapshots: kept.snapshots },
        ),
    });
  }
  return { count: records.length, problems };
}

function isServed(record: LayerRecord, digest: Digest): boolean {
  return (record.sources[digest]?.length ?? 0) > 0;
}

/** Every image has its config, and its layers can be had; where it names a manifest, so can that one's blobs. */
async function checkImages(store: Store): Promise<{ readonly count: number; readonly problems: readonly Problem[] }> {
  const images = new Map((await store.images.list()).map((image) => [image.id, image]));
  const ids = (await readdir(join(store.root, 'images')))
    .filter((name) => name.endsWith('.json') && LAYER.test(name.slice(0, -5)))
    .map((name): Digest => `sha256:${name.slice(0, -5)}`);
  const problems: Problem[] = [];
  for (const id of ids) {
    const image = images.get(id);
    const lost = image ? await lostLayers(store, image) : ['its configuration'];
    if (lost.length > 0)
      problems.push({ message: `image ${id} lacks ${lost.join(', ')}`, repair: () => removeImage(store, id) });
    if (!image || lost.length > 0) continue;
    for (const manifest of image.manifests ?? []) {
      const blobs = await lostBlobs(store, { ...image, manifest });
      if (blobs.length === 0) continue;
      const message = `the manifest of image ${id} names what is not there: ${blobs.join(', ')}`;
      problems.push({ message, repair: () => store.images.forgetManifest(id, manifest.digest) });
    }
  }
  return { count: ids.length, problems };
}

/** Removes an image; the names of an index that it is of stay with another one of it. */
async function removeImage(store: Store, id: Digest): Promise<void> {
  const left = new Set((await store.images.list()).map((image) => image.id).filter((other) => other !== id));
  for (const { descriptor, members } of await store.images.indexes()) {
    if (!members.some((member) => member.id === id)) continue;
    const primary = await heirOf(store, descriptor.digest);
    const heir = members.map((member) => member.id).find((other) => left.has(other));
    await store.images.removeIndex(descriptor.digest, primary !== undefined && primary !== id ? primary : heir);
  }
  await store.images.remove(id);
}

async function lostLayers(store: Store, { config }: StoredImage): Promise<readonly string[]> {
  const records = config.rootfs.diff_ids.map(async (diffId) =>
    (await store.layers.getWhole(diffId)) ? [] : [`layer ${diffId}`],
  );
  return (await Promise.all(records)).flat();
}

async function lostBlobs(store: Store, { manifest, config }: StoredImage): Promise<readonly string[]> {
  if (!manifest) return [];
  if (!(await store.content.exists(manifest))) return [`manifest ${manifest.digest}`];
  const records = await Promise.all(config.rootfs.diff_ids.map((diffId) => store.layers.getWhole(diffId)));
  const served = new Set(
    records
      .flatMap((record) => record?.blobs.filter(({ digest }) => isServed(record, digest)) ?? [])
      .map(({ digest }) => digest),
  );
  const lost = (await childrenIn(store, manifest)).map(async (blob) =>
    served.has(blob.digest) || (await store.content.exists(blob)) ? [] : [`blob ${blob.digest}`],
  );
  return (await Promise.all(lost)).flat();
}

/** Every index is there with all its images, and what their manifests in it name. Of a broken one the names stay with an image that is there. */
async function checkIndexes(store: Store): Promise<{ readonly count: number; readonly problems: readonly Problem[] }> {
  const images = new Map((await store.images.list()).map((image) => [image.id, image]));
  const indexes = await store.images.indexes();
  const problems: Problem[] = [];
  for (const { descriptor, members, names } of indexes) {
    const lost = (await store.content.exists(descriptor)) ? [] : ['its bytes'];
    for (const { id, manifest } of members) {
      const image = images.get(id);
      lost.push(...(image ? await lostBlobs(store, { ...image, manifest }) : [`image ${id}`]));
    }
    if (lost.length === 0) continue;
    problems.push({
      message: `the index ${[descriptor.digest, ...names].join(' ')} lacks ${lost.join(', ')}`,
      repair: async () => store.images.removeIndex(descriptor.digest, await heirOf(store, descriptor.digest)),
    });
  }
  return { count: indexes.length, problems };
}

/** The image that stands for an index without those that are not there: that for this machine, where it has one. */
async function heirOf({ images }: Store, index: Digest): Promise<Digest | undefined> {
  const found = await images.find(index);
  return found?.id;
}

async function checkNames(store: Store): Promise<{ readonly count: number; readonly problems: readonly Problem[] }> {
  const file = readJson(join(store.root, 'images', 'names.json'));
  const names = 'value' in file ? (parseNames(file.value) ?? []) : [];
  const ids = new Set<unknown>([
    ...(await store.images.list()).map(({ id }) => id),
    ...(await store.images.indexes()).map(({ descriptor }) => descriptor.digest),
  ]);
  const problems = names
    .filter(({ id }) => !ids.has(id))
    .map(({ name, id, scope }) => ({
      message: `name ${name}${scope === undefined ? '' : ` of the scope ${scope}`} leads to ${id}, which is not there`,
      // In whatever scope a name is: all that lead there go.
      repair: () => store.images.removeIndex(id),
    }));
  return { count: names.length, problems };
}

async function checkRecords(store: Store): Promise<{ readonly count: number; readonly problems: readonly Problem[] }> {
  const records = await store.records.list();
  const problems: Problem[] = [];
  for (const { key, scope, diffId } of records) {
    if (diffId === null || (await store.layers.getWhole(diffId))) continue;
    problems.push({
      message: `cache record ${key} names layer ${diffId}, which is not there`,
      repair: () => store.records.remove(key, scope),
    });
  }
  return { count: records.length, problems };
}

async function snapshotNames(helper: Helper): Promise<readonly string[]> {
  return (await helper.call('usage', { names: [], measure: false })).snapshots.map(({ name }) => name);
}
