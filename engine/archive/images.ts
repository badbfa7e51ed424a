import { EngineError, isEngineError } from '../base/errors.ts';
import { escapeControl } from '../base/escape.ts';
import { bestFor, choosePlatform, isAttestation } from '../image/choose.ts';
import { MAX_CONFIG_SIZE, parseConfig } from '../image/config.ts';
import { isDigest } from '../image/digest.ts';
import { type Field, listOf, member, objectOf, rootField, stringOf, isSet } from '../image/fields.ts';
import { requireImage } from '../image/image-manifest.ts';
import { readJson } from '../image/json.ts';
import { MAX_LAYERS, MAX_MANIFEST_SIZE, parseGraphNode, parseIndex } from '../image/manifest.ts';
import { isIndexType, layerType, OCI_CONFIG } from '../image/media-type.ts';
import type { Descriptor, Digest, ImageConfig, Index, Platform } from '../image/types.ts';
import { blobName } from './layout.ts';
import { type ArchiveFile, type ArchiveFiles, compressionOfHead, type Draft, invalid } from './read.ts';

/** An image of an archive, whose parts are all there and agree with each other. */
export interface FoundImage<D extends Draft> {
  readonly config: ImageConfig;
  /** Config and layers, lowest first, as a manifest names them. */
  readonly descriptors: { readonly config: Descriptor; readonly layers: readonly Descriptor[] };
  /** As it stands in the archive; undefined where the archive has none (Docker's old format). */
  readonly manifest?: Descriptor | undefined;
  /** As written in the archive. */
  readonly names: readonly string[];
  /** The files behind the descriptors. */
  readonly files: ReadonlyMap<Digest, ArchiveFile<D>>;
  /** Platforms under the same name that are in the archive as well, and were not asked for, or cannot be had whole. */
  readonly leftOut?: readonly Platform[] | undefined;
  /** The index that it was found by, when several images of it are in the archive, or all, and no platform was asked for. */
  readonly index?: FoundIndex<D> | undefined;
}

/** An image for several platforms, as far as it is there. */
export interface FoundIndex<D extends Draft> {
  readonly descriptor: Descriptor;
  /** Undefined where it names more than what can be had: attestations, or images that the archive lacks. */
  readonly file: ArchiveFile<D> | undefined;
  readonly members: readonly { readonly platform: Platform; readonly image: FoundImage<D> }[];
  /** Platforms of images that it names, and that the archive has not, or not whole. */
  readonly missing: readonly Platform[];
}

/** What images are found with. */
export interface FindOptions<D extends Draft> {
  /** This machine. */
  readonly host: Platform;
  /** The one image of an index that is wanted; undefined: all that are there. */
  readonly platform?: Platform | undefined;
  /** The bytes of a small file. */
  readonly read: (file: ArchiveFile<D>) => Promise<Buffer>;
}

const MAX_IMAGES = 200;

/**
 * The images that an archive holds: by `index.json` (OCI, and Docker since 25), else by Docker's `manifest.json`. All that they name is there
 * and has the digest and size that it should have.
 *
 * @throws `ARCHIVE_INVALID`, `CONTENT_MISMATCH` and the errors of the documents, naming what is wrong
 */
export async function findImages<D extends Draft>(
  files: ArchiveFiles<D>,
  options: FindOptions<D>,
): Promise<readonly FoundImage<D>[]> {
  const index = files.get('index.json');
  if (index) return await fromIndex(files, await small(index, 'index.json', MAX_MANIFEST_SIZE, options), options);
  const manifest = files.get('manifest.json');
  if (manifest)
    return await fromDocker(files, await small(manifest, 'manifest.json', MAX_MANIFEST_SIZE, options), options);
  if (files.has('repositories'))
    throw new EngineError('ARCHIVE_INVALID', 'Cannot read the archive: it is in the format of Docker before 1.10', {
      hint: 'Save the image again with a newer docker',
    });
  throw new EngineError('ARCHIVE_INVALID', 'Cannot read the archive: it has neither index.json nor manifest.json', {
    hint: 'A tar of a root file system is read by berth import',
  });
}

