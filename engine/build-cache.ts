import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { blobName } from './archive/layout.ts';
import { collect } from './base/collect.ts';
import { EngineError, messageOf } from './base/errors.ts';
import { withVertex, type ActOptions } from './base/progress.ts';
import { readInlineCache } from './build-inline.ts';
import { createCacheExchange, parseCacheIndex, type CacheIndex } from './cache/index.ts';
import type { Parts } from './connect.ts';
import type { BuildCacheSource, BuildCacheTarget } from './engine.ts';
import { copyGraph } from './image/copy.ts';
import { digestOf } from './image/digest.ts';
import { isAttestation } from './image/choose.ts';
import { MAX_LAYERS, MAX_MANIFEST_SIZE, parseGraphNode, parseIndex, parseManifest } from './image/manifest.ts';
import { isManifestType, OCI_EMPTY, OCI_INDEX, OCI_MANIFEST } from './image/media-type.ts';
import { formatReference, nameOf, parseReference, withDefaultTag } from './image/reference.ts';
import type { Descriptor, Digest, Fetcher, Manifest } from './image/types.ts';
import { createLayoutStorage, isRepositoryPlace, layoutFetcher, layoutPlace } from './layout-place.ts';

/** What a cache is called in a registry; nobody takes it for an image. */
const ARTIFACT = 'application/vnd.berth.cache.v1';
const INDEX_TYPE = 'application/vnd.berth.cache.index.v1+json';
const MAX_INDEX = 64 * 1024 * 1024;

/** Reads what `--cache-from` names. A cache that is not there, or is damaged, is a warning: its steps are done again. */
export async function importCaches(parts: Parts, sources: readonly BuildCacheSource[], act: ActOptions): Promise<void> {
  for (const source of sources) {
    const name = source.type === 'local' ? source.src : source.ref;
    const vertex = { id: `import cache ${name}`, name: `importing cache from ${name}` };
    await safely(`read the cache ${name}`, act, () =>
      withVertex(vertex, act.onEvent, async () => {
        const exchange = createCacheExchange(parts.store, parts.store.records);
        const caches = await openSource(parts, source, act);
        const read = async (cache: OpenCache): Promise<void> => {
          const available = new Set(cache.manifest.layers.map(({ digest }) => digest));
          await exchange.import(await readIndex(cache, act), available, cache.place);
        };
        // Of several images one without a cache does not keep the others from giving theirs.
        if (caches.length === 1) for (const cache of caches) await read(cache);
        else for (const cache of caches) await safely(`read a part of the cache ${name}`, act, () => read(cache));
      }),
    );
  }
}

/** A cache of its own, or the one that an image carries. */
async function readIndex({ manifest, content }: OpenCache, { signal }: ActOptions): Promise<CacheIndex> {
  const [index] = manifest.layers;
  if (manifest.artifactType !== ARTIFACT || index?.mediaType !== INDEX_TYPE)
    return await readInlineCache(manifest, content, { now: new Date(), signal });
  const text = await collect(content.fetch(index, { signal }), 'the cache index', MAX_INDEX);
  if (digestOf(text) !== index.digest)
    throw new EngineError('CONTENT_MISMATCH', 'Cannot use the cache index: its digest is wrong');
  return parseCacheIndex(JSON.parse(text.toString('utf8')));
}

interface OpenCache {
  readonly manifest: Manifest;
  readonly place: string;
  readonly content: Fetcher;
}

/** What a source holds: one cache, or of an image for several platforms one an image. */
async function openSource(
  parts: Parts,
  source: BuildCacheSource,
  { signal }: ActOptions,
): Promise<readonly OpenCache[]> {
  if (source.type === 'local') return [await openFolder(source.src)];
  const reference = withDefaultTag(parseReference(source.ref));
  const repository = parts.registry.repository(nameOf(reference));
  const root = await repository.resolve(reference.digest ?? reference.tag ?? 'latest', { signal });
  const what = `the cache ${formatReference(reference)}`;
  const open = async ({ digest, mediaType }: Descriptor): Promise<readonly OpenCache[]> => {
    const { content } = await repository.manifest(digest, { signal });
    const node = parseGraphNode(content, { what, mediaType });
    if (node.kind === 'manifest') return [{ manifest: node.manifest, place: nameOf(reference), content: repository }];
    const images = node.index.manifests.filter((entry) => !isAttestation(entry) && isManifestType(entry.mediaType));
    return (await Promise.all(images.slice(0, MAX_IMAGES).map(open))).flat();
  };
  return await open(root);
}

