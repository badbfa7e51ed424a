import type { ActOptions } from './base/progress.ts';
import type { LayoutImage, LayoutIndex } from './archive/layout.ts';
import { bringImage, toLayoutImage } from './complete-image.ts';
import { complete } from './complete.ts';
import type { Parts } from './connect.ts';
import { assembleIndex } from './image/assemble.ts';
import { DOCKER_INDEX } from './image/media-type.ts';
import type { Descriptor } from './image/types.ts';
import type { IndexMember, Store, StoredImage, StoredIndex } from './store/index.ts';

/** An image of an index, with the manifest that the index names, and no names of the index: those are not to move with it. */
export async function memberImage(
  { store }: Pick<Parts, 'store'>,
  { names }: StoredIndex,
  { id, manifest }: IndexMember,
): Promise<StoredImage> {
  const { index: _, ...image } = await store.images.resolve(id);
  return { ...image, manifest, names: image.names.filter((name) => !names.includes(name)) };
}

/**
 * The index over the manifests that its images have now: the same one, unless a lost layer had to be packed again. Then there is a new one,
 * which takes the names over that this scope has.
 */
export async function renewIndex(
  { store }: { readonly store: Pick<Store, 'content' | 'images'> },
  index: StoredIndex,
  members: readonly IndexMember[],
  { onEvent }: ActOptions,
): Promise<StoredIndex> {
  const isSame = members.every(({ manifest }, at) => manifest.digest === index.members[at]?.manifest.digest);
  if (isSame) return index;
  const { descriptor, content } = assembleIndex(members, { docker: index.descriptor.mediaType === DOCKER_INDEX });
  await store.content.write(descriptor.mediaType, content);
  // Names of other scopes stay where they are: what is lost to us may be none of their loss.
  await store.images.putIndex({ descriptor, members, names: index.names });
  await store.images.dropUnnamedIndex(index.descriptor.digest);
  const name = index.names[0] ?? index.descriptor.digest;
  const message = `${name} has the digest ${descriptor.digest} from now on: layers that were lost had to be packed again`;
  onEvent?.({ type: 'warning', message });
  return { ...index, descriptor, members };
}

/** The index over manifests whose blobs are here, or can be had where they are known to lie: nothing is fetched for it. */
export async function completeIndex(parts: Parts, index: StoredIndex, options: ActOptions): Promise<StoredIndex> {
  const members: IndexMember[] = [];
  for (const member of index.members) {
    const manifest = await complete(parts, await memberImage(parts, index, member), options);
    members.push({ ...member, manifest });
  }
  return await renewIndex(parts, index, members, options);
}

/** The index with all blobs of its images here, and these. */
export async function bringIndex(
  parts: Parts,
  index: StoredIndex,
  options: ActOptions,
): Promise<{ readonly index: StoredIndex; readonly images: readonly StoredImage[] }> {
  const images: StoredImage[] = [];
  const members: IndexMember[] = [];
  for (const member of index.members) {
    const image = await bringImage(parts, await memberImage(parts, index, member), options, { keep: false });
    images.push(image);
    members.push({ ...member, id: image.id, manifest: image.manifest ?? member.manifest });
  }
  return { index: await renewIndex(parts, index, members, options), images };
}

/** The index of images that {@link bringIndex} or a build brought, for an archive. */
export async function toLayoutIndex(
  parts: Pick<Parts, 'store'>,
  index: Descriptor,
  images: readonly StoredImage[],
  names: readonly string[],
): Promise<LayoutIndex> {
  const layouts: LayoutImage[] = [];
  for (const image of images) layouts.push(await toLayoutImage(parts, image, []));
  return { index, images: layouts, names, created: images[0]?.config.created };
}
