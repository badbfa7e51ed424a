import { collect } from './base/collect.ts';
import { withVertex, type ActOptions } from './base/progress.ts';
import type { Parts } from './connect.ts';
import { hostPlatform } from './host-platform.ts';
import { runsOn } from './image/choose.ts';
import { MAX_CONFIG_SIZE, parseConfig } from './image/config.ts';
import { requireImage } from './image/image-manifest.ts';
import { parseManifest } from './image/manifest.ts';
import { OCI_CONFIG } from './image/media-type.ts';
import {
  formatReference,
  nameOf,
  parseReference,
  toPullReference,
  withDefaultTag,
  type Reference,
} from './image/reference.ts';
import type { Descriptor, ImageConfig, Manifest, Platform } from './image/types.ts';
import type { NewImage, StoredImage } from './store/index.ts';

/** An image whose manifest and config are here; its layers may still be a registry's. */
export interface ResolvedImage {
  readonly reference: string;
  readonly manifest: Descriptor;
  readonly config: ImageConfig;
  readonly id: StoredImage['id'];
}

/** How an image is found. */
export interface ResolveOptions extends ActOptions {
  /** Ask the registry, also when it is here. */
  readonly pull?: boolean | undefined;
  /** It is the base of a build: one for another machine takes no name from the one of this machine. */
  readonly isBase?: boolean | undefined;
}

/**
 * Finds an image by name for a platform: in the store, unless `pull` asks the registry again, else at its registry. Only manifest and config
 * are fetched; where its layers can be had is recorded, and they come when somebody needs their files (spec/engine.md 4d).
 *
 * @throws `IMAGE_NOT_FOUND` and the registry's errors
 */
export async function resolveImage(
  parts: Parts,
  name: string,
  platform: Platform,
  options: ResolveOptions = {},
): Promise<ResolvedImage> {
  const local = options.pull ? undefined : await findLocal(parts, name, platform);
  if (local) return local;
  const { image, ...found } = await askRegistry(parts, name, platform, options);
  await parts.store.images.put(image);
  return found;
}

/** An image that a registry has, and what the store is to know of it. */
export interface FoundImage extends ResolvedImage {
  readonly image: NewImage;
}

/**
 * Asks the registry for manifest and config, without listing the image: until somebody does, its name stands for what it did.
 *
 * @throws `IMAGE_NOT_FOUND` and the registry's errors
 */
export async function askRegistry(
  parts: Parts,
  name: string,
  platform: Platform,
  options: Omit<ResolveOptions, 'pull'> = {},
): Promise<FoundImage> {
  const reference = toPullReference(parseReference(name));
  const shown = formatReference(reference);
  return await withVertex(
    { id: `load metadata ${shown}`, name: `[internal] load metadata for ${shown}` },
    options.onEvent,
    () => fetchImage(parts, reference, platform, options),
  );
}

async function findLocal({ store }: Parts, name: string, platform: Platform): Promise<ResolvedImage | undefined> {
  const reference = referenceOf(name);
  const image = await store.images.findFor(reference, platform);
  if (!image) return undefined;
  return {
    reference,
    // An image that was built here and never pushed has no manifest; its config pins it as well.
    manifest: image.manifest ?? { mediaType: OCI_CONFIG, digest: image.id, size: 0 },
    config: image.config,
    id: image.id,
  };
}

/** What a word stands for. A few digits are a name, as BuildKit has it: anybody can make an image whose id begins with them. */
function referenceOf(name: string): string {
  return /^(?:sha256:)?[0-9a-f]{12,64}$/.test(name) ? name : formatReference(withDefaultTag(parseReference(name)));
}

async function fetchImage(
  parts: Parts,
  reference: Reference,
  platform: Platform,
  { signal, isBase = false }: ResolveOptions,
): Promise<FoundImage> {
  const { store, registry } = parts;
  const shown = formatReference(reference);
  const repository = registry.repository(nameOf(reference));
  const wanted = reference.digest ?? reference.tag ?? 'latest';
  const root = await repository.resolve(wanted, { signal });
  const found = await repository.resolve(root.digest, { platform, signal });
  const { content } = await repository.manifest(found.digest, { signal });
  const manifest = requireImage(
    parseManifest(content, { what: `the manifest of ${shown}`, mediaType: found.mediaType }),
    shown,
  );
  const configBytes = await collect(
    repository.fetch(manifest.config, { signal }),
    `the config of ${shown}`,
    MAX_CONFIG_SIZE,
  );
  const config = parseConfig(configBytes, { what: `the config of ${shown}`, layers: manifest.layers.length });
  await store.content.write(manifest.config.mediaType, configBytes);
  const stored = await store.content.write(found.mediaType, content);
  await recordLayers(parts, manifest, config, nameOf(reference));
  const isNamed = reference.tag !== undefined && (!isBase || runsOn(config, hostPlatform()));
  const id = manifest.config.digest;
  const image: NewImage = {
    id,
    manifest: stored,
    from: nameOf(reference),
    names: isNamed ? [shown] : [],
    repoDigests: [`${nameOf(reference)}@${root.digest}`],
  };
  return { reference: shown, manifest: stored, config, id, image };
}

/** Remembers which blob each layer has in that repository, as the manifest says. */
export async function recordLayers(
  { store }: Pick<Parts, 'store'>,
  manifest: Manifest,
  config: ImageConfig,
  repository: string,
): Promise<void> {
  for (const [at, diffId] of config.rootfs.diff_ids.entries()) {
    const blob = manifest.layers[at];
    if (blob) await store.layers.add(diffId, { blobs: [blob], sources: { [blob.digest]: [repository] } });
  }
}
