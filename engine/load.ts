import { findImages, type FoundImage, type FoundIndex } from './archive/images.ts';
import { readArchive } from './archive/read.ts';
import { EngineError } from './base/errors.ts';
import { withVertex, type ActOptions } from './base/progress.ts';
import { hostPlatform } from './host-platform.ts';
import type { Parts } from './connect.ts';
import type { LoadedImage } from './engine.ts';
import { assembleIndex, assembleManifest } from './image/assemble.ts';
import { bareDescriptor } from './image/descriptor.ts';
import { DOCKER_INDEX } from './image/media-type.ts';
import { formatPlatform } from './image/platform.ts';
import type { Descriptor, Digest, Platform } from './image/types.ts';
import { withStore } from './leftovers.ts';
import { requireTag } from './names.ts';
import { holdsLayer, type IndexMember, type Ingest } from './store/index.ts';

const SMALL = 8 * 1024 * 1024;

/**
 * A `docker load`: images of an archive (docker-archive or oci-archive, plain or packed), read as a stream. Nothing of it is among the blobs
 * before all that its images name has been found in it and has the right digest; what no image names is never kept.
 *
 * @throws `ARCHIVE_INVALID`, `CONTENT_MISMATCH`, `REFERENCE_INVALID` and the documents' errors, naming what is wrong
 */
export async function loadImages(
  parts: Parts,
  source: AsyncIterable<Uint8Array>,
  { platform, ...options }: ActOptions & { readonly platform?: Platform | undefined } = {},
): Promise<readonly LoadedImage[]> {
  return await withStore(parts, options, () => loadLocked(parts, source, { ...options, platform }));
}

/** {@link loadImages} for who holds the lock `store` already. */
export async function loadLocked(
  parts: Parts,
  source: AsyncIterable<Uint8Array>,
  { platform, ...options }: ActOptions & { readonly platform?: Platform | undefined },
): Promise<readonly LoadedImage[]> {
  const vertex = { id: 'load archive', name: 'loading images' };
  return await withVertex(vertex, options.onEvent, async () => {
    const drafts: Ingest[] = [];
    const open = async (): Promise<Ingest> => {
      const draft = await parts.store.content.openIngest();
      drafts.push(draft);
      return draft;
    };
    try {
      const files = await readArchive(source, open, options.signal);
      const found = await findImages(files, { host: hostPlatform(), platform, read: ({ draft }) => draft.read(SMALL) });
      if (platform) requirePlatform(found, platform);
      // Names first: a bad one must not be found when the image is there.
      const named = found.map((image) => ({ image, names: image.names.map(requireTag) }));
      const loaded: LoadedImage[] = [];
      for (const { image, names } of named) loaded.push(await keepFound(parts, image, names, options));
      return loaded;
    } finally {
      for (const draft of drafts) await draft.abort();
    }
  });
}

async function keepFound(
  parts: Parts,
  image: FoundImage<Ingest>,
  names: readonly string[],
  { onEvent }: ActOptions,
): Promise<LoadedImage> {
  const { index, leftOut } = image;
  const kept = index ? await keepIndex(parts, index, names) : await keep(parts, image, names);
  if (!index) warnOfOthers(image, onEvent);
  else if (!index.file) warnOfIndex(names[0] ?? 'the image', { index, id: kept.id }, onEvent);
  return leftOut?.length ? { ...kept, leftOut } : kept;
}

/** @throws `PLATFORM_MISMATCH` for an archive of another platform than was asked for */
function requirePlatform(found: readonly FoundImage<Ingest>[], { os, architecture }: Platform): void {
  const other = found.find(({ config }) => config.os !== os || config.architecture !== architecture);
  if (!other) return;
  throw new EngineError(
    'PLATFORM_MISMATCH',
    `Cannot load the archive: ${other.names[0] ?? 'its image'} is for ${other.config.os}/${other.config.architecture}, and was asked for ${os}/${architecture}`,
    { hint: 'leave --platform out' },
  );
}

