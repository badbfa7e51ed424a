import { withVertex, type ActOptions } from './base/progress.ts';
import { readManifest } from './complete.ts';
import type { Parts } from './connect.ts';
import type { PushResult } from './engine.ts';
import { copyGraph } from './image/copy.ts';
import { formatReference, nameOf, parseReference } from './image/reference.ts';
import type { Platform } from './image/types.ts';
import { isRepositoryPlace } from './layout-place.ts';
import { withStore } from './leftovers.ts';
import { requireTag } from './names.ts';
import { withReadyImage } from './ready-image.ts';
import { recordLayers, resolveImage } from './resolve-image.ts';
import type { StoredImage } from './store/index.ts';

/** A `docker pull`: manifest and config, then every blob that is not here yet. They are unpacked when a container needs them. */
export async function pull(
  parts: Parts,
  name: string,
  platform: Platform,
  options: ActOptions = {},
): Promise<StoredImage> {
  const { store, registry } = parts;
  return await withStore(parts, options, async () => {
    const { manifest, id, reference } = await resolveImage(parts, name, platform, { ...options, pull: true });
    const vertex = { id: `pull ${reference}`, name: `pulling ${reference}` };
    await withVertex(vertex, options.onEvent, async () => {
      const source = registry.repository(nameOf(parseReference(name)));
      await copyGraph(source, store.content, manifest, { ...options, vertex: vertex.id });
    });
    // Now complete: put writes it into index.json.
    await store.images.put({ id, manifest });
    return await store.images.resolve(id);
  });
}

/** A `docker push`: blobs are made where they are missing, mounted where the registry has them, streamed where another one has them. */
export async function push(
  parts: Parts,
  imageName: string,
  name: string,
  options: ActOptions = {},
): Promise<PushResult> {
  const { store, registry } = parts;
  const target = requireTag(name);
  const reference = parseReference(target);
  return await withStore(parts, options, async () => {
    const image = await store.images.resolve(imageName);
    return await withReadyImage(
      parts,
      image,
      options,
      async ({ image: { id, config }, manifest, content, sources }) => {
        const vertex = { id: `push ${target}`, name: `pushing ${target}` };
        return await withVertex(vertex, options.onEvent, async () => {
          const repository = registry.repository(nameOf(reference));
          const result = await copyGraph(content, repository, manifest, {
            ...options,
            vertex: vertex.id,
            mountFrom: ({ digest }) => (sources.get(digest) ?? []).filter(isRepositoryPlace),
          });
          await repository.tag(manifest, reference.tag ?? 'latest', { signal: options.signal });
          await recordLayers(parts, await readManifest(parts, manifest), config, nameOf(reference));
          const place = `${nameOf(reference)}@${manifest.digest}`;
          await store.images.put({ id, manifest, repoDigests: [place] });
          return { name: formatReference(reference), digest: manifest.digest, ...result };
        });
      },
    );
  });
}