async function fromIndex<D extends Draft>(
  files: ArchiveFiles<D>,
  content: Buffer,
  options: FindOptions<D>,
): Promise<readonly FoundImage<D>[]> {
  const index = parseIndex(content, {
    what: 'index.json of the archive',
    mediaType: 'application/vnd.oci.image.index.v1+json',
  });
  const entries = index.manifests.filter((entry) => !isAttestation(entry));
  if (entries.length === 0) throw invalid('index.json names no image');
  if (entries.length > MAX_IMAGES) throw invalid(`index.json names ${entries.length} images, over ${MAX_IMAGES}`);
  const named = new Map<Digest, { readonly entry: Descriptor; readonly names: string[] }>();
  for (const entry of entries) {
    const found = named.get(entry.digest) ?? { entry, names: [] };
    found.names.push(...nameOfEntry(entry));
    named.set(entry.digest, found);
  }
  const images: FoundImage<D>[] = [];
  for (const { entry, names } of named.values()) images.push(await fromEntry(files, entry, names, options, 0));
  return images;
}

function nameOfEntry({ annotations = {} }: Descriptor): readonly string[] {
  const whole = annotations['io.containerd.image.name'];
  if (whole !== undefined) return [whole];
  const short = annotations['org.opencontainers.image.ref.name'];
  // A tag alone names no repository.
  return short !== undefined && /[:/]/.test(short) ? [short] : [];
}

async function fromEntry<D extends Draft>(
  files: ArchiveFiles<D>,
  entry: Descriptor,
  names: readonly string[],
  options: FindOptions<D>,
  depth: number,
): Promise<FoundImage<D>> {
  const what = `the manifest ${entry.digest}`;
  const bytes = await small(blobOf(files, entry, what), what, MAX_MANIFEST_SIZE, options);
  const node = parseGraphNode(bytes, { what, mediaType: entry.mediaType });
  if (node.kind === 'index') {
    if (depth > 1 || !isIndexType(entry.mediaType)) throw invalid('its indexes are nested too deep');
    const found = depth > 0 || options.platform ? undefined : await indexOf(files, entry, node.index, options);
    if (found) return { ...imageOf(found, options.host), names, index: found, leftOut: found.missing };
    const chosen = choosePlatform(node.index, options.platform ?? options.host, what);
    const image = await fromEntry(files, chosen, names, options, depth + 1);
    return { ...image, leftOut: othersOf(files, node.index.manifests, chosen) };
  }
  const { config, layers } = requireImage(node.manifest, what);
  const file = blobOf(files, config, `the config of ${what}`);
  const parsed = parseConfig(await small(file, `the config of ${what}`, MAX_CONFIG_SIZE, options), {
    what: `the config of ${what}`,
    layers: layers.length,
  });
  const parts = [config, ...layers.map((layer, at) => checkedLayer(layer, parsed, at))];
  const blobs = [...parts, entry].map((part) => [part.digest, blobOf(files, part, `a blob of ${what}`)] as const);
  return { config: parsed, descriptors: { config, layers }, manifest: entry, names, files: new Map(blobs) };
}

/**
 * An index with those of its images that are there, each for a platform; undefined where that is one of several. Attestations are not kept:
 * an index that names them, or an image of which the archive has less, could not be pushed again as it is.
 */
async function indexOf<D extends Draft>(
  files: ArchiveFiles<D>,
  descriptor: Descriptor,
  { manifests }: Index,
  options: FindOptions<D>,
): Promise<FoundIndex<D> | undefined> {
  const members: FoundIndex<D>['members'][number][] = [];
  const missing: Platform[] = [];
  for (const entry of manifests) {
    const { platform } = entry;
    if (!platform || isAttestation(entry) || isIndexType(entry.mediaType)) continue;
    try {
      members.push({ platform, image: await fromEntry(files, entry, [], options, 1) });
    } catch (error) {
      if (!isEngineError(error, 'ARCHIVE_INVALID')) throw error;
      missing.push(platform);
    }
  }
  const isWhole = members.length > 0 && members.length === manifests.length;
  if (!isWhole && members.length < 2) return undefined;
  return { descriptor, file: isWhole ? files.get(blobName(descriptor.digest)) : undefined, members, missing };
}

/** The image of an index that stands for it here; the first where none runs here. */
function imageOf<D extends Draft>({ members }: FoundIndex<D>, host: Platform): FoundImage<D> {
  const found = bestFor(members, host, ({ platform }) => platform) ?? members[0];
  if (!found) throw invalid('an index of it names no image');
  return found.image;
}

/** Docker writes the whole index of an image of which it has one platform: what is not in the archive is nobody's loss. */
function othersOf<D extends Draft>(
  files: ArchiveFiles<D>,
  manifests: readonly Descriptor[],
  chosen: Descriptor,
): readonly Platform[] {
  return manifests.flatMap((one) =>
    one.digest === chosen.digest || isAttestation(one) || !one.platform || !files.has(blobName(one.digest))
      ? []
      : [one.platform],
  );
}