/** Images of one index that are read. */
const MAX_IMAGES = 20;

async function openFolder(folder: string): Promise<OpenCache> {
  const what = join(folder, 'index.json');
  const index = parseIndex(await readFile(what), { what, mediaType: OCI_INDEX });
  const entry = index.manifests.find(({ artifactType }) => artifactType === ARTIFACT);
  if (!entry) throw new EngineError('CACHE_INDEX', `Cannot use ${folder}: its index.json names no cache of berth`);
  const content = layoutFetcher(folder);
  const bytes = await collect(content.fetch(entry), blobName(entry.digest), MAX_MANIFEST_SIZE);
  return { manifest: parseManifest(bytes, { what, mediaType: entry.mediaType }), place: layoutPlace(folder), content };
}

/**
 * Writes what `--cache-to` names: the records that this build used, and their layers. A fault is a warning.
 *
 * @param layers of the image, which are all that `min` keeps
 */
export async function exportCaches(
  parts: Parts,
  targets: readonly BuildCacheTarget[],
  layers: ReadonlySet<Digest>,
  act: ActOptions,
): Promise<void> {
  for (const target of targets) {
    // The image carries it already.
    if (target.type === 'inline') continue;
    const name = target.type === 'local' ? target.dest : target.ref;
    const vertex = { id: `export cache ${name}`, name: `exporting cache to ${name}` };
    await safely(`write the cache ${name}`, act, () =>
      withVertex(vertex, act.onEvent, () => exportCache(parts, target, layers, { ...act, vertex: vertex.id })),
    );
  }
}

async function exportCache(
  parts: Parts,
  target: Exclude<BuildCacheTarget, { readonly type: 'inline' }>,
  layers: ReadonlySet<Digest>,
  act: ActOptions & { readonly vertex: string },
): Promise<void> {
  const { store } = parts;
  const scope = target.mode === 'max' ? undefined : layers;
  const exported = await createCacheExchange(store, store.records).exportUsed(new Date(), scope);
  // One layer of the manifest is the index itself.
  const known = exported.blobs.slice(0, MAX_LAYERS - 1);
  const names = new Set(known.map(({ descriptor }) => descriptor.digest));
  const index = { ...exported.index, layers: exported.index.layers.filter(({ blob }) => names.has(blob.digest)) };
  const memory = new Map<Digest, Buffer>();
  const keep = (mediaType: string, value: object): Descriptor => {
    const content = Buffer.from(JSON.stringify(value));
    const descriptor = { mediaType, digest: digestOf(content), size: content.length };
    memory.set(descriptor.digest, content);
    return descriptor;
  };
  const blobs = [...new Map(known.map(({ descriptor }) => [descriptor.digest, descriptor])).values()];
  const root = keep(OCI_MANIFEST, {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    artifactType: ARTIFACT,
    config: keep(OCI_EMPTY, {}),
    layers: [keep(INDEX_TYPE, index), ...blobs],
  });
  const places = new Map(known.map(({ descriptor, places: served = [] }) => [descriptor.digest, served]));
  const source: Fetcher = {
    fetch: async function* (descriptor, options) {
      const small = memory.get(descriptor.digest);
      if (small) yield small;
      else if (await store.content.exists(descriptor)) yield* store.content.fetch(descriptor, options);
      else yield* parts.fetchBlob(descriptor, places.get(descriptor.digest) ?? [], options ?? {});
    },
  };
  const mountFrom = ({ digest }: Descriptor): readonly string[] => (places.get(digest) ?? []).filter(isRepositoryPlace);
  if (target.type === 'local') {
    const storage = await createLayoutStorage(target.dest);
    await copyGraph(source, storage, root, act);
    await storage.finish({ ...root, artifactType: ARTIFACT });
    return;
  }
  const reference = withDefaultTag(parseReference(target.ref));
  const repository = parts.registry.repository(nameOf(reference));
  const tag = reference.tag ?? 'latest';
  const before = repository.tagged(tag, act).catch(() => undefined);
  await copyGraph(source, repository, root, { ...act, mountFrom });
  if ((await before)?.digest !== root.digest) await repository.tag(root, tag, { signal: act.signal });
}

async function safely(action: string, { signal, onEvent }: ActOptions, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (signal?.aborted) throw error;
    onEvent?.({ type: 'warning', message: `Could not ${action}: ${messageOf(error)}` });
  }
}