/** One platform of an image is kept; whoever expected more shall hear it. */
function warnOfOthers({ leftOut = [], names, config }: FoundImage<Ingest>, onEvent: ActOptions['onEvent']): void {
  if (leftOut.length === 0) return;
  const others = leftOut.map(formatPlatform).join(', ');
  onEvent?.({
    type: 'warning',
    message: `Of ${names[0] ?? 'the image'} only ${formatPlatform(config)} was loaded; left out: ${others}`,
    hint: 'load --platform takes another one',
  });
}

/** The images are as they were; the index over them is another. */
function warnOfIndex(
  name: string,
  { index: { descriptor, members, missing }, id }: { readonly index: FoundIndex<Ingest>; readonly id: Digest },
  onEvent: ActOptions['onEvent'],
): void {
  const platforms = members.map(({ platform }) => formatPlatform(platform)).join(', ');
  const lost =
    missing.length > 0 ? `the archive lacks ${missing.map(formatPlatform).join(', ')}` : 'attestations are left out';
  const digests = `its digest is ${id}, and was ${descriptor.digest}`;
  onEvent?.({ type: 'warning', message: `Of ${name} ${platforms} were loaded: ${lost}, so that ${digests}` });
}

/** All images of an index, then the index, with the names. */
async function keepIndex(
  parts: Parts,
  { descriptor: entry, file, members: found }: FoundIndex<Ingest>,
  names: readonly string[],
): Promise<LoadedImage> {
  const members: IndexMember[] = [];
  for (const { platform, image } of found) {
    const { id } = await keep(parts, image, []);
    members.push({ id, manifest: bareDescriptor(image.manifest ?? image.descriptors.config), platform });
  }
  const descriptor = file ? bareDescriptor(entry) : await writeIndex(parts, entry, members);
  await file?.draft.commit(entry.digest);
  await parts.store.images.putIndex({ descriptor, members, names });
  return { id: descriptor.digest, names };
}

/** An index of those images alone. */
async function writeIndex(
  { store }: Parts,
  { mediaType }: Descriptor,
  members: readonly IndexMember[],
): Promise<Descriptor> {
  const { descriptor, content } = assembleIndex(members, { docker: mediaType === DOCKER_INDEX });
  await store.content.write(descriptor.mediaType, content);
  return descriptor;
}

async function keep(
  { store }: Parts,
  { descriptors, manifest, config, files }: FoundImage<Ingest>,
  names: readonly string[],
): Promise<LoadedImage> {
  for (const [digest, { draft }] of files) await draft.commit(digest);
  const layers = descriptors.layers.map(bareDescriptor);
  const { digest: id } = descriptors.config;
  const made = manifest === undefined ? assembleManifest(descriptors.config, layers) : undefined;
  const descriptor = bareDescriptor(manifest ?? made?.descriptor ?? descriptors.config);
  const known = (await store.images.find(id))?.manifest;
  // Another manifest of an image that is here already takes its place, if it tells the truth.
  if (known && known.digest !== descriptor.digest) await requireLayers(store, layers, config.rootfs.diff_ids);
  for (const [at, blob] of layers.entries()) {
    const diffId = config.rootfs.diff_ids[at];
    if (diffId !== undefined) await store.layers.add(diffId, { blobs: [blob] });
  }
  if (made) await store.content.write(made.descriptor.mediaType, made.content);
  await store.images.put({ id, manifest: descriptor, names });
  return { id, names };
}

/** @throws `CONTENT_MISMATCH` for a blob that holds another layer than the config says */
async function requireLayers(
  store: Parts['store'],
  blobs: readonly Descriptor[],
  diffIds: readonly Digest[],
): Promise<void> {
  for (const [at, blob] of blobs.entries()) {
    const diffId = diffIds[at];
    if (diffId === undefined || (await holdsLayer(store, diffId, blob)) !== false) continue;
    throw new EngineError(
      'CONTENT_MISMATCH',
      `Cannot load layer ${at + 1}: ${blob.digest} holds something else than ${diffId}, which the config says`,
      { hint: 'The archive is damaged or was made to deceive; the image that is here already stays as it is' },
    );
  }
}
