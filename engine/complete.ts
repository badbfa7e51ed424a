import { blobsOfBase } from './base-blobs.ts';
import { withVertex, type ActOptions } from './base/progress.ts';
import { EngineError, isEngineError } from './base/errors.ts';
import { DEFAULT_PACKING } from './packing.ts';
import type { Parts } from './connect.ts';
import { assembleManifest } from './image/assemble.ts';
import { parseManifest } from './image/manifest.ts';
import { OCI_CONFIG } from './image/media-type.ts';
import type { Descriptor, Digest, Manifest } from './image/types.ts';
import { holdsLayer, type StoredImage } from './store/index.ts';

/**
 * The manifest of an image: the one it has when its blobs can be had, else a new one over blobs that are made now. The same layers give the
 * same bytes, so that an image is completed once and its digest stays. Of the blobs that are here each is known to hold its layer; one that only
 * a registry has goes with the manifest that named it, as it came.
 */
export async function complete(parts: Parts, image: StoredImage, options: ActOptions = {}): Promise<Descriptor> {
  const known = image.manifest;
  const wrong: Digest[] = [];
  if (known && (await canBeHad(parts, known, image.config.rootfs.diff_ids))) {
    wrong.push(...(await wrongBlobs(parts, known, image.config.rootfs.diff_ids, options)));
    if (wrong.length === 0) return known;
    await parts.store.images.forgetManifest(image.id, known.digest);
    const message = `The manifest ${known.digest} of image ${image.id} is not used any more: it names ${wrong.join(', ')}, and the image's layer is another`;
    options.onEvent?.({ type: 'warning', message });
  }
  try {
    return await packAnew(parts, image, options);
  } catch (error) {
    throw wrong.length > 0 && isEngineError(error, 'LAYER_MISSING') ? otherLayers(image.id, wrong, error) : error;
  }
}

/** A manifest over blobs of all layers: those that are known, or came with the image, and for the rest new ones. */
async function packAnew(parts: Parts, image: StoredImage, options: ActOptions): Promise<Descriptor> {
  const known = image.manifest;
  const vertex = { id: `pack ${image.id}`, name: 'packing layers' };
  return await withVertex(vertex, options.onEvent, async () => {
    const snapshots = await parts.snapshots(options);
    const diffIds = image.config.rootfs.diff_ids;
    const own = await blobsOfBase(parts, known);
    const below = await blobsOfBase(parts, image.base);
    const blobs: Descriptor[] = [];
    for (const [at] of diffIds.entries()) {
      const came = [own[at], below[at]].filter((blob) => blob !== undefined);
      const act = { ...options, vertex: vertex.id, came };
      blobs.push(await snapshots.pack(diffIds.slice(0, at + 1), DEFAULT_PACKING, act));
    }
    const size = (await parts.store.content.read(image.id)).length;
    const manifest = assembleManifest({ mediaType: OCI_CONFIG, digest: image.id, size }, blobs);
    const descriptor = await parts.store.content.write(manifest.descriptor.mediaType, manifest.content);
    await parts.store.images.put({ id: image.id, manifest: descriptor, instead: known?.digest });
    return descriptor;
  });
}

function otherLayers(id: Digest, wrong: readonly Digest[], cause: unknown): EngineError {
  return new EngineError(
    'CONTENT_MISMATCH',
    `Cannot use the blobs of image ${id}: ${wrong.join(', ')} does not hold its layer, and nothing else that is here does`,
    { hint: 'Pull or load the image again from a place that you trust', cause },
  );
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

/** Blobs of a manifest that are here, and turn out to hold something else than the layers; each is looked into once. */
export async function wrongBlobs(
  { store }: Pick<Parts, 'store'>,
  manifest: Descriptor,
  diffIds: readonly Digest[],
  { signal }: ActOptions,
): Promise<readonly Digest[]> {
  const wrong: Digest[] = [];
  for (const [at, blob] of (await readManifest({ store }, manifest)).layers.entries()) {
    const diffId = diffIds[at];
    if (diffId === undefined || !(await store.content.exists(blob))) continue;
    if ((await holdsLayer(store, diffId, blob, signal)) === false) wrong.push(blob.digest);
  }
  return wrong;
}

/** A manifest of the store. */
export async function readManifest(
  { store }: Pick<Parts, 'store'>,
  { digest, mediaType }: Descriptor,
): Promise<Manifest> {
  return parseManifest(await store.content.read(digest), { what: `the manifest ${digest}`, mediaType });
}
