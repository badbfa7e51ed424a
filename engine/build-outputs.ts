import { EngineError } from './base/errors.ts';
import { withVertex, type ActOptions } from './base/progress.ts';
import { DEFAULT_PACKING } from './packing.ts';
import { bringImage, toLayoutImage } from './complete-image.ts';
import type { Parts } from './connect.ts';
import type { BuildOutput, BuiltPlatform, PushResult } from './engine.ts';
import { assembleConfig, assembleManifest } from './image/assemble.ts';
import { OCI_CONFIG } from './image/media-type.ts';
import type { Descriptor, Digest, ImageConfig, Platform } from './image/types.ts';
import { requireTag } from './names.ts';
import { writeArchive, writeLayoutFolder, withTarget, type Target } from './output-archive.ts';
import { writeFolder, writeTree } from './output-files.ts';
import type { Packing, StoredImage } from './store/index.ts';
import { push } from './transfer.ts';

/** What a build has made, for its outputs. */
export interface BuiltImage {
  readonly id: Digest;
  readonly config: ImageConfig;
  readonly platform: Platform;
  /** Where its blobs are made already. */
  readonly manifest?: Descriptor | undefined;
  /** Layers that the base brought. */
  readonly baseLayers: number;
  /** Their blobs, as the manifest of the base names them. */
  readonly baseBlobs: readonly Descriptor[];
  readonly names: readonly string[];
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  /** SOURCE_DATE_EPOCH in seconds. */
  readonly epoch?: number | undefined;
}

/** What became of the outputs. */
export interface Produced {
  /** The image in the store, where an output keeps one. */
  readonly id?: Digest | undefined;
  readonly manifest?: Descriptor | undefined;
  /** The images of an index. */
  readonly platforms?: readonly BuiltPlatform[] | undefined;
  readonly pushed: readonly PushResult[];
}

/** Whether an output keeps the image in the store, as a build without outputs does. */
export function isKept({ type, dest, write }: BuildOutput): boolean {
  return type === 'image' || type === 'registry' || (type === 'docker' && dest === undefined && write === undefined);
}

/** How an output wants layers packed; undefined when it needs no blobs. */
export function packingOf(output: BuildOutput): Packing | undefined {
  if (output.type === 'local' || output.type === 'tar') return undefined;
  const { compression, compressionLevel, forceCompression: force = false } = output;
  if (compression === 'uncompressed') return { codec: 'none', level: 0, force };
  // Who names a compression gets it.
  if (compression === undefined && compressionLevel === undefined && !force) return DEFAULT_PACKING;
  const codec = compression ?? DEFAULT_PACKING.codec;
  return { codec, level: compressionLevel ?? (codec === 'zstd' ? 3 : DEFAULT_PACKING.level), force };
}

/**
 * Refuses outputs that cannot be, before anything is built.
 *
 * @throws `OUTPUT_INVALID`
 */
export function checkOutputs(
  outputs: readonly BuildOutput[],
  names: readonly string[],
  { isForSeveral = false }: { readonly isForSeveral?: boolean } = {},
): void {
  for (const output of outputs) {
    const own = output.names ?? names;
    const fault = (state: string, hint?: string): EngineError => faultOf(output, state, hint);
    if (isPushed(output) && own.length === 0) throw fault('there is no name to push to', 'Name it with -t');
    if (output.type === 'local' && output.dest === undefined) throw fault('it needs a folder', 'Add dest=FOLDER');
    const state = isForSeveral ? stateForSeveral(output) : undefined;
    if (state !== undefined) throw fault(`several platforms were asked for, and ${state[0]}`, state[1]);
    const needsPlace = output.type === 'oci' || output.type === 'tar';
    if (needsPlace && output.dest === undefined && output.write === undefined)
      throw fault('it needs a file', 'Add dest=FILE');
    if (output.tar === false && output.dest === undefined) throw fault('tar=false needs a folder', 'Add dest=FOLDER');
    const highest = { gzip: 9, zstd: 22, uncompressed: 0 }[output.compression ?? 'gzip'];
    const level = output.compressionLevel;
    if (level !== undefined && (level < 1 || level > highest))
      throw fault(
        `compression-level ${level} is not from 1 to ${highest}`,
        'compression=uncompressed does not compress',
      );
  }
}

/** Why an output cannot be for several platforms, and what to do instead. */
function stateForSeveral(output: BuildOutput): readonly [string, string] | undefined {
  if (output.type === 'tar')
    return ['a tar of files holds one of them', 'Use type=local, which makes a folder a platform'];
  if (output.type === 'docker' && !isKept(output))
    return ['an archive of docker holds one of them', 'Use type=oci, or build one platform'];
  return undefined;
}

/** Refuses rewritten layers in an image that carries its cache, whose records name those that the steps made. @throws `OUTPUT_INVALID` */
export function refuseRewrittenInline(outputs: readonly BuildOutput[]): void {
  const output = outputs.find(({ rewriteTimestamp }) => rewriteTimestamp);
  if (!output) return;
  const hint = 'Leave rewrite-timestamp out, or write the cache elsewhere: --cache-to type=registry,ref=…';
  throw faultOf(output, 'rewrite-timestamp gives other layers than those of the cache that type=inline carries', hint);
}

/** Refuses to rewrite times without one, before anything runs. @throws `OUTPUT_INVALID` */
export function requireEpoch(outputs: readonly BuildOutput[], epoch: number | undefined): void {
  const output = outputs.find(({ rewriteTimestamp }) => rewriteTimestamp);
  if (!output || epoch !== undefined) return;
  const hint = 'Add --build-arg SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)';
  throw faultOf(output, 'rewrite-timestamp needs SOURCE_DATE_EPOCH', hint);
}

