import { withVertex, type ActOptions } from './base/progress.ts';
import { DEFAULT_PACKING } from './build-blobs.ts';
import type { Parts } from './connect.ts';
import { assembleManifest } from './image/assemble.ts';
import { parseManifest } from './image/manifest.ts';
import { OCI_CONFIG } from './image/media-type.ts';
import type { Descriptor, Digest, Manifest } from './image/types.ts';
import type { StoredImage } from './store/index.ts';

/**
 * The manifest of an image: the one it has when its blobs can be had, else a new one over blobs that are made now. The same layers give the
 * same bytes, so that an image is completed once and its digest stays.
 */
export async function complete(parts: Parts, image: StoredImage, options: ActOptions = {}): Promise<Descriptor> {
  const known = image.manifest;
  if (known && (await canBeHad(parts, known, image.config.rootfs.diff_ids))) return known;
  const vertex = { id: `pack ${image.id}`, name: 'packing layers' };
  return await withVertex(vertex, options.onEvent, async () => {
    const snapshots = await parts.snapshots(options);
    const diffIds = image.config.rootfs.diff_ids;
    const blobs: Descriptor[] = [];
    for (const [at] of diffIds.entries()) {
      blobs.push(await snapshots.pack(diffIds.slice(0, at + 1), DEFAULT_PACKING, { ...options, vertex: vertex.id }));
    }
    const size = (await parts.store.content.read(image.id)).length;
    const manifest = assembleManifest({ mediaType: OCI_CONFIG, digest: image.id, size }, blobs);
    const descriptor = await parts.store.content.write(manifest.descriptor.mediaType, manifest.content);
    await parts.store.images.put({ id: image.id, manifest: descriptor });
    return descriptor;
  });
}

/** True when manifest, config and every layer's blob are here or known to a registry. */
async function canBeHad({ store }: Parts, manifest: Descriptor, diffIds: readonly Digest[]): Promise<boolean> {
  if (!(await store.content.exists(manifest))) return false;
  const { layers } = await readManifest({ store }, manifest);
  const there = layers.map(async (blob, at) => {
    if (await store.content.exists(blob)) return true;
    const diffId = diffIds[at];
    const record = diffId && (await store.layers.get(diffId));
    return (record?.sources[blob.digest]?.length ?? 0) > 0;
  });
  return (await Promise.all(there)).every(Boolean);
}

/** A manifest of the store. */
export async function readManifest(
  { store }: Pick<Parts, 'store'>,
  { digest, mediaType }: Descriptor,
): Promise<Manifest> {
  return parseManifest(await store.content.read(digest), { what: `the manifest ${digest}`, mediaType });
}
