import { join } from 'node:path';
import { withVertex, type ActOptions } from './base/progress.ts';
import { isKept, isPushed, packImage, targetOf, type BuiltImage, type Produced } from './build-outputs.ts';
import { bringImage } from './complete-image.ts';
import type { Parts } from './connect.ts';
import type { BuildOutput, BuiltPlatform, PushResult } from './engine.ts';
import { assembleIndex } from './image/assemble.ts';
import { bestFor } from './image/choose.ts';
import { formatPlatform } from './image/platform.ts';
import type { ImageConfig, Platform } from './image/types.ts';
import { toLayoutIndex } from './image-index.ts';
import { requireTag } from './names.ts';
import { writeArchive, writeLayoutFolder } from './output-archive.ts';
import { writeFolder } from './output-files.ts';
import type { StoredImage, StoredIndex } from './store/index.ts';
import { push } from './transfer.ts';

/** Of the images of one build, the one that a machine runs; the first where it runs none. */
export function primaryOf(images: readonly BuiltImage[], host: Platform): BuiltImage {
  const found = bestFor(images, host, ({ platform }) => platform) ?? images[0];
  if (!found) throw new Error('A build makes at least one image');
  return found;
}

/** Makes the outputs of a build for several platforms, one after the other: an index of the images, or their files, a folder each. */
export async function produceSeveral(
  parts: Parts,
  images: readonly BuiltImage[],
  outputs: readonly BuildOutput[],
  options: ActOptions,
): Promise<Produced> {
  let last: Pick<Produced, 'id' | 'manifest' | 'platforms'> = {};
  const pushed: PushResult[] = [];
  for (const output of outputs) {
    if (output.type === 'local') {
      await writeFolders(parts, images, output, options);
      continue;
    }
    const names = (output.names ?? images[0]?.names ?? []).map(requireTag);
    const index = await makeIndex(parts, images, output, options);
    if (!isKept(output)) {
      await writeIndex(parts, index, { output, names }, options);
      last = { id: index.descriptor.digest, manifest: index.descriptor, platforms: platformsOf(index), ...last };
      continue;
    }
    for (const { id, manifest } of index.members) await parts.store.images.put({ id, manifest });
    await parts.store.images.putIndex({ ...index, names });
    last = { id: index.descriptor.digest, manifest: index.descriptor, platforms: platformsOf(index) };
    if (isPushed(output))
      for (const name of names) pushed.push(await push(parts, index.descriptor.digest, name, options));
  }
  return { ...last, pushed };
}

function platformsOf({ members }: StoredIndex): readonly BuiltPlatform[] {
  return members.map(({ id, manifest, platform }) => ({ platform, imageId: id, manifest }));
}

/** Files of each image in a folder of its own, named as BuildKit names it: `linux_arm64`. */
async function writeFolders(
  parts: Parts,
  images: readonly BuiltImage[],
  { dest = '' }: BuildOutput,
  options: ActOptions,
): Promise<void> {
  for (const { config, epoch, platform } of images) {
    const folder = join(dest, formatPlatform(platform).replaceAll('/', '_'));
    await writeFolder(parts, { diffIds: config.rootfs.diff_ids, clamp: epoch }, folder, options);
  }
}

/** Packs the images as the output wants them, and names their manifests in an index. */
async function makeIndex(
  parts: Parts,
  images: readonly BuiltImage[],
  output: BuildOutput,
  options: ActOptions,
): Promise<StoredIndex> {
  const members: StoredIndex['members'][number][] = [];
  for (const image of images) {
    const { id, manifest } = await packImage(parts, image, output, options);
    members.push({ id, manifest, platform: image.platform });
  }
  const { descriptor, content } = assembleIndex(members, { docker: output.ociMediaTypes === false });
  await parts.store.content.write(descriptor.mediaType, content);
  return { descriptor, members, names: [] };
}

async function writeIndex(
  parts: Parts,
  index: StoredIndex,
  { output, names }: { readonly output: BuildOutput; readonly names: readonly string[] },
  options: ActOptions,
): Promise<void> {
  const vertex = { id: 'export oci', name: 'exporting to oci image format' };
  await withVertex(vertex, options.onEvent, async () => {
    const images: StoredImage[] = [];
    for (const { id, manifest } of index.members) {
      const config = JSON.parse((await parts.store.content.read(id)).toString('utf8')) as ImageConfig;
      const image = { id, config, manifest, names: [], repoDigests: [], size: 0 };
      images.push(await bringImage(parts, image, options, { keep: false }));
    }
    const layout = await toLayoutIndex(parts, index.descriptor, images, names);
    if (output.tar === false) await writeLayoutFolder(parts, layout, 'oci', output.dest ?? '');
    else await writeArchive(parts, layout, 'oci', targetOf(output), options);
  });
}
