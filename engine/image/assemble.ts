import { EngineError } from '../base/errors.ts';
import { MAX_CONFIG_SIZE, CONTAINER_KEYS, IMAGE_KEYS, HISTORY_KEYS } from './config.ts';
import { bareDescriptor } from './descriptor.ts';
import { digestOf } from './digest.ts';
import { continueHistory, newest } from './history.ts';
import {
  DOCKER_INDEX,
  DOCKER_MANIFEST,
  OCI_CONFIG,
  OCI_INDEX,
  OCI_MANIFEST,
  toDockerType,
  toOciType,
} from './media-type.ts';
import { normalizePlatform } from './platform.ts';
import type { ContainerConfig, Descriptor, Digest, ImageConfig, Manifest, Platform } from './types.ts';

/** The image before its layers are known; the shape of the graph's `ImageDraft`. */
export interface AssembleDraft {
  readonly platform: Platform;
  readonly base?: ImageConfig | undefined;
  readonly config: ContainerConfig;
  readonly author?: string | undefined;
  readonly history: readonly HistoryStep[];
}

/** One instruction. With a `vertex` it takes the next of the layers; without, it is metadata. */
export interface HistoryStep {
  readonly createdBy: string;
  readonly vertex?: string | undefined;
}

/** What a step made. */
export interface AssembledLayer {
  readonly diffId: Digest;
  /** The blob, once there is one. */
  readonly descriptor?: Descriptor | undefined;
  /** RFC 3339, from the step's record. */
  readonly createdAt: string;
}

export interface AssembleRequest {
  readonly draft: AssembleDraft;
  /** Blobs of the base's layers, lowest first; undefined when they aren't known. */
  readonly baseLayers?: readonly Descriptor[] | undefined;
  /** One for each history step with a vertex, in order; null where the step changed no file. */
  readonly layers: readonly (AssembledLayer | null)[];
  /** SOURCE_DATE_EPOCH as RFC 3339: the time of the image; nothing in its history is later. */
  readonly created?: string | undefined;
  /** Further fields of the configuration. */
  readonly more?: Readonly<Record<string, unknown>> | undefined;
}

export interface AssembledImage {
  /** Docker's image id: the digest of the config. */
  readonly id: Digest;
  readonly imageConfig: ImageConfig;
  readonly config: Content;
  /** Only when every blob is known. */
  readonly manifest?: Content | undefined;
}

/** Bytes and their descriptor. */
export interface Content {
  readonly descriptor: Descriptor;
  readonly content: Buffer;
}

/**
 * Layers and a draft as config and manifest. No clock is read: equal records give equal bytes. Keys stand as BuildKit writes them: sorted
 * in the document, in Go's order inside.
 */
export function assemble(request: AssembleRequest): AssembledImage {
  const imageConfig = toImageConfig(request);
  const config = assembleConfig(imageConfig);
  const blobs = knownBlobs(request);
  const manifest = blobs === undefined ? undefined : assembleManifest(config.descriptor, blobs);
  return { id: config.descriptor.digest, imageConfig, config, manifest };
}

/** A configuration as bytes, keys as BuildKit writes them. */
export function assembleConfig(imageConfig: ImageConfig): Content {
  const made = toContent(OCI_CONFIG, ordered(imageConfig));
  const { size } = made.descriptor;
  // It could be stored, and read by nobody.
  if (size > MAX_CONFIG_SIZE) throw tooLarge(String(size));
  return made;
}

/**
 * Finds before the first step what {@link assemble} would find after the last one: times and layers can only make the configuration larger.
 *
 * @throws `TOO_LARGE`
 */
export function checkDraft(draft: AssembleDraft): void {
  const layers = draft.history.flatMap(({ vertex }) => (vertex === undefined ? [] : [null]));
  const base = draft.base && withoutTimes(draft.base);
  const size = Buffer.byteLength(JSON.stringify(ordered(toImageConfig({ draft: { ...draft, base }, layers }))));
  if (size > MAX_CONFIG_SIZE) throw tooLarge(`at least ${size}`);
}

function withoutTimes({ created: _, history = [], ...image }: ImageConfig): ImageConfig {
  return { ...image, history: history.map(({ created: __, ...entry }) => entry) };
}

function tooLarge(bytes: string): EngineError {
  return new EngineError(
    'TOO_LARGE',
    `Cannot make the image: its configuration has ${bytes} bytes, over the limit of ${MAX_CONFIG_SIZE}`,
    { hint: 'EXPOSE, ENV, LABEL and the texts of all instructions are in it: make them fewer or shorter' },
  );
}

/** How a manifest is written, beside what it names. */
export interface ManifestForm {
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  /** Docker's media types instead of OCI's. */
  readonly docker?: boolean | undefined;
}

/** The manifest of a config and its layers' blobs, lowest first: the same bytes whenever it is made. */
export function assembleManifest(config: Descriptor, blobs: readonly Descriptor[], form: ManifestForm = {}): Content {
  const { docker = false, annotations = {} } = form;
  const manifest = toManifest(config, blobs);
  const sayable = docker ? withDockerTypes(manifest) : manifest;
  const isAnnotated = Object.keys(annotations).length > 0;
  return toContent(
    docker ? DOCKER_MANIFEST : OCI_MANIFEST,
    isAnnotated ? { ...sayable, annotations: sorted(annotations) } : sayable,
  );
}

