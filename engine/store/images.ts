import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError, isEngineError } from '../base/errors.ts';
import { encodedOf, isDigest } from '../image/digest.ts';
import type { Descriptor, Digest, ImageConfig, Manifest, Platform } from '../image/types.ts';
import { listFolder, readJson, replaceFile } from './files.ts';
import { asAsked, match, matchFor } from './image-match.ts';
import { isImageRecord, seenClaims, withoutManifest, withPut, type ImageRecord } from './image-record.ts';
import { createIndexRecords, withIndexes, type Snapshot } from './indexes.ts';
import { createNamesOf, pointNames, type NameFile, type Names } from './names.ts';
import type { ContentStore, ImageStore, LayerStore, Locks, StoredImage } from './types.ts';

/** What an image store stands on. */
export interface ImageStoreParts {
  readonly root: string;
  readonly content: Pick<ContentStore, 'read'>;
  readonly layers: Pick<LayerStore, 'getWhole'>;
  readonly locks: Locks;
  readonly names: NameFile;
  /** Whose names are made and moved, and seen before those of all; undefined: those of all, and no other is seen. */
  readonly scope?: string | undefined;
  /** What this machine runs: of an index, that image is meant. */
  readonly host: Platform;
  /** Called under the lock `image` after every change, to write `index.json` anew, with the names of all. */
  readonly changed: (images: () => Promise<Snapshot>) => Promise<void>;
  readonly warn: (message: string) => void;
}

/** `images/`: names and records, also of incomplete images; changes hold the lock `image`. */
export function createImageStore(parts: ImageStoreParts): ImageStore {
  const { root, locks, names, scope } = parts;
  const folder = join(root, 'images');
  const pathOf = (id: Digest): string => join(folder, `${encodedOf(id)}.json`);
  const records = createIndexRecords(folder, parts.warn);

  const readRecord = (id: Digest): ImageRecord | undefined => {
    const file = readJson(pathOf(id));
    if ('missing' in file) return undefined;
    if ('value' in file && isImageRecord(file.value) && file.value.id === id) return file.value;
    parts.warn(`The record of image ${id} cannot be read and is ignored`);
    return undefined;
  };
  const snapshotFor = async (seenBy: string | undefined): Promise<Snapshot> => {
    const namesOf = createNamesOf(await names.read(), seenBy);
    const files = listFolder(folder);
    const indexes = (await records.list(files)).map((index) => ({
      ...index,
      ...namesOf(index.descriptor.digest),
    }));
    const ids = files.map((name) => `sha256:${name.replace(/\.json$/, '')}`).filter(isDigest);
    const images = await Promise.all(ids.map(async (id) => load(parts, readRecord(id), { namesOf, scope: seenBy })));
    return withIndexes(
      images.filter((image) => image !== undefined),
      indexes,
      parts.host,
    );
  };
  const snapshot = (): Promise<Snapshot> => snapshotFor(scope);
  const list = async (): Promise<readonly StoredImage[]> => (await snapshot()).images;
  const find = async (nameOrId: string): Promise<StoredImage | undefined> =>
    asAsked(match(nameOrId, await snapshot()), nameOrId);
  const change = async (act: (found: Names) => Promise<Names | undefined>): Promise<void> =>
    locks.with('image', 'exclusive', async () => {
      const next = await act(await names.read());
      if (next) await names.write(next);
      await parts.changed(() => snapshotFor(undefined));
    });

  return {
    list,
    find,
    findFor: async (nameOrId, platform) => asAsked(matchFor(nameOrId, platform, await snapshot()), nameOrId),
    resolve: async (nameOrId) => {
      const image = await find(nameOrId);
      if (!image) throw imageNotFound(nameOrId);
      return image;
    },
    indexes: async () => (await snapshot()).indexes,
    put: (image) =>
      change(async (found) => {
        const old = readRecord(image.id);
        const record = withPut(old, image, scope);
        if (JSON.stringify(record) !== JSON.stringify(old)) await replaceFile(pathOf(image.id), JSON.stringify(record));
        const { names: added = [] } = image;
        return added.length > 0 ? pointNames(found, added, image.id, scope) : undefined;
      }),
    putIndex: ({ descriptor, members, names: added = [] }) =>
      change(async (found) => {
        await records.put({ descriptor, members });
        return pointNames(found, added, descriptor.digest, scope);
      }),
    forgetManifest: (id, digest) =>
      change(async () => {
        const record = readRecord(id);
        if (record) await replaceFile(pathOf(id), JSON.stringify(withoutManifest(record, digest)));
        return undefined;
      }),
    tag: (id, name) => change((found) => Promise.resolve(pointNames(found, [name], id, scope))),
    untag: (name) =>
      change((found) => {
        const left = found.filter((one) => one.name !== name || one.scope !== scope);
        if (left.length === found.length && found.some((one) => one.name === name && one.scope === undefined))
          throw nameOfAll(name);
        return Promise.resolve(left);
      }),
    remove: (id) =>
      change(async (found) => {
        const holders = (await records.list())
          .filter(({ members }) => members.some((member) => member.id === id))
          .map(({ descriptor }) => descriptor.digest);
        const gone = new Set([id, ...holders]);
        // Names first: killed in between, the image is without a name, and no name without an image.
        await names.write(found.filter((one) => !gone.has(one.id)));
        for (const digest of holders) await records.remove(digest);
        await rm(pathOf(id), { force: true });
        return undefined;
      }),
    dropUnnamedIndex: (digest) =>
      change(async (found) => {
        if (!found.some(({ id }) => id === digest)) await records.remove(digest);
        return undefined;
      }),
    removeIndex: (digest, heir) =>
      change(async (found) => {
        const left = found.flatMap((one) => {
          if (one.id !== digest) return [one];
          return heir === undefined ? [] : [{ ...one, id: heir }];
        });
        await names.write(left);
        await records.remove(digest);
        return undefined;
      }),
  };
}

