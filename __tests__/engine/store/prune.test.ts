import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { createLocalCache } from '../../../engine/cache/index.ts';
import { digestOf, encodedOf } from '../../../engine/image/digest.ts';
import { OCI_CONFIG } from '../../../engine/image/media-type.ts';
import type { Digest, ImageConfig } from '../../../engine/image/types.ts';
import { prune, type CacheRecord, type PruneScope, type Store } from '../../../engine/store/index.ts';
import { choosePart } from '../../../engine/store/prune-cache.ts';
import { openTestStore, type TestStore, withHelper } from '../../helpers/store.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

let opened: TestStore;
let store: Store;
beforeEach(async () => {
  opened = await openTestStore();
  ({ store } = opened);
});
afterEach(async () => {
  await opened.remove();
});

async function putImage(label: string, names: readonly string[] = []): Promise<Digest> {
  const config: ImageConfig = {
    architecture: 'amd64',
    os: 'linux',
    config: { Labels: { label } },
    rootfs: { type: 'layers', diff_ids: [] },
  };
  const { digest } = await store.content.write(OCI_CONFIG, Buffer.from(JSON.stringify(config)));
  await store.images.put({ id: digest, names: names.map((name) => `docker.io/library/${name}:latest`) });
  return digest;
}

/** A step that was made long ago, and used `age` milliseconds ago. */
async function putStep(name: string, age: number): Promise<string> {
  const key = digestOf(name);
  const past = { op: {}, diffId: null, base: null, createdAt: '2024-01-01T00:00:00.000Z' };
  await store.records.put({ v: 1, key, ...past, isolation: 'root' });
  const at = (Date.now() - age) / 1000;
  await utimes(join(opened.root, 'records/cache', `${encodedOf(key)}.json`), at, at);
  return key;
}

withHelper(
  'a prune',
  () => {
    const labels = async (): Promise<unknown[]> =>
      (await store.images.list()).map(({ config }) => config.config?.Labels?.['label']).sort();
    const pruneWith = async (scope: Partial<PruneScope>) =>
      await prune(store, opened.helper, { all: false, used: [], ...scope });

    test('leaves the images that are kept, with and without a name', async () => {
      await putImage('bare');
      await putImage('named', ['box']);
      await putImage('keep');
      await pruneWith({ cache: true, keep: () => true });
      expect(await labels()).toEqual(['bare', 'keep', 'named']);
      await pruneWith({ keep: ({ config }) => config.config?.Labels?.['label'] === 'keep' });
      expect(await labels()).toEqual(['keep', 'named']);
      await pruneWith({ all: true, keep: ({ names }) => names.length > 0 });
      expect(await labels()).toEqual(['named']);
      await pruneWith({ all: true });
      expect(await labels()).toEqual([]);
    });

    test('of steps by their age goes by their last use', async () => {
      await putStep('unused', 2 * DAY);
      const hit = await putStep('hit', 2 * DAY);
      expect(await createLocalCache(store.records, { isolation: 'root', warn: fail }).find(hit)).toBeDefined();
      await pruneWith({ cache: { until: Date.now() - DAY } });
      expect((await store.records.list()).map(({ key }) => key)).toEqual([hit]);
    });

    test('takes with a step what says that its definition is known, and leaves what another step names', async () => {
      const past = {
        v: 1,
        diffId: null,
        base: null,
        createdAt: '2024-01-01T00:00:00.000Z',
        isolation: 'root',
      } as const;
      const [stage, both] = [digestOf('trace of one'), digestOf('trace of both')];
      for (const key of [stage, both]) await store.records.put({ ...past, key, op: { type: 'trace' } });
      const definition = async (
        name: string,
        traces: readonly Digest[],
        more: Partial<CacheRecord> = {},
      ): Promise<void> =>
        await store.records.put({
          ...past,
          key: digestOf(name),
          op: { type: 'file-definition' },
          result: digestOf('key'),
          lineage: {},
          traces,
          ...more,
        });
      await definition('kept', [both], { scope: 'a branch' });
      // Its layer is not there, so that it can be no hit.
      await definition('lost', [stage, both], { diffId: digestOf('a layer') });
      await pruneWith({});
      expect((await store.records.list()).map(({ key }) => key).sort()).toEqual([digestOf('kept'), both].sort());
      await store.records.remove(digestOf('kept'), 'a branch');
      await pruneWith({ cache: { until: 0 } });
      expect(await store.records.list()).toEqual([]);
    });

    test('of cache mounts counts them, and takes them after the steps', async () => {
      await putStep('step', DAY);
      const records = await store.records.list();
      const mounts = [1, 2, 3].map((at) => ({ name: String(at), bytes: 1000 }));
      const choose = async (scope: Parameters<typeof choosePart>[3], some = mounts) => {
        const chosen = await choosePart(store, opened.helper, { records, mounts: some }, scope);
        return [chosen.records.size, chosen.mounts.map(({ name }) => name)];
      };
      expect(await choose({ maxUsed: 1500 })).toEqual([1, ['1', '2']]);
      expect(await choose({ maxUsed: 3000 })).toEqual([0, []]);
      expect(await choose({ until: Date.now() })).toEqual([1, []]);
      expect(await choose({ maxUsed: 1500 }, [])).toEqual([0, []]);
    });
  },
  describe,
);

withHelper(
  'a step of the cache',
  () => {
    test('is used when it is put and when it is found, to the hour', async () => {
      const recent = await putStep('recent', HOUR / 2);
      const before = await store.records.usedAt(recent);
      await store.records.touch(recent);
      expect(await store.records.usedAt(recent)).toBe(before);
      const old = await putStep('old', DAY);
      await store.records.touch(old);
      expect(await store.records.usedAt(old)).toBeGreaterThan(before ?? Infinity);
    });

    test('that is not there has no use, and no fault', async () => {
      await store.records.touch(digestOf('nothing'));
      expect(await store.records.usedAt(digestOf('nothing'))).toBeUndefined();
    });
  },
  describe,
);

function fail(message: string): never {
  throw new Error(message);
}
