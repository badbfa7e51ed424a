import { join } from 'node:path';
import type { Descriptor, Index, Manifest } from '../image/types.ts';
import { readText, replaceFile } from './files.ts';
import type { Snapshot } from './indexes.ts';
import type { ContentStore, StoredImage } from './types.ts';

const INDEX = 'application/vnd.oci.image.index.v1+json';

/**
 * Writes `index.json`: the complete images alone, each under each of its names, so that skopeo and umoci read the store as an OCI image
 * layout (image-spec, image-layout.md). Called under the lock `image`.
 */
export async function writeOciIndex(
  root: string,
  content: Pick<ContentStore, 'read' | 'exists'>,
  { images, indexes }: Pick<Snapshot, 'images' | 'indexes'>,
): Promise<void> {
  const states = await Promise.all(images.map(async (image) => [image.id, await isComplete(content, image)] as const));
  const complete = new Set(states.filter(([, isThere]) => isThere).map(([id]) => id));
  const ofIndexes = new Set(indexes.flatMap(({ names }) => names));
  const index: Index = {
    schemaVersion: 2,
    mediaType: INDEX,
    manifests: [
      ...indexes
        .filter(({ members }) => members.every(({ id }) => complete.has(id)))
        .flatMap(({ descriptor, names }) => named(descriptor, names)),
      ...images.filter(({ id }) => complete.has(id)).flatMap((image) => toEntries(image, ofIndexes)),
    ],
  };
  const text = JSON.stringify(index);
  const path = join(root, 'index.json');
  if (readText(path) !== text) await replaceFile(path, text, { backup: true });
}

/** True when manifest, config and every layer are in `blobs/`. */
export async function isComplete(content: Pick<ContentStore, 'read' | 'exists'>, image: StoredImage): Promise<boolean> {
  if (!image.manifest || !(await content.exists(image.manifest))) return false;
  const manifest = JSON.parse((await content.read(image.manifest.digest)).toString('utf8')) as Manifest;
  const there = await Promise.all([manifest.config, ...manifest.layers].map((blob) => content.exists(blob)));
  return there.every(Boolean);
}

function toEntries({ manifest, names, config }: StoredImage, ofIndexes: ReadonlySet<string>): readonly Descriptor[] {
  if (!manifest) return [];
  const { architecture, os, variant } = config;
  const entry: Descriptor = {
    mediaType: manifest.mediaType,
    digest: manifest.digest,
    size: manifest.size,
    platform: { architecture, os, ...(variant === undefined ? {} : { variant }) },
  };
  const own = names.filter((name) => !ofIndexes.has(name));
  return own.length === 0 && names.length > 0 ? [] : named(entry, own);
}

function named(entry: Descriptor, names: readonly string[]): readonly Descriptor[] {
  if (names.length === 0) return [entry];
  return [...names].sort().map((name) => ({
    ...entry,
    annotations: { 'org.opencontainers.image.ref.name': name, 'io.containerd.image.name': name },
  }));
}
