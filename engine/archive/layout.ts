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

/** An image for several platforms; its bytes and its images' blobs are there. */
export interface LayoutIndex {
  readonly index: Descriptor;
  readonly images: readonly LayoutImage[];
  readonly names: readonly string[];
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
export function layoutFiles(entries: readonly (LayoutImage | LayoutIndex)[], format: LayoutFormat): LayoutFiles {
  const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: entries.flatMap(indexEntries) };
  const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
  const all = entries.flatMap((entry) =>
    'index' in entry ? [...entry.images.flatMap(blobsOf), entry.index] : blobsOf(entry),
  );
  return {
    files: {
      'oci-layout': json({ imageLayoutVersion: '1.0.0' }),
      'index.json': json(index),
      ...(format === 'docker' ? { 'manifest.json': json(dockerManifest(entries)) } : {}),
    },
    blobs: [...new Map(all.map((blob) => [blob.digest, blob])).values()],
  };
}

function blobsOf({ content, manifest }: LayoutImage): readonly Descriptor[] {
  return [content.config, ...content.layers, manifest];
}

/** Where a blob lies in a layout. */
export function blobName(digest: Digest): string {
  return `blobs/sha256/${encodedOf(digest)}`;
}

/** The entries of `index.json`: one a name, with the annotations that BuildKit and containerd write. */
export function indexEntries(image: LayoutImage | LayoutIndex): readonly Descriptor[] {
  const { names, created } = image;
  const { mediaType, digest, size } = 'index' in image ? image.index : image.manifest;
  const entry: Descriptor = { mediaType, digest, size, ...('index' in image ? {} : { platform: image.platform }) };
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

/** Source: moby, image/tarexport. An image with several names is one entry; of an index it can say one image, which comes first. */
function dockerManifest(entries: readonly (LayoutImage | LayoutIndex)[]): unknown {
  return entries.flatMap((entry) => {
    const { names } = entry;
    const image = 'index' in entry ? entry.images[0] : entry;
    if (!image) return [];
    return [
      {
        Config: blobName(image.content.config.digest),
        RepoTags: names.length === 0 ? null : names.map((name) => familiarString(parseReference(name))),
        Layers: image.content.layers.map(({ digest }) => blobName(digest)),
      },
    ];
  });
}
