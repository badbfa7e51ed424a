import { childrenOf, parseGraphNode } from '../image/manifest.ts';
import { isGraphType } from '../image/media-type.ts';
import type { Descriptor, Digest } from '../image/types.ts';
import { isNamed } from './names.ts';
import type { CacheRecord, ImageStore, Store, StoredImage, StoredIndex } from './types.ts';

/** What is in use: everything that an image, a container, a repository or a cache record leads to. */
export interface Reachable {
  readonly blobs: ReadonlySet<Digest>;
  readonly layers: ReadonlySet<Digest>;
}

/** Where the walk begins. */
export interface Roots {
  readonly images: readonly StoredImage[];
  /** Ids of images that containers run, also when their records are gone. */
  readonly used: readonly Digest[];
  readonly records: readonly CacheRecord[];
}

/** Walks from the roots to blobs and layers. A root that cannot be read leads nowhere: fsck names it. */
export async function findReachable(store: Store, { images, used, records }: Roots): Promise<Reachable> {
  const blobs = new Set<Digest>();
  const layers = new Set<Digest>();
  const there = new Set(images.map(({ id }) => id));
  for (const { descriptor, members } of await store.images.indexes()) {
    // An index goes with the first image of it that goes.
    if (members.every(({ id }) => there.has(id))) await addGraph(store, descriptor, blobs);
  }
  for (const { id, config, manifests = [] } of images) {
    blobs.add(id);
    for (const diffId of config.rootfs.diff_ids) layers.add(diffId);
    for (const manifest of manifests) await addGraph(store, manifest, blobs);
  }
  for (const id of used) {
    blobs.add(id);
    for (const diffId of await diffIdsOf(store, id)) layers.add(diffId);
  }
  for (const { manifests } of await store.repositories.list()) {
    for (const manifest of manifests) await addGraph(store, manifest, blobs);
  }
  for (const { diffId } of records) if (diffId !== null) layers.add(diffId);
  for (const diffId of layers)
    for (const { digest } of (await store.layers.getWhole(diffId))?.blobs ?? []) blobs.add(digest);
  return { blobs, layers };
}

async function addGraph(store: Store, descriptor: Descriptor, blobs: Set<Digest>): Promise<void> {
  if (blobs.has(descriptor.digest)) return;
  blobs.add(descriptor.digest);
  if (!isGraphType(descriptor.mediaType)) return;
  for (const child of await childrenIn(store, descriptor)) await addGraph(store, child, blobs);
}

/** What a manifest or index names; nothing when it is missing or broken. */
export async function childrenIn(store: Store, { digest, mediaType }: Descriptor): Promise<readonly Descriptor[]> {
  try {
    return childrenOf(parseGraphNode(await store.content.read(digest), { what: `the manifest ${digest}`, mediaType }));
  } catch {
    return [];
  }
}

async function diffIdsOf({ content }: Store, id: Digest): Promise<readonly Digest[]> {
  try {
    const config = JSON.parse((await content.read(id)).toString('utf8')) as StoredImage['config'];
    return config.rootfs.diff_ids;
  } catch {
    return [];
  }
}

/** Which images stay. */
export interface KeptImages {
  /** Ids of images that containers run: these stay in any case. */
  readonly used: readonly Digest[];
  /** Whether an image stays for another reason. */
  readonly keep: (image: StoredImage) => boolean;
  /** Of the rest: none, or those with a name. */
  readonly rest: 'used' | 'named';
}

/** Parts the images into those that stay and those that go; with one of an index all of it stays. Also gives the indexes that go by themselves. */
export async function keptImages(
  images: Pick<ImageStore, 'list' | 'indexes'>,
  { used, keep, rest }: KeptImages,
): Promise<{
  readonly kept: readonly StoredImage[];
  readonly dropped: readonly StoredImage[];
  readonly indexes: readonly StoredIndex[];
}> {
  const all = await images.list();
  const indexes = await images.indexes();
  const wanted = new Set(all.filter(keep).map(({ id }) => id));
  const isWanted = ({ members }: StoredIndex): boolean => members.some(({ id }) => wanted.has(id));
  const stays = (image: StoredImage): boolean =>
    used.includes(image.id) ||
    wanted.has(image.id) ||
    (rest === 'named' && (isNamed(image) || image.partOf !== undefined)) ||
    indexes.some(
      (index) =>
        index.members.some(({ id }) => id === image.id) &&
        (isWanted(index) || (isNamed(index) && index.members.some(({ id }) => used.includes(id)))),
    );
  return {
    kept: all.filter(stays),
    dropped: all.filter((image) => !stays(image)),
    indexes: indexes.filter((index) => !isNamed(index) && !isWanted(index)),
  };
}
