import { withVertex, type ActOptions } from './base/progress.ts';
import { readManifest } from './complete.ts';
import type { Parts } from './connect.ts';
import type { PulledImage, PushResult } from './engine.ts';
import { copyGraph, type CopyResult } from './image/copy.ts';
import { imageFor } from './image-for.ts';
import { formatReference, nameOf, parseReference } from './image/reference.ts';
import type { Descriptor, Digest, Platform } from './image/types.ts';
import { memberImage, renewIndex } from './image-index.ts';
import { isRepositoryPlace } from './layout-place.ts';
import { withStore } from './leftovers.ts';
import { requireTag } from './names.ts';
import { withReadyImage } from './ready-image.ts';
import type { Repository } from './registry/index.ts';
import { askRegistry, recordLayers } from './resolve-image.ts';
import type { IndexMember, StoredImage, StoredIndex } from './store/index.ts';

/** A `docker pull`: manifest and config, then every blob that is not here yet. They are unpacked when a container needs them. */
export async function pull(
  parts: Parts,
  name: string,
  platform: Platform,
  options: ActOptions = {},
): Promise<PulledImage> {
  const { store, registry } = parts;
  return await withStore(parts, options, async () => {
    const { manifest, id, reference, image } = await askRegistry(parts, name, platform, options);
    const vertex = { id: `pull ${reference}`, name: `pulling ${reference}` };
    await withVertex(vertex, options.onEvent, async () => {
      const source = registry.repository(nameOf(parseReference(name)));
      await copyGraph(source, store.content, manifest, { ...options, vertex: vertex.id });
    });
    // Only now that it is complete: a pull that fails takes no name from the image that has it.
    await store.images.put(image);
    return { ...(await store.images.resolve(id)), manifest, reference };
  });
}

/**
 * A `docker push`: blobs are made where they are missing, mounted where the registry has them, streamed where another one has them. Of an image
 * for several platforms all are pushed, and the index over them last; with `platform` one of them alone.
 */
export async function push(
  parts: Parts,
  imageName: string,
  name: string,
  { platform, ...options }: ActOptions & { readonly platform?: Platform | undefined } = {},
): Promise<PushResult> {
  const { store, registry } = parts;
  const reference = parseReference(requireTag(name));
  return await withStore(parts, options, async () => {
    const image = await imageFor(store.images, imageName, { platform, act: 'push' });
    const vertex = { id: `push ${formatReference(reference)}`, name: `pushing ${formatReference(reference)}` };
    return await withVertex(vertex, options.onEvent, async () => {
      const repository = registry.repository(nameOf(reference));
      const tag = reference.tag ?? 'latest';
      // While layers are packed: this finds the registry and logs in. What is wrong there is told by what is pushed.
      const before = repository.tagged(tag, { signal: options.signal }).catch(() => undefined);
      const act = { ...options, vertex: vertex.id };
      const pushed =
        image.index && !platform
          ? await pushIndex(parts, image.index, repository, act)
          : await pushImage(parts, image, repository, act);
      const { digest } = pushed.manifest;
      const isTagged = (await before)?.digest === digest;
      if (!isTagged) await repository.tag(pushed.manifest, tag, { signal: options.signal });
      for (const id of pushed.ids) await store.images.put({ id, repoDigests: [`${nameOf(reference)}@${digest}`] });
      return { name: formatReference(reference), digest, ...pushed.result };
    });
  });
}

type PushAct = ActOptions & { readonly vertex: string };

/** What lies in the registry now, without a tag. */
interface Pushed {
  readonly manifest: Descriptor;
  readonly ids: readonly Digest[];
  readonly result: CopyResult;
}

async function pushImage(parts: Parts, image: StoredImage, repository: Repository, act: PushAct): Promise<Pushed> {
  return await withReadyImage(parts, image, act, async ({ image: { id, config }, manifest, content, sources }) => {
    const result = await copyGraph(content, repository, manifest, {
      ...act,
      mountFrom: ({ digest }) => (sources.get(digest) ?? []).filter(isRepositoryPlace),
    });
    await recordLayers(parts, await readManifest(parts, manifest), config, repository.name);
    return { manifest, ids: [id], result };
  });
}

async function pushIndex(parts: Parts, index: StoredIndex, repository: Repository, act: PushAct): Promise<Pushed> {
  const { store } = parts;
  const members: IndexMember[] = [];
  const results: CopyResult[] = [];
  for (const member of index.members) {
    const pushed = await pushImage(parts, await memberImage(parts, index, member), repository, act);
    results.push(pushed.result);
    members.push({ ...member, id: pushed.ids[0] ?? member.id, manifest: pushed.manifest });
  }
  const { descriptor } = await renewIndex(parts, index, members, act);
  const { signal } = act;
  await repository.push(descriptor, () => store.content.fetch(descriptor, { signal }), { signal });
  return { manifest: descriptor, ids: members.map(({ id }) => id), result: sumOf(results) };
}

function sumOf(results: readonly CopyResult[]): CopyResult {
  const sum = (count: (result: CopyResult) => number): number =>
    results.reduce((all, result) => all + count(result), 0);
  return {
    uploaded: { blobs: sum(({ uploaded }) => uploaded.blobs), bytes: sum(({ uploaded }) => uploaded.bytes) },
    existed: sum(({ existed }) => existed),
    mounted: sum(({ mounted }) => mounted),
  };
}
