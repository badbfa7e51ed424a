import {
  EngineError,
  isRecord,
  parseCacheIndex,
  parseMountRecords,
  type CacheIndex,
  type Digest,
  type MountRecord,
} from '../../../engine/index.ts';
import type { Compression } from './names.ts';
import { parsePasses, type PassRecord } from './passes.ts';

/** File in an index entry. */
export const INDEX_FILE = 'index.json';
export const MAX_INDEX = 32 * 1024 * 1024;

/** What an index entry holds: what was built, which entries hold the layers, and which run wrote it. */
export interface CacheDocument {
  readonly v: 1;
  readonly provenance: Provenance;
  readonly entries: readonly BlobEntry[];
  readonly index: CacheIndex;
  /** Images that passed their smoke test. */
  readonly passes: readonly PassRecord[];
  /** Contents of cache mounts. */
  readonly mounts: readonly MountRecord[];
}

/** Who wrote an index (hardening.md 5, rule 12). Without a signature it says what the writer claims; the wall is GitHub's ref scope. */
export interface Provenance {
  readonly repository: string;
  readonly ref: string;
  readonly event: string;
  readonly sha: string;
  readonly runId: string;
  readonly engine: string;
}

/** An entry of the service that holds one blob, or several small ones. */
export interface BlobEntry {
  readonly key: string;
  readonly compression: Compression;
  readonly blobs: readonly { readonly digest: Digest; readonly size: number }[];
}

const KEY = /^berth-v1-(?:blob|pack)-[0-9a-f]{64}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;
const MAX_ENTRIES = 1000;
const MAX_BLOBS = 10_000;

/** @throws `CACHE_INDEX` naming what is wrong */
export function parseDocument(text: string): CacheDocument {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new EngineError('CACHE_INDEX', 'Cannot use the cache index: it is not JSON', { cause: error });
  }
  if (
    !isRecord(value) ||
    value['v'] !== 1 ||
    !Array.isArray(value['entries']) ||
    value['entries'].length > MAX_ENTRIES
  ) {
    throw bad('it is not of version 1');
  }
  return {
    v: 1,
    provenance: toProvenance(value['provenance']),
    entries: value['entries'].map(toEntry),
    index: parseCacheIndex(value['index']),
    passes: parsePasses(value['passes']),
    mounts: parseMountRecords(value['mounts']),
  };
}

function toProvenance(value: unknown): Provenance {
  if (!isRecord(value)) throw bad('it does not say who wrote it');
  const text = (key: string): string => {
    const field = value[key];
    if (typeof field !== 'string' || field.length > 1024) throw bad(`its ${key} is no text`);
    return field;
  };
  return {
    repository: text('repository'),
    ref: text('ref'),
    event: text('event'),
    sha: text('sha'),
    runId: text('runId'),
    engine: text('engine'),
  };
}

function toEntry(value: unknown, at: number): BlobEntry {
  if (!isRecord(value)) throw bad(`entry ${at} is no object`);
  const { key, compression, blobs } = value;
  const right =
    typeof key === 'string' &&
    KEY.test(key) &&
    (compression === 'gzip' || compression === 'zstd-without-long') &&
    Array.isArray(blobs) &&
    blobs.length <= MAX_BLOBS;
  if (!right) throw bad(`entry ${at} is not well formed`);
  return { key, compression, blobs: blobs.map(toBlob) };
}

function toBlob(value: unknown): BlobEntry['blobs'][number] {
  if (!isRecord(value)) throw bad('a blob is no object');
  const { digest, size } = value;
  if (typeof digest !== 'string' || !DIGEST.test(digest) || !Number.isSafeInteger(size) || Number(size) < 0) {
    throw bad('a blob is not well formed');
  }
  // Matched against the grammar above.
  return { digest: digest as Digest, size: Number(size) };
}

function bad(why: string): EngineError {
  return new EngineError('CACHE_INDEX', `Cannot use the cache index: ${why}`);
}
