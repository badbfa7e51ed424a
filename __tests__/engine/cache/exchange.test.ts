import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  createCacheExchange,
  trackRecords,
  type CacheExchange,
  type TrackedRecords,
} from '../../../engine/cache/exchange.ts';
import { parseCacheIndex, type CacheIndex } from '../../../engine/cache/exchange-index.ts';
import { digestOf } from '../../../engine/image/digest.ts';
import type { Descriptor } from '../../../engine/image/types.ts';
import { OCI_LAYER_GZIP } from '../../../engine/image/media-type.ts';
import type { CacheRecord } from '../../../engine/store/types.ts';
import { openTestStore, type TestStore } from '../../helpers/store.ts';
import { runs } from '../../helpers/property.ts';

const NOW = new Date('2026-11-20T10:00:00Z');
const DAY = 24 * 3600 * 1000;

let from: TestStore;
let to: TestStore;
beforeEach(async () => {
  from = await openTestStore();
  to = await openTestStore();
});
afterEach(async () => {
  await from.remove();
  await to.remove();
});

function exchangeOf({ store }: TestStore): { readonly exchange: CacheExchange; readonly records: TrackedRecords } {
  const records = trackRecords(store.records);
  return { exchange: createCacheExchange({ ...store, records }, records), records };
}

function record(name: string, type: 'exec' | 'file' = 'exec'): CacheRecord {
  const diffId = digestOf(`plain ${name}`);
  return {
    v: 1,
    key: digestOf(name),
    op: { type },
    diffId,
    base: null,
    createdAt: '2026-11-19T00:00:00.000Z',
    isolation: 'root',
  };
}

/** A step in the store whose layer has a blob there. */
async function addStep({ store }: TestStore, name: string, type?: 'exec' | 'file'): Promise<Descriptor> {
  const made = record(name, type);
  const blob = await store.content.write(OCI_LAYER_GZIP, Buffer.from(`blob of ${name}`));
  await store.layers.add(digestOf(`plain ${name}`), { size: 100, blobs: [blob], verified: [blob.digest] });
  await store.records.put(made);
  return blob;
}

describe('exchange', () => {
  test('brings records and layers into another store, and loads no blob', async () => {
    const blob = await addStep(from, 'a');
    const { index, blobs } = await exchangeOf(from).exchange.export(NOW);
    expect(blobs).toEqual([
      { descriptor: blob, path: expect.stringContaining(blob.digest.slice(7)) as unknown, madeBy: 'exec' },
    ]);
    const { exchange, records } = exchangeOf(to);
    const parsed = parseCacheIndex(JSON.parse(JSON.stringify(index)));
    expect(await exchange.import(parsed, new Set([blob.digest]))).toEqual({ records: 1, layers: 1 });
    expect(await records.get(digestOf('a'))).toEqual(record('a'));
    expect(await to.store.content.exists(blob)).toBe(false);
    const again = await exchange.export(NOW);
    expect(again.index).toEqual(index);
    expect(again.blobs[0]?.path).toBeUndefined();
  });

  test('leaves out layers that nobody can give, and forgets those that were lost', async () => {
    const [a, b] = [await addStep(from, 'a'), await addStep(from, 'b', 'file')];
    const { index } = await exchangeOf(from).exchange.export(NOW);
    const { exchange } = exchangeOf(to);
    expect(await exchange.import(index, new Set([b.digest]))).toEqual({ records: 2, layers: 1 });
    expect(await to.store.layers.get(digestOf('plain a'))).toBeUndefined();
    await exchange.forget(new Set([a.digest, b.digest]));
    expect((await to.store.layers.get(digestOf('plain b')))?.sources).toEqual({ [b.digest]: [] });
    expect((await exchange.export(NOW)).index.layers).toEqual([]);
  });

  test('keeps what was used in the last two weeks, and drops the rest', async () => {
    const used = await addStep(from, 'used');
    await addStep(from, 'idle');
    const { index } = await exchangeOf(from).exchange.export(NOW);
    const { exchange, records } = exchangeOf(to);
    await exchange.import(index, new Set(index.layers.map(({ blob }) => blob.digest)));
    await records.get(digestOf('used'));
    const later = await exchange.export(new Date(NOW.getTime() + 15 * DAY));
    expect(later.index.records.map(({ key }) => key)).toEqual([digestOf('used')]);
    expect(later.index.layers.map(({ blob }) => blob.digest)).toEqual([used.digest]);
  });

  test('brings what tells a step by its definition whole, and leaves out what belongs to no such step', async () => {
    const trace = { ...record('trace'), op: { type: 'trace' }, diffId: null };
    const told = { result: digestOf('key'), lineage: { [digestOf('RUN')]: null }, traces: [trace.key] };
    const definition = { ...record('definition', 'file'), diffId: null, ...told };
    for (const one of [trace, definition, { ...trace, key: digestOf('of no step') }]) await from.store.records.put(one);
    const { index } = await exchangeOf(from).exchange.export(NOW);
    await exchangeOf(to).exchange.import(parseCacheIndex(JSON.parse(JSON.stringify(index))), new Set());
    const brought = await to.store.records.list();
    expect(brought.toSorted((a, b) => (a.key < b.key ? -1 : 1))).toEqual(
      [trace, definition].sort((a, b) => (a.key < b.key ? -1 : 1)),
    );
  });

  test('never replaces a record that was made here', async () => {
    await addStep(from, 'a');
    const { index } = await exchangeOf(from).exchange.export(NOW);
    await to.store.records.put({ ...record('a'), createdAt: '2026-11-20T00:00:00.000Z' });
    const { exchange } = exchangeOf(to);
    expect(await exchange.import(index, new Set())).toEqual({ records: 0, layers: 0 });
    expect((await to.store.records.get(digestOf('a')))?.createdAt).toBe('2026-11-20T00:00:00.000Z');
  });
});

