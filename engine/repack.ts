import { blobsOfBase } from './base-blobs.ts';
import { withVertex, type ActOptions } from './base/progress.ts';
import { DEFAULT_PACKING } from './packing.ts';
import type { Parts } from './connect.ts';
import { assembleManifest } from './image/assemble.ts';
import { OCI_CONFIG } from './image/media-type.ts';
import type { Descriptor, Digest, ImageConfig } from './image/types.ts';
import type { StoredImage } from './store/index.ts';

/**
 * The image with one layer packed anew from its files, since its blob is lost. The tar of a layer that another tool made cannot be made
 * again byte for byte: then its diff id, the configuration and the image id are new, and the names move to the new image.
 *
 * @throws `LAYER_LOST` when the layer's files are not here
 */
export async function repackImage(
  parts: Parts,
  image: StoredImage,
  lost: Digest,
  options: ActOptions,
): Promise<StoredImage> {
  const vertex = { id: `repack ${lost}`, name: 'packing a lost layer again' };
  return await withVertex(vertex, options.onEvent, async () => {
    const { store } = parts;
    const snapshots = await parts.snapshots(options);
    const old = image.config.rootfs.diff_ids;
    const own = await blobsOfBase(parts, image.manifest);
    const diffIds: Digest[] = [];
    const blobs: Descriptor[] = [];
    for (const [at, diffId] of old.entries()) {
      const chain = old.slice(0, at + 1);
      const came = own[at] ? [own[at]] : [];
      const act = { ...options, vertex: vertex.id, came };
      const made =
        diffId === lost
          ? await snapshots.repack(chain, DEFAULT_PACKING, act)
          : { diffId, blob: await snapshots.pack(chain, DEFAULT_PACKING, act) };
      diffIds.push(made.diffId);
      blobs.push(made.blob);
    }
    // The document itself, not what we know of it: fields of others stay.
    const document = JSON.parse((await store.content.read(image.id)).toString('utf8')) as ImageConfig;
    const changed = { ...document, rootfs: { ...document.rootfs, diff_ids: diffIds } };
    const config = await store.content.write(OCI_CONFIG, Buffer.from(JSON.stringify(changed)));
    const { descriptor, content } = assembleManifest(config, blobs);
    const manifest = await store.content.write(descriptor.mediaType, content);
    // Names of an index stay with it.
    const ofIndexes = (await store.images.indexes()).flatMap(({ names }) => names);
    const names = image.names.filter((name) => !ofIndexes.includes(name));
    await store.images.put({ id: config.digest, manifest, names });
    return await store.images.resolve(config.digest);
  });
}
