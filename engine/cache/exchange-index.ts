import { isRecord } from '../base/is-record.ts';
import { EngineError } from '../base/errors.ts';
import { isDigest } from '../image/digest.ts';
import type { Descriptor, Digest } from '../image/types.ts';
import { isLineage } from '../store/index.ts';
import type { CacheRecord } from '../store/types.ts';

/** What a cache outside this machine keeps of builds. Everything in it came from outside and is checked by {@link parseCacheIndex}. */
export interface CacheIndex {
  readonly v: 1;
  readonly records: readonly IndexedRecord[];
  readonly layers: readonly IndexedLayer[];
}

/** A record, and when a build last asked for it (RFC 3339). */
export interface IndexedRecord extends CacheRecord {
  readonly usedAt: string;
}

/** A layer that a step made, by its blob. Layers of base images are not here: their registry serves them. */
export interface IndexedLayer {
  readonly diffId: Digest;
  /** Bytes of the plain tar. */
  readonly size?: number | undefined;
  readonly blob: Descriptor;
}

const MAX_ITEMS = 20_000;
/** RUNs and stages that one record names. */
const MAX_NAMED = 1000;
/** No layer is larger: 128 GiB, as when it is unpacked. */
const MAX_SIZE = 128 * 1024 ** 3;
const RUNGS: readonly string[] = ['chroot', 'userns-single', 'userns', 'userns-full', 'root'];
const LAYER_TYPE =
  /^application\/vnd\.(?:oci\.image\.layer\.v1\.tar|docker\.image\.rootfs\.diff\.tar)(?:[.+](?:gzip|zstd))?$/;

/**
 * An index from outside.
 *
 * @throws `CACHE_INDEX` naming the first thing that is wrong; a cache's caller makes a miss of it
 */
export function parseCacheIndex(value: unknown): CacheIndex {
  if (!isRecord(value) || value['v'] !== 1) throw badIndex('it is not of version 1');
  const { records, layers } = value;
  if (!Array.isArray(records) || !Array.isArray(layers)) throw badIndex('records and layers are not lists');
  if (records.length > MAX_ITEMS || layers.length > MAX_ITEMS) throw badIndex(`it has more than ${MAX_ITEMS} items`);
  return { v: 1, records: records.map(toRecord), layers: layers.map(toLayer) };
}

function toRecord(value: unknown, at: number): IndexedRecord {
  if (!isRecord(value)) throw badIndex(`record ${at} is no object`);
  const { key, op, diffId, base, result, lineage, traces, createdAt, isolation, usedAt } = value;
  const right =
    value['v'] === 1 &&
    isDigest(key) &&
    (diffId === null || isDigest(diffId)) &&
    (base === null || isDigest(base)) &&
    (result === undefined || isDigest(result)) &&
    (lineage === undefined || (isLineage(lineage) && Object.keys(lineage).length <= MAX_NAMED)) &&
    (traces === undefined || isTraces(traces)) &&
    isTime(createdAt) &&
    isTime(usedAt) &&
    typeof isolation === 'string' &&
    RUNGS.includes(isolation);
  if (!right) throw badIndex(`record ${at} is not well formed`);
  return {
    v: 1,
    key,
    op,
    diffId,
    base,
    ...(result === undefined ? {} : { result }),
    ...(lineage === undefined ? {} : { lineage }),
    ...(traces === undefined ? {} : { traces }),
    createdAt,
    // Checked against the list of rungs above.
    isolation: isolation as CacheRecord['isolation'],
    usedAt,
  };
}

/** A layer of an index. @throws `CACHE_INDEX` */
export function toLayer(value: unknown, at: number): IndexedLayer {
  if (!isRecord(value)) throw badIndex(`layer ${at} is no object`);
  const { diffId, size, blob } = value;
  if (!isDigest(diffId) || !(size === undefined || isSize(size)) || !isRecord(blob)) {
    throw badIndex(`layer ${at} is not well formed`);
  }
  const { mediaType, digest, size: bytes } = blob;
  if (typeof mediaType !== 'string' || !LAYER_TYPE.test(mediaType) || !isDigest(digest) || !isSize(bytes)) {
    throw badIndex(`the blob of layer ${at} is not well formed`);
  }
  return { diffId, ...(size === undefined ? {} : { size }), blob: { mediaType, digest, size: bytes } };
}

function isTraces(value: unknown): value is readonly Digest[] {
  return Array.isArray(value) && value.length <= MAX_NAMED && value.every(isDigest);
}

function isSize(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= MAX_SIZE;
}

function isTime(value: unknown): value is string {
  return typeof value === 'string' && value.length <= 40 && !Number.isNaN(Date.parse(value));
}

/** The error of an index that is not well formed. */
export function badIndex(why: string): EngineError {
  return new EngineError('CACHE_INDEX', `Cannot use the cache index: ${why}`);
}
