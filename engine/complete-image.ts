import { withVertex, type ActOptions } from './base/progress.ts';
import type { Parts } from './connect.ts';
import { readManifest } from './complete.ts';
import { copyGraph } from './image/copy.ts';
import type { LayoutImage } from './archive/layout.ts';
import { withReadyImage } from './ready-image.ts';
import type { StoredImage } from './store/index.ts';

/**
 * The image with all its blobs here: what only a registry has is fetched, since what is written cannot be taken back half way.
 *
 * @param how `keep: false` leaves an image that the store does not list out of its list
 */
export async function bringImage(
  parts: Parts,
  image: StoredImage,
  options: ActOptions,
  { keep = true }: { readonly keep?: boolean } = {},
): Promise<StoredImage> {
  const { store } = parts;
  return await withReadyImage(parts, image, options, async ({ image: ready, manifest, content }) => {
    const { id } = ready;
    const vertex = { id: `collect ${id}`, name: 'collecting blobs' };
    await withVertex(vertex, options.onEvent, async () => {
      await copyGraph(content, store.content, manifest, { ...options, vertex: vertex.id });
    });
    if (!keep) return { ...ready, manifest };
    await store.images.put({ id, manifest });
    return await store.images.resolve(id);
  });
}

/** An image that {@link bringImage} gave, for an archive. */
export async function toLayoutImage(
  { store }: Pick<Parts, 'store'>,
  { manifest, config }: StoredImage,
  names: readonly string[],
): Promise<LayoutImage> {
  if (!manifest) throw new Error('An image without a manifest cannot be written');
  const { architecture, os, variant } = config;
  return {
    manifest,
    content: await readManifest({ store }, manifest),
    platform: { architecture, os, ...(variant === undefined ? {} : { variant }) },
    names,
    created: config.created,
  };
}