/** A layer that is not packed is its own plain tar. */
function checkedLayer(layer: Descriptor, { rootfs }: ImageConfig, at: number): Descriptor {
  const diffId = rootfs.diff_ids[at];
  const isPlain = /\.tar$/.test(layer.mediaType);
  if (!isPlain || layer.digest === diffId) return layer;
  throw new EngineError(
    'CONTENT_MISMATCH',
    `Cannot load layer ${at + 1}: it is ${layer.digest}, and the config says ${diffId}`,
  );
}

function blobOf<D extends Draft>(files: ArchiveFiles<D>, { digest, size }: Descriptor, what: string): ArchiveFile<D> {
  const name = blobName(digest);
  const file = files.get(name);
  if (!file) throw invalid(`${what} is missing: there is no ${name}`);
  if (file.digest === digest && file.size === size) return file;
  throw new EngineError(
    'CONTENT_MISMATCH',
    `Cannot load ${name}: wanted ${size} bytes of that digest, got ${file.size} bytes with digest ${file.digest}`,
  );
}

/** Source: moby, image/tarexport. */
async function fromDocker<D extends Draft>(
  files: ArchiveFiles<D>,
  content: Buffer,
  options: FindOptions<D>,
): Promise<readonly FoundImage<D>[]> {
  const what = 'manifest.json of the archive';
  const entries = listOf(rootField(readJson(content, what), what), MAX_IMAGES);
  if (entries.length === 0) throw invalid('manifest.json names no image');
  const images: FoundImage<D>[] = [];
  for (const entry of entries) images.push(await fromDockerEntry(files, entry, options));
  return images;
}

async function fromDockerEntry<D extends Draft>(
  files: ArchiveFiles<D>,
  entry: Field,
  options: FindOptions<D>,
): Promise<FoundImage<D>> {
  objectOf(entry, ['Config', 'RepoTags', 'Layers', 'Parent', 'LayerSources']);
  const configName = stringOf(member(entry, 'Config'));
  const configFile = fileOf(files, configName);
  const layerFiles = listOf(member(entry, 'Layers'), MAX_LAYERS).map((layer) => {
    const name = stringOf(layer);
    return { name, file: fileOf(files, name) };
  });
  const what = `the config ${escapeControl(configName).slice(0, 200)} of the archive`;
  const config = parseConfig(await small(configFile, what, MAX_CONFIG_SIZE, options), {
    what,
    layers: layerFiles.length,
  });
  checkName(configName, configFile);
  const layers = layerFiles.map(({ name, file }, at): Descriptor => {
    const compression = compressionOfHead(file.head, name);
    const diffId = config.rootfs.diff_ids[at];
    if (compression === 'none' && file.digest !== diffId)
      throw new EngineError(
        'CONTENT_MISMATCH',
        `Cannot load ${escapeControl(name).slice(0, 200)}: its digest is ${file.digest}, and ${what} says ${diffId}`,
      );
    return { mediaType: layerType(compression), digest: file.digest, size: file.size };
  });
  const names = isSet(member(entry, 'RepoTags')) ? listOf(member(entry, 'RepoTags'), 1000).map(stringOf) : [];
  return {
    config,
    descriptors: { config: { mediaType: OCI_CONFIG, digest: configFile.digest, size: configFile.size }, layers },
    names,
    files: new Map([configFile, ...layerFiles.map(({ file }) => file)].map((file) => [file.digest, file])),
  };
}

/** A config that is named by a digest must have it. */
function checkName(name: string, { digest }: { readonly digest: Digest }): void {
  const hex = /^(?:blobs\/sha256\/)?([0-9a-f]{64})(?:\.json)?$/.exec(name)?.[1];
  const named = `sha256:${hex ?? ''}`;
  if (hex === undefined || !isDigest(named) || named === digest) return;
  throw new EngineError('CONTENT_MISMATCH', `Cannot load ${name}: its digest is ${digest}`);
}

function fileOf<D extends Draft>(files: ArchiveFiles<D>, name: string): ArchiveFile<D> {
  const file = files.get(name.replace(/^\.\//, ''));
  if (file) return file;
  throw invalid(`manifest.json names ${JSON.stringify(name.slice(0, 200))}, which is not in it`);
}

async function small<D extends Draft>(
  file: ArchiveFile<D>,
  what: string,
  limit: number,
  { read }: FindOptions<D>,
): Promise<Buffer> {
  if (file.size > limit)
    throw new EngineError('TOO_LARGE', `Cannot read ${what}: it has ${file.size} bytes, over the limit of ${limit}`);
  return await read(file);
}
