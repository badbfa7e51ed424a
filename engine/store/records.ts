import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { rm, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { encodedOf, isDigest, parseDigest } from '../image/digest.ts';
import { isRecord, listFolder, readJson, replaceFile } from './files.ts';
import { isLineage } from './traces.ts';
import type { CacheRecord, CacheRecords } from './types.ts';

/** `records/cache/`: one file a step. What cannot be read is a miss with a warning, never an error. */
export function createCacheRecords(root: string, warn: (message: string) => void): CacheRecords {
  const folder = join(root, 'records', 'cache');
  const pathOf = (key: string, scope: string | undefined): string => join(folder, `${nameOf(key, scope)}.json`);
  const read = (name: string): CacheRecord | undefined => {
    const file = readJson(join(folder, name));
    if ('missing' in file) return undefined;
    const record = 'value' in file && isCacheRecord(file.value) ? file.value : undefined;
    // The name says whose it is: a record that lies under another one is nobody's.
    if (record && `${nameOf(record.key, record.scope)}.json` === name) return record;
    warn(`The cache record ${name.slice(0, -'.json'.length)} cannot be read and is ignored`);
    return undefined;
  };
  return {
    get: async (key, scope) => read(`${nameOf(key, scope)}.json`),
    // Not synced: a record that a power cut takes is a miss, and a build writes many.
    put: async (record) => replaceFile(pathOf(record.key, record.scope), JSON.stringify(record), { sync: false }),
    list: async () => {
      const names = listFolder(folder).filter((name) => RECORD.test(name));
      return names.map(read).filter((record) => record !== undefined);
    },
    touch: async (key, scope) => await touch(pathOf(key, scope)),
    usedAt: async (key, scope) => mtimeOf(pathOf(key, scope)),
    remove: async (key, scope) => rm(pathOf(key, scope), { force: true }),
  };
}

const RECORD = /^[0-9a-f]{64}\.json$/;

/** The key, or what is made of it and a scope: no scope writes where another one, or all, read. */
function nameOf(key: string, scope: string | undefined): string {
  const encoded = encodedOf(parseDigest(key, 'a cache key'));
  if (scope === undefined) return encoded;
  return createHash('sha256')
    .update(JSON.stringify([encoded, scope]))
    .digest('hex');
}

/** A build may find many steps, and it only matters which day. */
const COARSE = 3_600_000;

async function touch(path: string): Promise<void> {
  const at = mtimeOf(path);
  const now = Date.now();
  if (at === undefined || now - at < COARSE) return;
  // A store that cannot be written now is as good to build from; a record that has just gone is nobody's.
  await utimes(path, now / 1000, now / 1000).catch(() => undefined);
}

function mtimeOf(path: string): number | undefined {
  try {
    return statSync(path).mtimeMs;
  } catch {
    return undefined;
  }
}

function isCacheRecord(value: unknown): value is CacheRecord {
  return (
    isRecord(value) &&
    value.v === 1 &&
    isDigest(value.key) &&
    (value.diffId === null || isDigest(value.diffId)) &&
    (value.base === null || isDigest(value.base)) &&
    (value.result === undefined || isDigest(value.result)) &&
    (value.lineage === undefined || isLineage(value.lineage)) &&
    (value.traces === undefined || (Array.isArray(value.traces) && value.traces.every(isDigest))) &&
    (value.scope === undefined || typeof value.scope === 'string') &&
    typeof value.createdAt === 'string' &&
    !Number.isNaN(Date.parse(value.createdAt)) &&
    typeof value.isolation === 'string'
  );
}
