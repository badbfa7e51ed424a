import { readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { encodedOf, isDigest, parseDigest } from '../image/digest.ts';
import { isRecord, readJson, replaceFile } from './files.ts';
import type { CacheRecord, CacheRecords } from './types.ts';

/** `records/cache/`: one file a step. What cannot be read is a miss with a warning, never an error. */
export function createCacheRecords(root: string, warn: (message: string) => void): CacheRecords {
  const folder = join(root, 'records', 'cache');
  const pathOf = (key: string): string => join(folder, `${encodedOf(parseDigest(key, 'a cache key'))}.json`);
  const get = async (key: string): Promise<CacheRecord | undefined> => {
    const file = await readJson(pathOf(key));
    if ('missing' in file) return undefined;
    if ('value' in file && isCacheRecord(file.value) && file.value.key === key) return file.value;
    warn(`The cache record ${key} cannot be read and is ignored`);
    return undefined;
  };
  return {
    get,
    // Not synced: a record that a power cut takes is a miss, and a build writes many.
    put: async (record) => replaceFile(pathOf(record.key), JSON.stringify(record), { sync: false }),
    list: async () => {
      const names = (await readdir(folder)).filter((name) => name.endsWith('.json'));
      const records = await Promise.all(
        names
          .map((name) => `sha256:${name.slice(0, -5)}`)
          .filter(isDigest)
          .map(get),
      );
      return records.filter((record) => record !== undefined);
    },
    touch: async (key) => await touch(pathOf(key)),
    usedAt: async (key) => await mtimeOf(pathOf(key)),
    remove: async (key) => rm(pathOf(key), { force: true }),
  };
}

/** A build may find many steps, and it only matters which day. */
const COARSE = 3_600_000;

async function touch(path: string): Promise<void> {
  const at = await mtimeOf(path);
  const now = Date.now();
  if (at === undefined || now - at < COARSE) return;
  // A store that cannot be written now is as good to build from; a record that has just gone is nobody's.
  await utimes(path, now / 1000, now / 1000).catch(() => undefined);
}

async function mtimeOf(path: string): Promise<number | undefined> {
  return await stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => undefined,
  );
}

function isCacheRecord(value: unknown): value is CacheRecord {
  return (
    isRecord(value) &&
    value.v === 1 &&
    isDigest(value.key) &&
    (value.diffId === null || isDigest(value.diffId)) &&
    (value.base === null || isDigest(value.base)) &&
    (value.result === undefined || isDigest(value.result)) &&
    (value.scope === undefined || typeof value.scope === 'string') &&
    typeof value.createdAt === 'string' &&
    !Number.isNaN(Date.parse(value.createdAt)) &&
    typeof value.isolation === 'string'
  );
}
