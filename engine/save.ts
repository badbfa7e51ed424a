import { layoutFiles, blobName, type LayoutFormat, type LayoutImage, type LayoutIndex } from './archive/layout.ts';
import { writeTar, type ArchiveEntry } from './archive/write.ts';
import type { ActOptions } from './base/progress.ts';
import { bringImage, toLayoutImage } from './complete-image.ts';
import type { Parts } from './connect.ts';
import type { SaveOptions } from './engine.ts';
import { bringIndex, toLayoutIndex } from './image-index.ts';
import { formatReference, nameOf, parseAnyReference, withDefaultTag } from './image/reference.ts';
import type { Digest } from './image/types.ts';
import { withStore } from './leftovers.ts';
import type { StoredImage } from './store/index.ts';

/**
 * A `docker save`: the images with the names that they were asked for by, streamed. All blobs are here before the first byte goes out.
 *
 * @throws `IMAGE_NOT_FOUND` before anything is written; `LAYER_LOST`
 */
export async function saveImages(
  parts: Parts,
  names: readonly string[],
  { write, format = 'docker', ...options }: SaveOptions & ActOptions,
): Promise<void> {
  await withStore(parts, options, async () => {
    const wanted = await chooseImages(parts, names);
    const images: (LayoutImage | LayoutIndex)[] = [];
    for (const { image, names: own } of wanted) images.push(await layoutOf(parts, image, own, options));
    for await (const chunk of archiveOf(parts, images, format, options)) {
      options.signal?.throwIfAborted();
      await write(chunk);
    }
  });
}

/** What is written of an image; of one for several platforms all of it, that of this machine first. */
async function layoutOf(
  parts: Parts,
  image: StoredImage,
  names: readonly string[],
  options: ActOptions,
): Promise<LayoutImage | LayoutIndex> {
  if (!image.index) return await toLayoutImage(parts, await bringImage(parts, image, options), names);
  const { index, images } = await bringIndex(parts, image.index, options);
  const ordered = [...images].sort((a, b) => Number(b.id === image.id) - Number(a.id === image.id));
  return await toLayoutIndex(parts, index.descriptor, ordered, names);
}

/** The archive of images whose blobs are all here. */
export function archiveOf(
  { store }: Pick<Parts, 'store'>,
  images: readonly (LayoutImage | LayoutIndex)[],
  format: LayoutFormat,
  { signal }: ActOptions = {},
): AsyncGenerator<Uint8Array> {
  const { files, blobs } = layoutFiles(images, format);
  const entries: readonly ArchiveEntry[] = [
    ...Object.entries(files).map(([name, content]) => ({ name, size: content.length, content })),
    ...blobs.map((blob) => ({
      name: blobName(blob.digest),
      size: blob.size,
      content: store.content.fetch(blob, { signal }),
    })),
  ];
  return writeTar(entries);
}

interface Wanted {
  readonly image: StoredImage;
  readonly names: string[];
}

/** Each image once, with its names in the order in which they were asked for. A repository without a tag means all its tags, as Docker's. */
async function chooseImages({ store }: Parts, names: readonly string[]): Promise<readonly Wanted[]> {
  const wanted = new Map<Digest, Wanted>();
  const all = await store.images.list();
  for (const name of names) {
    const tags = tagsOf(all, name);
    const named = tags.map(async (tag) => ({ image: await store.images.resolve(tag), names: [tag] }));
    const images =
      tags.length > 0 ? await Promise.all(named) : [{ image: await store.images.resolve(name), names: [] }];
    for (const { image, names: own } of images) {
      const id = image.index?.descriptor.digest ?? image.id;
      const known = wanted.get(id) ?? { image, names: [] };
      known.names.push(...own.filter((tag) => !known.names.includes(tag)));
      wanted.set(id, known);
    }
  }
  return [...wanted.values()];
}

function tagsOf(images: readonly StoredImage[], text: string): readonly string[] {
  const reference = parse(text);
  if (reference === undefined || 'id' in reference || reference.digest !== undefined) return [];
  const full = formatReference(withDefaultTag(reference));
  const isMeant = (name: string): boolean =>
    reference.tag === undefined ? name.startsWith(`${nameOf(reference)}:`) : name === full;
  return images.flatMap((image) => image.names.filter(isMeant));
}

function parse(text: string): ReturnType<typeof parseAnyReference> | undefined {
  try {
    return parseAnyReference(text);
  } catch {
    // An id's prefix; the store says when it is nothing at all.
    return undefined;
  }
}
