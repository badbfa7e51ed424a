import { withVertex, type ActOptions } from './base/progress.ts';
import type { Parts } from './connect.ts';
import { readManifest, wrongBlobs } from './complete.ts';
import { copyGraph } from './image/copy.ts';
import type { LayoutImage } from './archive/layout.ts';
import { withReadyImage } from './ready-image.ts';
import type { StoredImage } from './store/index.ts';

/**
 * The image with all its blobs here: what only a registry has is fetched, since what is written cannot be taken back half way. Each blob is known
 * to hold its layer.
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
  const brought = await withReadyImage(parts, image, options, async ({ image: ready, manifest, content }) => {
    const { id, config } = ready;
    const vertex = { id: `collect ${id}`, name: 'collecting blobs' };
    await withVertex(vertex, options.onEvent, async () => {
      await copyGraph(content, store.content, manifest, { ...options, vertex: vertex.id });
    });
    const wrong = await wrongBlobs(parts, manifest, config.rootfs.diff_ids, options);
    if (wrong.length > 0) return { wrong: { ...ready, manifest } };
    // Now complete: put writes it into index.json.
    if (keep) await store.images.put({ id, manifest, instead: manifest.digest });
    return { found: { ...(keep ? await store.images.resolve(id) : ready), manifest } };
  });
  // Those blobs are forgotten: what is completed next has others.
  return brought.found ?? (await bringImage(parts, brought.wrong, options, { keep }));
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