function faultOf({ type }: BuildOutput, state: string, hint?: string): EngineError {
  return new EngineError('OUTPUT_INVALID', `Cannot make the output type=${type}: ${state}`, { hint });
}

/** Whether an output pushes. */
export function isPushed({ type, push: pushes = false }: BuildOutput): boolean {
  return type === 'registry' || pushes;
}

/** Makes the outputs, one after the other. */
export async function produceOutputs(
  parts: Parts,
  built: BuiltImage,
  outputs: readonly BuildOutput[],
  options: ActOptions,
): Promise<Produced> {
  let last: Pick<Produced, 'id' | 'manifest'> = {};
  const pushed: PushResult[] = [];
  for (const output of outputs) {
    if (output.type === 'local' || output.type === 'tar') {
      await produceFiles(parts, built, output, options);
      continue;
    }
    const names = (output.names ?? built.names).map(requireTag);
    const image = await packImage(parts, built, output, options);
    if (isKept(output)) {
      await parts.store.images.put({ id: image.id, manifest: image.manifest, names });
      last = image;
      if (isPushed(output)) for (const name of names) pushed.push(await push(parts, image.id, name, options));
    } else await produceArchive(parts, image, { output, names }, options);
  }
  return { ...last, pushed };
}

async function produceFiles(
  parts: Parts,
  { config, epoch }: BuiltImage,
  output: BuildOutput,
  options: ActOptions,
): Promise<void> {
  const source = { diffIds: config.rootfs.diff_ids, clamp: epoch };
  if (output.type === 'local') return await writeFolder(parts, source, output.dest ?? '', options);
  await withVertex({ id: 'export tar', name: 'exporting to a tar' }, options.onEvent, () =>
    withTarget(targetOf(output), (write) => writeTree(parts, source, write, options)),
  );
}

/** Where an archive goes: `checkOutputs` has seen to it that one of them is there. */
export function targetOf({ dest, write = () => undefined }: BuildOutput): Target {
  return dest === undefined ? { write } : { dest };
}

async function produceArchive(
  parts: Parts,
  image: StoredImage,
  { output, names }: { readonly output: BuildOutput; readonly names: readonly string[] },
  options: ActOptions,
): Promise<void> {
  const format = output.type === 'docker' ? 'docker' : 'oci';
  await withVertex(
    { id: `export ${format}`, name: `exporting to ${format} image format` },
    options.onEvent,
    async () => {
      const ready = await bringImage(parts, image, options, { keep: false });
      const layout = await toLayoutImage(parts, ready, names);
      if (output.tar === false) await writeLayoutFolder(parts, layout, format, output.dest ?? '');
      else await writeArchive(parts, layout, format, targetOf(output), options);
    },
  );
}

/** The image with its layers packed as the output wants them. Config and manifest are stored; whether the image is kept is the caller's. */
export async function packImage(
  parts: Parts,
  built: BuiltImage,
  output: BuildOutput,
  options: ActOptions,
): Promise<StoredImage & { readonly manifest: Descriptor }> {
  const { store } = parts;
  const { diffIds, blobs } = await packLayers(parts, built, output, options);
  const isChanged = diffIds.join() !== built.config.rootfs.diff_ids.join();
  const imageConfig = isChanged
    ? { ...built.config, rootfs: { type: 'layers' as const, diff_ids: diffIds } }
    : built.config;
  const id = isChanged ? await writeConfig(parts, imageConfig) : built.id;
  const config = { mediaType: OCI_CONFIG, digest: id, size: (await store.content.read(id)).length };
  const docker = output.ociMediaTypes === false;
  const annotations = { ...built.annotations, ...output.annotations };
  const { content, descriptor } = assembleManifest(config, blobs, { docker, annotations });
  const manifest = await store.content.write(descriptor.mediaType, content);
  return { id, config: imageConfig, manifest, names: [], repoDigests: [], size: 0 };
}

async function writeConfig({ store }: Parts, config: ImageConfig): Promise<Digest> {
  const { content, descriptor } = assembleConfig(config);
  await store.content.write(descriptor.mediaType, content);
  return descriptor.digest;
}

async function packLayers(
  parts: Parts,
  { config, baseLayers, baseBlobs, epoch }: BuiltImage,
  output: BuildOutput,
  options: ActOptions,
): Promise<{ readonly diffIds: readonly Digest[]; readonly blobs: readonly Descriptor[] }> {
  const packing = packingOf(output) ?? DEFAULT_PACKING;
  const vertex = { id: `pack ${JSON.stringify(packing)} ${output.rewriteTimestamp ?? false}`, name: 'packing layers' };
  return await withVertex(vertex, options.onEvent, async () => {
    const snapshots = await parts.snapshots(options);
    const act = { ...options, vertex: vertex.id };
    const diffIds: Digest[] = [];
    const blobs: Descriptor[] = [];
    for (const [at, diffId] of config.rootfs.diff_ids.entries()) {
      const chain = config.rootfs.diff_ids.slice(0, at + 1);
      // Layers of the base are others' and stay as they are.
      const isRewritten = output.rewriteTimestamp === true && at >= baseLayers && epoch !== undefined;
      const made = isRewritten
        ? await snapshots.rewrite(chain, packing, epoch, act)
        : { diffId, blob: await snapshots.pack(chain, packing, { ...act, came: baseBlobs.slice(at, at + 1) }) };
      diffIds.push(made.diffId);
      blobs.push(made.blob);
    }
    return { diffIds, blobs };
  });
}
