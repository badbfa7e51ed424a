import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError, isEngineError } from '../base/errors.ts';
import { encodedOf, isDigest } from '../image/digest.ts';
import { formatReference, nameOf, parseReference, withDefaultTag } from '../image/reference.ts';
import type { Descriptor, Digest, ImageConfig, Manifest } from '../image/types.ts';
import { isRecord, readJson, replaceFile } from './files.ts';
import type { NameFile, Names } from './names.ts';
import type { ContentStore, ImageStore, LayerStore, Locks, StoredImage } from './types.ts';

/** `images/<id>.json`. */
interface ImageRecord {
  readonly v: 1;
  readonly id: Digest;
  readonly manifest?: Descriptor | undefined;
  readonly repoDigests: readonly string[];
}

/** What an image store stands on. */
export interface ImageStoreParts {
  readonly root: string;
  readonly content: Pick<ContentStore, 'read'>;
  readonly layers: Pick<LayerStore, 'get'>;
  readonly locks: Locks;
  readonly names: NameFile;
  /** Called under the lock `image` after every change, to write `index.json` anew. */
  readonly changed: (images: () => Promise<readonly StoredImage[]>) => Promise<void>;
  readonly warn: (message: string) => void;
}

/** `images/`: names and records, also of incomplete images; changes hold the lock `image`. */
export function createImageStore(parts: ImageStoreParts): ImageStore {
  const { root, locks, names } = parts;
  const folder = join(root, 'images');
  const pathOf = (id: Digest): string => join(folder, `${encodedOf(id)}.json`);

  const readRecord = async (id: Digest): Promise<ImageRecord | undefined> => {
    const file = await readJson(pathOf(id));
    if ('missing' in file) return undefined;
    if ('value' in file && isImageRecord(file.value) && file.value.id === id) return file.value;
    parts.warn(`The record of image ${id} cannot be read and is ignored`);
    return undefined;
  };
  const list = async (): Promise<readonly StoredImage[]> => {
    const found = await names.read();
    const ids = (await readdir(folder)).map((name) => `sha256:${name.replace(/\.json$/, '')}`).filter(isDigest);
    const images = await Promise.all(ids.map(async (id) => load(parts, await readRecord(id), found)));
    return images.filter((image) => image !== undefined);
  };
  const change = async (act: (found: Names) => Promise<Names | undefined>): Promise<void> =>
    locks.with('image', 'exclusive', async () => {
      const next = await act(await names.read());
      if (next) await names.write(next);
      await parts.changed(list);
    });

  return {
    list,
    find: async (nameOrId) => match(nameOrId, await list()),
    resolve: async (nameOrId) => {
      const image = match(nameOrId, await list());
      if (!image) throw imageNotFound(nameOrId);
      return image;
    },
    put: ({ id, manifest, names: added = [], repoDigests = [] }) =>
      change(async (found) => {
        const old = await readRecord(id);
        const record: ImageRecord = {
          v: 1,
          id,
          manifest: manifest ?? old?.manifest,
          repoDigests: [...new Set([...(old?.repoDigests ?? []), ...repoDigests])],
        };
        if (JSON.stringify(record) !== JSON.stringify(old)) await replaceFile(pathOf(id), JSON.stringify(record));
        return added.length > 0 ? new Map([...found, ...added.map((name) => [name, id] as const)]) : undefined;
      }),
    forgetManifest: (id) =>
      change(async () => {
        const record = await readRecord(id);
        if (record) await replaceFile(pathOf(id), JSON.stringify({ v: 1, id, repoDigests: record.repoDigests }));
        return undefined;
      }),
    tag: (id, name) => change(async (found) => new Map([...found, [name, id]])),
    untag: (name) => change(async (found) => new Map([...found].filter(([other]) => other !== name))),
    remove: (id) =>
      change(async (found) => {
        // Names first: killed in between, the image is without a name, and no name without an image.
        await names.write(new Map([...found].filter(([, other]) => other !== id)));
        await rm(pathOf(id), { force: true });
        return undefined;
      }),
  };
}