describe('parseCacheIndex', () => {
  const good: CacheIndex = {
    v: 1,
    records: [{ ...record('a'), usedAt: NOW.toISOString() }],
    layers: [{ diffId: digestOf('x'), size: 1, blob: { mediaType: OCI_LAYER_GZIP, digest: digestOf('y'), size: 2 } }],
  };

  test.each([
    ['another version', { ...good, v: 2 }],
    ['no lists', { v: 1, records: {}, layers: [] }],
    ['a key that is a path', { ...good, records: [{ ...good.records[0], key: '../../etc/passwd' }] }],
    ['a rung that is not one', { ...good, records: [{ ...good.records[0], isolation: 'none' }] }],
    ['makings under no key', { ...good, records: [{ ...good.records[0], lineage: { RUN: null } }] }],
    ['traces that are paths', { ...good, records: [{ ...good.records[0], traces: ['../x'] }] }],
    ['a time that is none', { ...good, records: [{ ...good.records[0], usedAt: 'soon' }] }],
    ['a size beyond all layers', { ...good, layers: [{ ...good.layers[0], size: 2 ** 52 }] }],
    [
      'a media type that is no layer',
      { ...good, layers: [{ ...good.layers[0], blob: { ...good.layers[0]?.blob, mediaType: 'text/html' } }] },
    ],
  ])('refuses %s', (_, value) => {
    expect(() => parseCacheIndex(value)).toThrow(expect.objectContaining({ code: 'CACHE_INDEX' }));
  });

  test('gives an index or CACHE_INDEX for anything', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), fc.jsonValue(), (records, layers, whole) => {
        for (const value of [{ v: 1, records: [records], layers: [layers] }, whole]) {
          try {
            expect(parseCacheIndex(value).v).toBe(1);
          } catch (error) {
            expect(error).toMatchObject({ code: 'CACHE_INDEX' });
          }
        }
      }),
      runs(),
    );
    expect(parseCacheIndex(good)).toEqual(good);
  });
});

describe('records of a scope', () => {
  test('are seen by it alone, and change nothing of what all have', async () => {
    const { records } = from.store;
    const [all, pull, other] = [undefined, 'pull 7', 'pull 8'].map((scope) => trackRecords(records, scope));
    const [ours, theirs] = [record('ours'), record('theirs')];
    const poison = { ...ours, diffId: digestOf('poison') };
    await all?.put(ours);
    expect(await pull?.get(ours.key)).toEqual(ours);
    await pull?.put(theirs);
    await pull?.put(poison);
    expect(await pull?.get(theirs.key)).toEqual(theirs);
    expect(await pull?.get(ours.key)).toEqual(poison);
    expect(await pull?.list()).toHaveLength(2);
    for (const stranger of [all, other]) {
      expect(await stranger?.get(theirs.key)).toBeUndefined();
      expect(await stranger?.list()).toEqual([ours]);
      expect(stranger?.used).not.toContain(theirs.key);
    }
    expect(await all?.all.list()).toHaveLength(3);
    // What all make themselves is theirs, whoever had it first.
    await all?.put(theirs);
    expect(await other?.get(theirs.key)).toEqual(theirs);
  });

  test('lie beside those of other scopes, each with a time and an end of its own', async () => {
    const { records } = from.store;
    const [seven, eight] = [trackRecords(records, 'pull 7'), trackRecords(records, 'pull 8')];
    const [one, other] = [record('step'), { ...record('step'), diffId: digestOf('of 8') }];
    await seven.put(one);
    await eight.put(other);
    expect(await seven.get(one.key)).toEqual(one);
    expect(await eight.get(one.key)).toEqual(other);
    expect(await records.get(one.key)).toBeUndefined();
    await seven.touch(one.key);
    expect(await seven.usedAt(one.key)).toBeDefined();
    await seven.remove(one.key);
    expect(await seven.get(one.key)).toBeUndefined();
    expect(await eight.get(one.key)).toEqual(other);
    // What all have is theirs to remove.
    await trackRecords(records).put(one);
    await seven.remove(one.key);
    expect(await seven.get(one.key)).toEqual(one);
  });

  test('go into no index of another', async () => {
    const pull = trackRecords(from.store.records, 'pull 7');
    await pull.put(record('theirs'));
    const { exchange } = exchangeOf(from);
    expect((await exchange.export(NOW)).index.records).toEqual([]);
    const { index } = await createCacheExchange({ ...from.store, records: pull }, pull).export(NOW);
    expect(index.records).toMatchObject([{ key: record('theirs').key }]);
    expect(index.records[0]).not.toHaveProperty('scope');
  });
});