/** The image of a record; undefined, with a warning, when its configuration is gone. */
async function load(
  { content, layers, warn }: ImageStoreParts,
  record: ImageRecord | undefined,
  { namesOf, scope }: { readonly namesOf: ReturnType<typeof createNamesOf>; readonly scope: string | undefined },
): Promise<StoredImage | undefined> {
  if (!record) return undefined;
  const { manifest, base, repoDigests, pulled, manifests } = seenClaims(record, scope);
  try {
    const config = JSON.parse((await content.read(record.id)).toString('utf8')) as ImageConfig;
    return {
      id: record.id,
      config,
      manifest,
      ...namesOf(record.id),
      ...(pulled.length > 0 && { pulled }),
      ...(manifests.length > 0 && { manifests }),
      ...(base && { base }),
      repoDigests,
      size: await sizeOf({ content, layers }, manifest, config),
    };
  } catch (error) {
    if (!(error instanceof SyntaxError) && !isEngineError(error)) throw error;
    warn(`The image ${record.id} is ignored: ${error.message}`);
    return undefined;
  }
}

/** Bytes of the plain layers, as `history` shows them one by one; of the blobs as long as layers have not been unpacked here. */
async function sizeOf(
  { content, layers }: Pick<ImageStoreParts, 'content' | 'layers'>,
  known: Descriptor | undefined,
  config: ImageConfig,
): Promise<number> {
  const found = await Promise.all(config.rootfs.diff_ids.map((diffId) => layers.getWhole(diffId)));
  const plain = found.map((layer) => layer?.size);
  const manifest = plain.includes(undefined) && known ? await readManifest(content, known.digest) : undefined;
  if (manifest) return manifest.layers.reduce((sum, layer) => sum + layer.size, manifest.config.size);
  return plain.reduce<number>((sum, size = 0) => sum + size, 0);
}

/** A manifest of the store; undefined when it is lost, which fsck says. */
async function readManifest(content: Pick<ContentStore, 'read'>, digest: Digest): Promise<Manifest | undefined> {
  try {
    return JSON.parse((await content.read(digest)).toString('utf8')) as Manifest;
  } catch (error) {
    if (error instanceof SyntaxError || isEngineError(error)) return undefined;
    throw error;
  }
}

function imageNotFound(nameOrId: string): EngineError {
  return new EngineError('IMAGE_NOT_FOUND', `Cannot find the image ${nameOrId}: it is not in the store`, {
    hint: '`berth images` lists what is there; `berth pull` gets an image from its registry',
  });
}

function nameOfAll(name: string): EngineError {
  return new EngineError('IMAGE_IN_USE', `Cannot remove the name ${name}: it belongs to all who use the store`, {
    hint: 'Remove it without BERTH_CACHE_SCOPE',
  });
}
