import { join } from 'node:path';
import type { Descriptor, Index, Manifest } from '../image/types.ts';
import { readText, replaceFile } from './files.ts';
import type { ContentStore, StoredImage } from './types.ts';

const INDEX = 'application/vnd.oci.image.index.v1+json';

/**
 * Writes `index.json`: the complete images alone, each under each of its names, so that skopeo and umoci read the store as an OCI image
 * layout (image-spec, image-layout.md). Called under the lock `image`.
 */
export async function writeOciIndex(
  root: string,
  content: Pick<ContentStore, 'read' | 'exists'>,
  images: readonly StoredImage[],
): Promise<void> {
  const complete = await Promise.all(images.map(async (image) => ((await isComplete(content, image)) ? [image] : [])));
  const index: Index = {
    schemaVersion: 2,
    mediaType: INDEX,
    manifests: complete.flat().flatMap(toEntries),
  };
  const text = JSON.stringify(index);
  const path = join(root, 'index.json');
  if ((await readText(path)) !== text) await replaceFile(path, text, { backup: true });
}

/** True when manifest, config and every layer are in `blobs/`. */
export async function isComplete(content: Pick<ContentStore, 'read' | 'exists'>, image: StoredImage): Promise<boolean> {
  if (!image.manifest || !(await content.exists(image.manifest))) return false;
  const manifest = JSON.parse((await content.read(image.manifest.digest)).toString('utf8')) as Manifest;
  const there = await Promise.all([manifest.config, ...manifest.layers].map((blob) => content.exists(blob)));
  return there.every(Boolean);
}

function toEntries({ manifest, names, config }: StoredImage): readonly Descriptor[] {
  if (!manifest) return [];
  const { architecture, os, variant } = config;
  const entry: Descriptor = {
    mediaType: manifest.mediaType,
    digest: manifest.digest,
    size: manifest.size,
    platform: { architecture, os, ...(variant === undefined ? {} : { variant }) },
  };
  if (names.length === 0) return [entry];
  return [...names].sort().map((name) => ({
    ...entry,
    annotations: { 'org.opencontainers.image.ref.name': name, 'io.containerd.image.name': name },
  }));
}
