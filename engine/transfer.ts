import { withVertex, type ActOptions } from './base/progress.ts';
import { CACHE_PLACE } from './cache/index.ts';
import { complete, readManifest } from './complete.ts';
import { sourcesOf, type Parts } from './connect.ts';
import type { PushResult } from './engine.ts';
import { copyGraph } from './image/copy.ts';
import { isGraphType } from './image/media-type.ts';
import { formatReference, nameOf, parseReference } from './image/reference.ts';
import type { Digest, Fetcher, Platform, Storage } from './image/types.ts';
import { withStore } from './leftovers.ts';
import { requireTag } from './names.ts';
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
    const manifest = await complete(parts, image, options);
    const sources = await sourcesOf(store, image.config.rootfs.diff_ids);
    const vertex = { id: `push ${target}`, name: `pushing ${target}` };
    return await withVertex(vertex, options.onEvent, async () => {
      const repository = registry.repository(nameOf(reference));
      const result = await copyGraph(createSource(parts, sources), repository, manifest, {
        ...options,
        vertex: vertex.id,
        mountFrom: ({ digest }) => (sources.get(digest) ?? []).filter((place) => place !== CACHE_PLACE),
      });
      await repository.tag(manifest, reference.tag ?? 'latest', { signal: options.signal });
      await recordLayers(parts, await readManifest(parts, manifest), image.config, nameOf(reference));
      const place = `${nameOf(reference)}@${manifest.digest}`;
      await store.images.put({ id: image.id, manifest, repoDigests: [place] });
      return { name: formatReference(reference), digest: manifest.digest, ...result };
    });
  });
}

/** Blobs of the store; those that only a registry has go through memory to the next one, never to the disk. */
function createSource({ store, serve }: Parts, sources: ReadonlyMap<Digest, readonly string[]>): Fetcher {
  return {
    fetch: async function* (descriptor, options) {
      const [place] = sources.get(descriptor.digest) ?? [];
      const isRemote =
        place !== undefined && !isGraphType(descriptor.mediaType) && !(await store.content.exists(descriptor));
      const source: Fetcher = isRemote ? serve(place) : (store.content satisfies Storage);
      yield* source.fetch(descriptor, options);
    },
  };
}
