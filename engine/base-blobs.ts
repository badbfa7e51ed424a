import { readManifest } from './complete.ts';
import type { Parts } from './connect.ts';
import type { Graph } from './graph/index.ts';
import { isManifestType } from './image/media-type.ts';
import type { Descriptor } from './image/types.ts';

/** The manifest of the image that the target of a build stands on; undefined from scratch, and where the base was made here and has none. */
export async function baseManifest(
  { store }: Pick<Parts, 'store'>,
  { vertices, target }: Graph,
): Promise<Descriptor | undefined> {
  const known = new Map(vertices.map((vertex) => [vertex.id, vertex]));
  for (let vertex = known.get(target); vertex;) {
    const { op, inputs } = vertex;
    if (op.type === 'image') {
      if (isManifestType(op.manifest.mediaType)) return op.manifest;
      // Without a manifest its id pins it; the lowest layers are those of its own base.
      return (await store.images.find(op.manifest.digest))?.base;
    }
    const [below] = inputs;
    vertex = below === undefined ? undefined : known.get(below);
  }
  return undefined;
}

/** Blobs of the lowest layers of an image, as the manifest of its base names them; none where it is not here any more. */
export async function blobsOfBase(
  { store }: Pick<Parts, 'store'>,
  base: Descriptor | undefined,
): Promise<readonly Descriptor[]> {
  if (!base || !(await store.content.exists(base))) return [];
  return (await readManifest({ store }, base)).layers;
}