/** The image of a record; undefined, with a warning, when its configuration is gone. */
async function load(
  { content, layers, warn }: ImageStoreParts,
  record: ImageRecord | undefined,
  names: Names,
): Promise<StoredImage | undefined> {
  if (!record) return undefined;
  try {
    const config = JSON.parse((await content.read(record.id)).toString('utf8')) as ImageConfig;
    return {
      id: record.id,
      config,
      manifest: record.manifest,
      names: [...names].filter(([, id]) => id === record.id).map(([name]) => name),
      repoDigests: record.repoDigests,
      size: await sizeOf({ content, layers }, record, config),
    };
  } catch (error) {
    if (!(error instanceof SyntaxError) && !isEngineError(error)) throw error;
    warn(`The image ${record.id} is ignored: ${error.message}`);
    return undefined;
  }
}

/** Bytes of the blobs where there is a manifest, else of the plain layers. */
async function sizeOf(
  { content, layers }: Pick<ImageStoreParts, 'content' | 'layers'>,
  record: ImageRecord,
  config: ImageConfig,
): Promise<number> {
  const manifest = record.manifest && (await readManifest(content, record.manifest.digest));
  if (manifest) return manifest.layers.reduce((sum, layer) => sum + layer.size, manifest.config.size);
  const records = await Promise.all(config.rootfs.diff_ids.map((diffId) => layers.get(diffId)));
  return records.reduce((sum, layer) => sum + (layer?.size ?? 0), 0);
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

/** By id or digest, by name, then by prefix of an id, as Docker looks. */
function match(nameOrId: string, images: readonly StoredImage[]): StoredImage | undefined {
  const id = /^[0-9a-f]{64}$/.test(nameOrId) ? `sha256:${nameOrId}` : nameOrId;
  const exact = images.find((image) => image.id === id || image.manifest?.digest === id);
  return exact ?? byName(nameOrId, images) ?? byPrefix(nameOrId, images);
}

function byName(text: string, images: readonly StoredImage[]): StoredImage | undefined {
  const reference = parse(text);
  if (!reference) return undefined;
  const { digest } = reference;
  if (digest === undefined) {
    const name = formatReference(withDefaultTag(reference));
    return images.find((image) => image.names.includes(name));
  }
  const name = nameOf(reference);
  // A manifest in an index has a digest of its own, beside the index's that the name was pulled by.
  const isOf = (image: StoredImage): boolean => image.repoDigests.some((place) => place.startsWith(`${name}@`));
  return images.find(
    (image) => image.repoDigests.includes(`${name}@${digest}`) || (image.manifest?.digest === digest && isOf(image)),
  );
}

function parse(text: string): ReturnType<typeof parseReference> | undefined {
  try {
    return parseReference(text);
  } catch (error) {
    if (isEngineError(error, 'REFERENCE_INVALID')) return undefined;
    throw error;
  }
}

function byPrefix(text: string, images: readonly StoredImage[]): StoredImage | undefined {
  const prefix = text.replace(/^sha256:/, '');
  if (!/^[0-9a-f]{1,63}$/.test(prefix)) return undefined;
  const found = images.filter((image) => encodedOf(image.id).startsWith(prefix));
  if (found.length > 1) {
    throw new EngineError('AMBIGUOUS', `Cannot find one image by ${text}: ${found.length} ids begin with it`, {
      hint: `Give more digits: ${found.map((image) => encodedOf(image.id).slice(0, 12)).join(', ')}`,
    });
  }
  return found[0];
}

function imageNotFound(nameOrId: string): EngineError {
  return new EngineError('IMAGE_NOT_FOUND', `Cannot find the image ${nameOrId}: it is not in the store`, {
    hint: '`berth images` lists what is there; `berth pull` gets an image from its registry',
  });
}

function isImageRecord(value: unknown): value is ImageRecord {
  return (
    isRecord(value) &&
    value.v === 1 &&
    isDigest(value.id) &&
    (value.manifest === undefined || (isRecord(value.manifest) && isDigest(value.manifest.digest))) &&
    Array.isArray(value.repoDigests) &&
    value.repoDigests.every((text) => typeof text === 'string')
  );
}
