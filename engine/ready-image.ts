import { messageOf } from './base/errors.ts';
import type { ActOptions } from './base/progress.ts';
import { complete, readManifest } from './complete.ts';
import { sourcesOf, type Parts } from './connect.ts';
import { isGraphType } from './image/media-type.ts';
import type { Descriptor, Digest, Fetcher } from './image/types.ts';
import { repackImage } from './repack.ts';
import { lostLayerOf, LostLayerError, type StoredImage } from './store/index.ts';

/** An image that has a manifest, and where all that it names can be read. */
export interface ReadyImage {
  readonly image: StoredImage;
  readonly manifest: Descriptor;
  /** Blobs of the store; those that only a registry has come from there through memory, never over the disk. */
  readonly content: Fetcher;
  /** Places that serve each blob. */
  readonly sources: ReadonlyMap<Digest, readonly string[]>;
}

/**
 * Lets `act` read an image as a whole. A blob that the places known for it no longer give is made anew from the layer's files, where they are
 * here, and `act` is called again: each time one layer fewer can be lost, so it ends.
 *
 * @throws `LAYER_LOST` when the files are not here either; what `act` throws
 */
export async function withReadyImage<T>(
  parts: Parts,
  image: StoredImage,
  options: ActOptions,
  act: (ready: ReadyImage) => Promise<T>,
): Promise<T> {
  const lost = new Set<Digest>();
  for (let current = image; ;) {
    const manifest = await complete(parts, current, options);
    const sources = await sourcesOf(parts.store, current.config.rootfs.diff_ids);
    const content = await createContent(parts, current, manifest, sources);
    try {
      return await act({ image: current, manifest, content, sources });
    } catch (error) {
      const layer = lostLayerOf(error);
      if (layer === undefined || lost.has(layer) || options.signal?.aborted) throw error;
      lost.add(layer);
      options.onEvent?.({
        type: 'warning',
        message: `A layer cannot be fetched any more, so it is packed again from its files: ${messageOf(error)}`,
      });
      current = await repackImage(parts, current, layer, options);
    }
  }
}

async function createContent(
  { store, fetchBlob }: Parts,
  { config }: StoredImage,
  manifest: Descriptor,
  sources: ReadonlyMap<Digest, readonly string[]>,
): Promise<Fetcher> {
  const { layers } = await readManifest({ store }, manifest);
  const diffIds = new Map(layers.map(({ digest }, at) => [digest, config.rootfs.diff_ids[at]]));
  return {
    fetch: async function* (descriptor, { signal } = {}) {
      const places = sources.get(descriptor.digest) ?? [];
      const isRemote =
        places.length > 0 && !isGraphType(descriptor.mediaType) && !(await store.content.exists(descriptor));
      if (!isRemote) {
        yield* store.content.fetch(descriptor, { signal });
        return;
      }
      try {
        yield* fetchBlob(descriptor, places, { signal });
      } catch (error) {
        const diffId = diffIds.get(descriptor.digest);
        throw diffId === undefined || signal?.aborted ? error : new LostLayerError(diffId, error);
      }
    },
  };
}
