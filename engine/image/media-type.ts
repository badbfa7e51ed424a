import { EngineError } from '../base/errors.ts';
import { escapeControl } from '../base/escape.ts';

/** Media types. Sources: image-spec media-types.md; Docker's image manifest v2, schema 2. */
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json';
export const OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar';
export const OCI_LAYER_GZIP = 'application/vnd.oci.image.layer.v1.tar+gzip';
export const OCI_LAYER_ZSTD = 'application/vnd.oci.image.layer.v1.tar+zstd';
export const OCI_EMPTY = 'application/vnd.oci.empty.v1+json';
export const DOCKER_INDEX = 'application/vnd.docker.distribution.manifest.list.v2+json';
export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
export const DOCKER_CONFIG = 'application/vnd.docker.container.image.v1+json';
export const DOCKER_LAYER = 'application/vnd.docker.image.rootfs.diff.tar';
export const DOCKER_LAYER_GZIP = 'application/vnd.docker.image.rootfs.diff.tar.gzip';
export const DOCKER_LAYER_ZSTD = 'application/vnd.docker.image.rootfs.diff.tar.zstd';

/** How the tar of a layer is packed. */
export type Compression = 'none' | 'gzip' | 'zstd';

/** What a registry is asked for, best first. */
export const MANIFEST_TYPES: readonly string[] = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_INDEX];

const COMPRESSION: ReadonlyMap<string, Compression> = new Map([
  [OCI_LAYER, 'none'],
  [OCI_LAYER_GZIP, 'gzip'],
  [OCI_LAYER_ZSTD, 'zstd'],
  [DOCKER_LAYER, 'none'],
  [DOCKER_LAYER_GZIP, 'gzip'],
  [DOCKER_LAYER_ZSTD, 'zstd'],
]);
const TO_OCI: ReadonlyMap<string, string> = new Map([
  [DOCKER_INDEX, OCI_INDEX],
  [DOCKER_MANIFEST, OCI_MANIFEST],
  [DOCKER_CONFIG, OCI_CONFIG],
  [DOCKER_LAYER, OCI_LAYER],
  [DOCKER_LAYER_GZIP, OCI_LAYER_GZIP],
  [DOCKER_LAYER_ZSTD, OCI_LAYER_ZSTD],
]);
const TO_DOCKER: ReadonlyMap<string, string> = new Map([...TO_OCI].map(([docker, oci]) => [oci, docker]));
const OCI_BY_COMPRESSION: Readonly<Record<Compression, string>> = {
  none: OCI_LAYER,
  gzip: OCI_LAYER_GZIP,
  zstd: OCI_LAYER_ZSTD,
};
const SCHEMA_1 = /^application\/vnd\.docker\.distribution\.manifest\.v1\+(?:json|prettyjws)$/;
const FOREIGN = /^application\/vnd\.(?:docker\.image\.rootfs\.foreign\.diff|oci\.image\.layer\.nondistributable\.v1)\./;
const NAME = /^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}\/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}$/;

/** True for an index or manifest list. */
export function isIndexType(mediaType: string): boolean {
  return mediaType === OCI_INDEX || mediaType === DOCKER_INDEX;
}

/** True for the manifest of one image or artifact. */
export function isManifestType(mediaType: string): boolean {
  return mediaType === OCI_MANIFEST || mediaType === DOCKER_MANIFEST;
}

/** True for what lives under `/manifests/` in a registry. */
export function isGraphType(mediaType: string): boolean {
  return isIndexType(mediaType) || isManifestType(mediaType);
}

/** True for an image's configuration. */
export function isConfigType(mediaType: string): boolean {
  return mediaType === OCI_CONFIG || mediaType === DOCKER_CONFIG;
}

/** True for Docker's manifest of before 2016, which can't be verified as the others can. */
export function isSchema1Type(mediaType: string): boolean {
  return SCHEMA_1.test(mediaType);
}

/** True for a layer that isn't in the registry but at a URL of somebody's (Windows bases). */
export function isForeignType(mediaType: string): boolean {
  return FOREIGN.test(mediaType);
}

/** True for `type/subtype` of RFC 6838 4.2. */
export function isMediaType(text: string): boolean {
  return NAME.test(text);
}

/** True for a layer that the engine can unpack. */
export function isLayerType(mediaType: string): boolean {
  return COMPRESSION.has(mediaType);
}

/**
 * How a layer is packed.
 *
 * @throws `LAYER_UNSUPPORTED` naming the media type
 */
export function compressionOf(mediaType: string): Compression {
  const compression = COMPRESSION.get(mediaType);
  if (compression !== undefined) return compression;
  const kind = isForeignType(mediaType)
    ? 'a foreign layer, which no registry holds'
    : "a kind of layer that isn't known";
  throw new EngineError(
    'LAYER_UNSUPPORTED',
    `Cannot unpack a layer of type ${escapeControl(mediaType)}: it is ${kind}`,
  );
}

/** The OCI media type of a layer packed like that. */
export function layerType(compression: Compression): string {
  return OCI_BY_COMPRESSION[compression];
}

/** The OCI name of a type; others stay. The bytes behind both names are the same. */
export function toOciType(mediaType: string): string {
  return TO_OCI.get(mediaType) ?? mediaType;
}

/** Docker's name of a type; others stay. */
export function toDockerType(mediaType: string): string {
  return TO_DOCKER.get(mediaType) ?? mediaType;
}

/** `Content-Type` without parameters, in lower case. */
export function contentType(header: string | undefined): string | undefined {
  const type = header?.split(';', 1)[0]?.trim().toLowerCase();
  return type === '' ? undefined : type;
}
