import { compressionOf, isLayerType } from '../image/media-type.ts';
import type { Descriptor, Digest } from '../image/types.ts';
import type { LayerClaims, LayerForms, LayerRecord, WholeLayerRecord } from './types.ts';

/**
 * What a scope knows of a layer: what was found out here, whoever did it, and what was said to it or to all. Verified blobs come first: what
 * is said of the others is a manifest's or a cache's word until they are unpacked.
 *
 * @param scope undefined: what was said to a scope is not seen
 */
export function seenBy(record: WholeLayerRecord, scope: string | undefined): LayerRecord {
  return merged(record, scope === undefined ? [] : [record.scopes?.[scope] ?? NOTHING]);
}

/** The same with what was said to each scope, for what cleans and checks the store. */
export function seenByAll(record: WholeLayerRecord): LayerRecord {
  return merged(record, Object.values(record.scopes ?? {}));
}

/** The record with more: facts are the store's, what is only said belongs to the scope that was told. */
export function withForms(record: WholeLayerRecord, forms: LayerForms, scope: string | undefined): WholeLayerRecord {
  const { blobs = [], snapshots = [], verified = [], sources = {}, cached = [], size } = forms;
  const isFact = ({ digest }: Descriptor): boolean => verified.includes(digest);
  const isSeen = verified.length + snapshots.length > 0;
  const known = (isKnown(record) && record.size !== undefined) || isSeen;
  const facts = blobs.filter(isFact).map(toForm);
  const found = {
    ...record,
    ...(isSeen && size !== undefined && { size }),
    blobs: uniqueBlobs([...facts, ...record.blobs]),
    snapshots: unique([...record.snapshots, ...snapshots], ({ idMap, name }) => `${idMap}/${name}`),
    ...(verified.length > 0 && { verified: union(record.verified, verified) }),
  };
  const said: LayerClaims = {
    ...(known || size === undefined ? {} : { size }),
    blobs: blobs.filter((blob) => !isFact(blob)).map(toForm),
    sources,
    ...(cached.length > 0 && { cached }),
  };
  if (scope === undefined) return { ...found, ...joined(found, said, found.verified) };
  if (said.size === undefined && said.blobs.length + Object.keys(sources).length + cached.length === 0) return found;
  const own = joined(record.scopes?.[scope] ?? NOTHING, said);
  return { ...found, scopes: { ...record.scopes, [scope]: own } };
}

/** The record with each part of what is said changed. */
export function mapClaims(record: WholeLayerRecord, act: (claims: LayerClaims) => LayerClaims): WholeLayerRecord {
  const { scopes } = record;
  const own = Object.entries(scopes ?? {}).map(([scope, claims]) => [scope, act(claims)] as const);
  return { ...record, ...act(record), ...(scopes && { scopes: Object.fromEntries(own) }) };
}

/** The record without a blob, which is lost or has other bytes than the layer. */
export function withoutBlobs(record: WholeLayerRecord, gone: ReadonlySet<Digest>): WholeLayerRecord {
  const left = mapClaims(record, ({ blobs, sources, cached, ...claims }) => ({
    ...claims,
    blobs: blobs.filter(({ digest }) => !gone.has(digest)),
    sources: Object.fromEntries(Object.entries(sources).filter(([digest]) => !gone.has(digest as Digest))),
    ...(cached && { cached: cached.filter((digest) => !gone.has(digest)) }),
  }));
  return left.verified ? { ...left, verified: left.verified.filter((digest) => !gone.has(digest)) } : left;
}

/** Whether the blob is known to hold the layer, packed as the descriptor says. */
export function isVerified(record: LayerRecord | undefined, { digest, size, mediaType }: Descriptor): boolean {
  if (!record?.verified?.includes(digest)) return false;
  const known = record.blobs.find((blob) => blob.digest === digest);
  return known?.size === size && isLayerType(mediaType) && packingOf(known) === packingOf({ mediaType });
}

function packingOf({ mediaType }: Pick<Descriptor, 'mediaType'>): string {
  return isLayerType(mediaType) ? compressionOf(mediaType) : mediaType;
}

const NOTHING: LayerClaims = { blobs: [], sources: {} };

function merged({ scopes: _, ...record }: WholeLayerRecord, more: readonly LayerClaims[]): LayerRecord {
  const facts = record.blobs.filter(({ digest }) => record.verified?.includes(digest));
  const said = [...more, record];
  const size = isKnown(record) ? record.size : undefined;
  const cached = union(...said.map((claims) => claims.cached));
  return {
    ...record,
    size: size ?? said.find((claims) => claims.size !== undefined)?.size,
    blobs: uniqueBlobs([...facts, ...said.flatMap(({ blobs }) => blobs)]),
    sources: said.map(({ sources }) => sources).reduce((all, one) => mergeSources(one, all), {}),
    ...(cached.length > 0 && { cached }),
  };
}

/** What is said, with more of it; a blob that is known stays as it was found out. */
function joined(claims: LayerClaims, more: LayerClaims, verified: readonly Digest[] = []): LayerClaims {
  const cached = union(claims.cached, more.cached);
  const isSaid = ({ digest }: Descriptor): boolean => !verified.includes(digest);
  return {
    ...((claims.size ?? more.size) !== undefined && { size: more.size ?? claims.size }),
    blobs: uniqueBlobs([...claims.blobs, ...more.blobs.filter(isSaid)]),
    sources: mergeSources(claims.sources, more.sources),
    ...(cached.length > 0 && { cached }),
  };
}

/** Somebody has seen the layer's files here, so that its size is no hearsay. */
function isKnown({ snapshots, verified = [] }: Pick<LayerRecord, 'snapshots' | 'verified'>): boolean {
  return snapshots.length + verified.length > 0;
}

/** Annotations and platform belong to a manifest's entry, not to the blob. */
export function toForm({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size };
}

function mergeSources(a: LayerRecord['sources'], b: LayerRecord['sources']): LayerRecord['sources'] {
  const digests = [...new Set([...Object.keys(a), ...Object.keys(b)])];
  return Object.fromEntries(
    digests.map((digest) => [digest, [...new Set([...(a[digest] ?? []), ...(b[digest] ?? [])])]]),
  );
}

/** Each blob once, as it was named first. */
function uniqueBlobs(blobs: readonly Descriptor[]): readonly Descriptor[] {
  return blobs.filter((blob, at) => blobs.findIndex(({ digest }) => digest === blob.digest) === at);
}

function union(...lists: readonly (readonly Digest[] | undefined)[]): readonly Digest[] {
  return [...new Set(lists.flatMap((list) => list ?? []))];
}

function unique<T>(values: readonly T[], keyOf: (value: T) => string): readonly T[] {
  return [...new Map(values.map((value) => [keyOf(value), value])).values()];
}