/** An image of an index: its manifest, and what it is for. */
export interface IndexEntry {
  readonly manifest: Descriptor;
  readonly platform: Platform;
}

/** The index of one image for several platforms, in their order: the same bytes whenever it is made. */
export function assembleIndex(entries: readonly IndexEntry[], form: ManifestForm = {}): Content {
  const { docker = false, annotations = {} } = form;
  const mediaType = docker ? DOCKER_INDEX : OCI_INDEX;
  const manifests = entries.map(({ manifest: { mediaType: type, digest, size }, platform }) => ({
    mediaType: type,
    digest,
    size,
    platform: normalizePlatform(platform),
  }));
  const isAnnotated = Object.keys(annotations).length > 0;
  const index = { schemaVersion: 2, mediaType, manifests };
  return toContent(mediaType, isAnnotated ? { ...index, annotations: sorted(annotations) } : index);
}

function withDockerTypes({ config, layers }: Manifest): Manifest {
  const named = <T extends Descriptor>(descriptor: T): T => ({
    ...descriptor,
    mediaType: toDockerType(descriptor.mediaType),
  });
  return { schemaVersion: 2, mediaType: DOCKER_MANIFEST, config: named(config), layers: layers.map(named) };
}

function toImageConfig({ draft, layers, created, more = {} }: AssembleRequest): ImageConfig {
  const { base, platform } = draft;
  const made = layers.filter((layer) => layer !== null);
  const time = created ?? newest(made.map((layer) => layer.createdAt)) ?? base?.created;
  // A base that is for another machine than was asked for makes an image for that machine.
  const { os, architecture, variant } = base ?? normalizePlatform(platform);
  const author = draft.author ?? base?.author;
  return {
    ...keptFromBase(base),
    ...(time === undefined ? {} : { created: time }),
    ...(author === undefined ? {} : { author }),
    os,
    architecture,
    ...(variant === undefined ? {} : { variant }),
    config: { ...unknownOf(base?.config, CONTAINER_KEYS), ...draft.config },
    rootfs: { type: 'layers', diff_ids: [...(base?.rootfs.diff_ids ?? []), ...made.map((layer) => layer.diffId)] },
    history: continueHistory(base, draft.history, layers, created),
    ...more,
  };
}

/** These tell how the base itself was made and would be lies about the image. */
const STALE = /^(?:container|container_config|id|parent|moby\.buildkit\..*|berth\..*)$/;

function keptFromBase(base: ImageConfig | undefined): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(unknownOf(base, IMAGE_KEYS)).filter(([key]) => !STALE.test(key)));
}

function unknownOf(value: object | undefined, known: readonly string[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(value ?? {}).filter(([key]) => !known.includes(key)));
}

function knownBlobs({ draft, baseLayers, layers }: AssembleRequest): readonly Descriptor[] | undefined {
  const below = baseLayers ?? (draft.base === undefined || draft.base.rootfs.diff_ids.length === 0 ? [] : undefined);
  if (below === undefined) return undefined;
  const blobs: Descriptor[] = [...below];
  for (const layer of layers) {
    if (layer === null) continue;
    if (layer.descriptor === undefined) return undefined;
    blobs.push(layer.descriptor);
  }
  return blobs;
}

function toManifest(config: Descriptor, layers: readonly Descriptor[]): Manifest {
  return {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config,
    layers: layers.map((layer) => ({ ...bareDescriptor(layer), mediaType: toOciType(layer.mediaType) })),
  };
}

function toContent(mediaType: string, value: object): Content {
  const content = Buffer.from(JSON.stringify(value));
  return { descriptor: { mediaType, digest: digestOf(content), size: content.length }, content };
}

function ordered(image: ImageConfig): object {
  const { config = {}, history = [] } = image;
  const { ExposedPorts, Volumes, Labels } = config;
  const sets = {
    ...(ExposedPorts === undefined ? {} : { ExposedPorts: sorted(ExposedPorts) }),
    ...(Volumes === undefined ? {} : { Volumes: sorted(Volumes) }),
    ...(Labels === undefined ? {} : { Labels: sorted(Labels) }),
  };
  return sorted({
    ...image,
    config: inOrder({ ...config, ...sets }, CONTAINER_KEYS),
    history: history.map((entry) => inOrder(entry, HISTORY_KEYS)),
  });
}

/** Known keys first, in their order; then the others, sorted. Undefined members vanish. */
function inOrder(value: object, keys: readonly string[]): object {
  const entries = Object.entries(value);
  const known = keys.flatMap((key) => entries.filter(([name]) => name === key));
  const others = entries.filter(([name]) => !keys.includes(name));
  return Object.fromEntries([...known, ...Object.entries(sorted(Object.fromEntries(others)))]);
}

function sorted(value: object): object {
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}
