import { encodedOf } from '../image/digest.ts';
import { OCI_INDEX } from '../image/media-type.ts';
import { familiarString, parseReference } from '../image/reference.ts';
import type { Descriptor, Digest, Manifest, Platform } from '../image/types.ts';

/** An image that goes into an archive; its blobs are there. */
export interface LayoutImage {
  readonly manifest: Descriptor;
  readonly content: Manifest;
  readonly platform: Platform;
  /** In full: `docker.io/library/model:1`. */
  readonly names: readonly string[];
  /** RFC 3339. */
  readonly created?: string | undefined;
}

/** `oci` is an OCI image layout; `docker` the same with Docker's `manifest.json` beside it, as `docker save` writes since 25. */
export type LayoutFormat = 'oci' | 'docker';

/** Files that describe the blobs, by name. */
export interface LayoutFiles {
  readonly files: Readonly<Record<string, Buffer>>;
  /** Every blob once, manifests last. */
  readonly blobs: readonly Descriptor[];
}

/** What an archive or layout folder of these images holds. */
export function layoutFiles(images: readonly LayoutImage[], format: LayoutFormat): LayoutFiles {
  const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: images.flatMap(indexEntries) };
  const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
  const all = images.flatMap(({ content, manifest }) => [content.config, ...content.layers, manifest]);
  return {
    files: {
      'oci-layout': json({ imageLayoutVersion: '1.0.0' }),
      'index.json': json(index),
      ...(format === 'docker' ? { 'manifest.json': json(dockerManifest(images)) } : {}),
    },
    blobs: [...new Map(all.map((blob) => [blob.digest, blob])).values()],
  };
}

/** Where a blob lies in a layout. */
export function blobName(digest: Digest): string {
  return `blobs/sha256/${encodedOf(digest)}`;
}

/** The entries of `index.json`: one a name, with the annotations that BuildKit and containerd write. */
export function indexEntries({ manifest, platform, names, created }: LayoutImage): readonly Descriptor[] {
  const { mediaType, digest, size } = manifest;
  const entry: Descriptor = { mediaType, digest, size, platform };
  const time = created === undefined ? {} : { 'org.opencontainers.image.created': created };
  if (names.length === 0) return [created === undefined ? entry : { ...entry, annotations: time }];
  return names.map((name) => ({
    ...entry,
    annotations: {
      'io.containerd.image.name': name,
      ...time,
      'org.opencontainers.image.ref.name': parseReference(name).tag ?? 'latest',
    },
  }));
}

/** Source: moby, image/tarexport. An image with several names is one entry. */
function dockerManifest(images: readonly LayoutImage[]): unknown {
  return images.map(({ content, names }) => ({
    Config: blobName(content.config.digest),
    RepoTags: names.length === 0 ? null : names.map((name) => familiarString(parseReference(name))),
    Layers: content.layers.map(({ digest }) => blobName(digest)),
  }));
}
