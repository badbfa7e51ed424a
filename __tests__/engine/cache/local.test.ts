import { describe, expect, test } from '@jest/globals';
import { createLocalCache, satisfies } from '../../../engine/cache/index.ts';
import { digestOf } from '../../../engine/image/digest.ts';
import type { RungName } from '../../../engine/native/protocol.ts';
import type { CacheRecord } from '../../../engine/store/types.ts';

const record = { key: digestOf('key'), op: {}, diffId: null, base: null, createdAt: '2024-01-01T00:00:00Z' };

function memory(): Map<string, CacheRecord> & { readonly get: (key: string) => CacheRecord | undefined } {
  return new Map<string, CacheRecord>();
}

describe('the local cache', () => {
  test('marks what it keeps with the rung that made it', async () => {
    const records = memory();
    const store = {
      get: async (key: string) => records.get(key),
      put: async (made: CacheRecord) => void records.set(made.key, made),
      touch: async () => undefined,
    };
    await createLocalCache(store, { isolation: 'userns', warn: () => undefined }).put(record);
    expect(records.get(record.key)).toEqual({ v: 1, ...record, isolation: 'userns' });
  });

  test('turns every fault into a miss with a warning', async () => {
    const warnings: string[] = [];
    const broken = {
      get: () => Promise.reject(new Error('EIO')),
      put: () => Promise.reject(new Error('ENOSPC')),
      touch: async () => undefined,
    };
    const cache = createLocalCache(broken, { isolation: 'root', warn: (message) => warnings.push(message) });
    expect(await cache.find(record.key)).toBeUndefined();
    await cache.put(record);
    expect(warnings).toEqual([expect.stringContaining('EIO'), expect.stringContaining('ENOSPC')]);
  });
});

describe('satisfies', () => {
  test.each<[RungName, RungName, boolean]>([
    ['root', 'root', true],
    ['root', 'chroot', true],
    ['userns', 'userns-single', true],
    ['userns', 'userns-full', false],
    ['chroot', 'root', false],
  ])('%s for %s: %s', (made, wanted, holds) => {
    expect(satisfies(made, wanted)).toBe(holds);
  });
});
