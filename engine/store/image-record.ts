import { isDigest } from '../image/digest.ts';
import type { Descriptor, Digest } from '../image/types.ts';
import { isRecord } from './files.ts';
import type { NewImage, PulledManifest } from './types.ts';

/**
 * What one scope, or all, keep of an image. Its id fixes the layers, and not the blobs that have them: two manifests of one image may name
 * whatever blobs they like, so that none takes the place of another that somebody else has brought.
 */
export interface ImageClaims {
  /** The one that is meant where nothing else is said. */
  readonly manifest?: Descriptor | undefined;
  /** The repository that it was pulled from; left out: it was made or loaded here. */
  readonly from?: string | undefined;
  /** Those that came from other repositories. */
  readonly beside?: readonly PulledManifest[] | undefined;
  /** The manifest of the image that this one was built on. */
  readonly base?: Descriptor | undefined;
  readonly repoDigests: readonly string[];
}

/** `images/<id>.json`: what all have, and beside it what scopes have. */
export interface ImageRecord extends ImageClaims {
  readonly v: 1;
  readonly id: Digest;
  readonly scopes?: Readonly<Record<string, ImageClaims>> | undefined;
}

/** Manifests of one image that are kept beside each other in a scope, at most. */
const MAX_BESIDE = 20;

/** The record with what is put. @param scope undefined: for all */
export function withPut(record: ImageRecord | undefined, image: NewImage, scope: string | undefined): ImageRecord {
  const found = record ?? { v: 1, id: image.id, repoDigests: [] };
  if (scope === undefined) return { ...found, ...put(found, image) };
  const own = put(found.scopes?.[scope] ?? { repoDigests: [] }, image);
  return { ...found, scopes: { ...found.scopes, [scope]: own } };
}

function put(claims: ImageClaims, image: NewImage): ImageClaims {
  const { base, repoDigests = [] } = image;
  return {
    ...withManifest(claims, image),
    ...(base && { base }),
    // The newest last, also when it was there before.
    repoDigests: newestLast(claims.repoDigests, repoDigests),
  };
}

/** What is made or loaded here is meant from now on; what is pulled is meant by the names of its repository. */
function withManifest(claims: ImageClaims, { manifest, from, instead }: NewImage): ImageClaims {
  if (!manifest) return claims;
  if (instead !== undefined && claims.manifest) {
    const renewed = (old: Descriptor): Descriptor => (old.digest === instead ? manifest : old);
    const beside = claims.beside?.map((one) => ({ ...one, manifest: renewed(one.manifest) }));
    return { ...claims, manifest: renewed(claims.manifest), beside };
  }
  if (from === undefined) return { ...claims, manifest, from, beside: undefined };
  if (!claims.manifest || claims.from === from) return { ...claims, manifest, from };
  const others = (claims.beside ?? []).filter((one) => one.from !== from);
  return { ...claims, beside: [...others, { manifest, from }].slice(-MAX_BESIDE) };
}

/** The record without a manifest, whoever has it: its blobs are lost, or have other bytes than the layers. */
export function withoutManifest(record: ImageRecord, digest: Digest): ImageRecord {
  const strip = ({ manifest, from, beside = [], base, repoDigests }: ImageClaims): ImageClaims => ({
    ...(manifest && manifest.digest !== digest ? { manifest, from } : {}),
    beside: nonEmpty(beside.filter((one) => one.manifest.digest !== digest)),
    base,
    repoDigests,
  });
  const { scopes } = record;
  const own = Object.entries(scopes ?? {}).map(([scope, claims]) => [scope, strip(claims)] as const);
  return { v: 1, id: record.id, ...strip(record), ...(scopes && { scopes: Object.fromEntries(own) }) };
}

/** What a scope sees of an image: its own before what all have. */
export interface SeenClaims {
  readonly manifest?: Descriptor | undefined;
  readonly base?: Descriptor | undefined;
  readonly repoDigests: readonly string[];
  /** Manifests that came from repositories, its own first. */
  readonly pulled: readonly PulledManifest[];
  /** Those of everybody. */
  readonly manifests: readonly Descriptor[];
}

/** @param scope undefined: what all have alone */
export function seenClaims(record: ImageRecord, scope: string | undefined): SeenClaims {
  const own = scope === undefined ? record : (record.scopes?.[scope] ?? { repoDigests: [] });
  const parts = scope === undefined ? [own] : [own, record];
  const everybody: readonly ImageClaims[] = [record, ...Object.values(record.scopes ?? {})];
  return {
    manifest: own.manifest ?? record.manifest,
    base: own.base ?? record.base,
    repoDigests: scope === undefined ? own.repoDigests : newestLast(record.repoDigests, own.repoDigests),
    pulled: parts.flatMap(pulledOf),
    manifests: everybody.flatMap(({ manifest, beside = [] }) => [
      ...(manifest ? [manifest] : []),
      ...beside.map((one) => one.manifest),
    ]),
  };
}

function pulledOf({ manifest, from, beside = [] }: ImageClaims): readonly PulledManifest[] {
  return manifest && from !== undefined ? [{ manifest, from }, ...beside] : beside;
}

function newestLast(old: readonly string[], added: readonly string[]): readonly string[] {
  return [...old.filter((place) => !added.includes(place)), ...added];
}

function nonEmpty<T>(list: readonly T[]): readonly T[] | undefined {
  return list.length === 0 ? undefined : list;
}

export function isImageRecord(value: unknown): value is ImageRecord {
  return (
    isRecord(value) &&
    value.v === 1 &&
    isDigest(value.id) &&
    isImageClaims(value) &&
    (value.scopes === undefined || (isRecord(value.scopes) && Object.values(value.scopes).every(isImageClaims)))
  );
}

function isImageClaims(value: unknown): value is ImageClaims {
  return (
    isRecord(value) &&
    isOptional(value.manifest, isDescriptor) &&
    isOptional(value.base, isDescriptor) &&
    isOptional(value.from, (from) => typeof from === 'string') &&
    isOptional(value.beside, (beside) => Array.isArray(beside) && beside.every(isPulled)) &&
    Array.isArray(value.repoDigests) &&
    value.repoDigests.every((text) => typeof text === 'string')
  );
}

function isPulled(value: unknown): boolean {
  return isRecord(value) && typeof value.from === 'string' && isDescriptor(value.manifest);
}

function isDescriptor(value: unknown): boolean {
  return isRecord(value) && isDigest(value.digest);
}

function isOptional(value: unknown, check: (value: unknown) => boolean): boolean {
  return value === undefined || check(value);
}
