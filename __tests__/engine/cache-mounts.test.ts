import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '../../engine/base/errors.ts';
import type { Digest, Fetcher, MountExport } from '../../engine/index.ts';
import { NO_CONTAINERS } from '../helpers/berth.ts';
import { openTestEngine, SHELL, type TestEngine } from '../helpers/engine.ts';

const suite = NO_CONTAINERS === undefined ? describe : describe.skip;
const named = (name: string): string => (NO_CONTAINERS === undefined ? name : `${name} (skipped: ${NO_CONTAINERS})`);
const NOW = new Date('2026-11-20T10:00:00Z');
const SIZE = 1e9;

/** Everything that a job has saved, as the outer cache of the next one. */
function sourceOf(saved: MountExport, broken = false): Fetcher & { readonly fetched: Digest[] } {
  const fetched: Digest[] = [];
  return {
    fetched,
    fetch: async function* ({ digest }) {
      const blob = saved.blobs.find(({ descriptor }) => descriptor.digest === digest);
      if (broken || blob?.path === undefined) throw new EngineError('CACHE_ARCHIVE', 'Cannot read it: it is cut');
      fetched.push(digest);
      yield* createReadStream(blob.path) as AsyncIterable<Uint8Array>;
    },
  };
}

const digests = ({ blobs }: MountExport): ReadonlySet<Digest> =>
  new Set(blobs.map(({ descriptor }) => descriptor.digest));
const exported = (it: TestEngine, available: ReadonlySet<Digest> = new Set(), maxSize = SIZE): Promise<MountExport> =>
  it.engine.cache.mounts.export(NOW, { available, maxSize });

const file = (word: string): string => `${SHELL}
FROM scratch AS seed
COPY <<E /seed/file
seed
E
FROM shell
RUN --mount=type=cache,id=deep,target=/whole mkdir -p /whole/sub
RUN --mount=type=cache,target=/own,uid=5,gid=6,mode=0750 --mount=type=cache,target=/from,from=seed,source=/seed \\
    --mount=type=cache,id=deep,target=/deep,source=sub \\
    cat /own/log /from/file /deep/log 2>/dev/null; stat -c %u:%g:%a /own; \\
    echo ${word} >> /own/log; echo ${word} >> /from/file; echo ${word} >> /deep/log; \\
    [ -e /own/hard ] || { ln /own/log /own/hard; mkfifo /own/pipe; ln -s /etc/passwd /own/link; chown 7:8 /own/pipe; }; \\
    ls -ln /own | tail -n +2 | tr -s ' ' | cut -d' ' -f1-4
`;

suite(named('cache mounts outside this machine'), () => {
  let first: TestEngine;
  let saved: MountExport;
  beforeAll(async () => {
    first = await openTestEngine();
    await first.build(file('one'));
    saved = await exported(first);
  });
  afterAll(async () => {
    await first.close();
  });

  test('are saved once by what filled them, and a step that is a hit saves nothing', async () => {
    expect(saved.records.map(({ name }) => name)).toHaveLength(3);
    expect(saved.blobs.every(({ path, madeBy }) => path !== undefined && madeBy === 'mount')).toBe(true);
    // The same engine again: what it packed is known, and by the same steps.
    expect(first.engine.cache.mounts.import(saved.records, digests(saved))).toBe(3);
    expect((await first.build(file('one'))).steps.executed).toBe(0);
    expect((await exported(first, digests(saved))).records).toEqual(saved.records);
    expect((await first.engine.system.fsck()).problems).toEqual([]);
  });

  test('are there in another store when a step runs, with owners, modes and links, and not before', async () => {
    const source = sourceOf(saved);
    const second = await openTestEngine({ cacheSource: source });
    try {
      second.engine.cache.mounts.import(saved.records, digests(saved));
      await second.build(SHELL);
      expect(source.fetched).toEqual([]);
      const built = await second.build(file('two'));
      expect(source.fetched).toHaveLength(3);
      const [log, from, deep, owner, ...files] = built.output
        .trim()
        .split('\n')
        .filter((line) => line !== 'seed');
      expect([log, from, deep, owner]).toEqual(['one', 'one', 'one', '5:6:750']);
      expect(files.map((line) => line.split(' ').slice(0, 4).join(' '))).toEqual([
        '-rw-r--r-- 2 0 0',
        'lrwxrwxrwx 1 0 0',
        '-rw-r--r-- 2 0 0',
        'prw-r--r-- 1 7 8',
      ]);
      const again = await exported(second, digests(saved));
      expect(again.records.map(({ name }) => name)).toEqual(saved.records.map(({ name }) => name));
      expect(again.records.map(({ blob }) => blob)).not.toEqual(saved.records.map(({ blob }) => blob));
      expect(again.records.map(({ steps }) => steps.length).toSorted()).toEqual([2, 2, 3]);
      // What came in was unpacked, and its blob is nowhere.
      expect(await readdir(join(second.root, 'ingest'))).toEqual([]);
      expect((await second.engine.system.fsck()).problems).toEqual([]);
    } finally {
      await second.close();
    }
  });

  test('begin empty, with a warning, when their content cannot be had', async () => {
    const second = await openTestEngine({ cacheSource: sourceOf(saved, true) });
    try {
      second.engine.cache.mounts.import(saved.records, digests(saved));
      const built = await second.build(file('two'));
      expect(built.output).toContain('seed\n5:6:750\n');
      expect(built.output).not.toContain('one');
      expect(built.warnings.map(({ message }) => message)).toContain(
        'A cache mount begins empty: Cannot read it: it is cut',
      );
    } finally {
      await second.close();
    }
  });

  test('are left out, by name, when they hold a secret or are too large, and when their build failed', async () => {
    const it = await openTestEngine();
    const value = 'canary-of-a-mount';
    const leak = 'RUN --mount=type=secret,id=key --mount=type=cache,target=/leaky cat /run/secrets/key > /leaky/file\n';
    try {
      await it.build(`${SHELL}${leak}`, { secrets: [{ id: 'key', value: Buffer.from(value) }] });
      expect(await exported(it)).toEqual({
        records: [],
        blobs: [],
        leftOut: [{ id: '/leaky', why: 'Cannot keep a cache mount: /file holds the secret "key"' }],
      });
      const large = `${SHELL}RUN --mount=type=cache,target=/large head -c 3000000 /dev/zero | tr '\\0' x > /large/file\n`;
      await it.build(large);
      expect((await exported(it, new Set(), 1e6)).leftOut.map(({ id, why }) => [id, why])).toContainEqual([
        '/large',
        'over the size limit of the cache',
      ]);
      await expect(
        it.build(`${large.replace('large', 'torn').replace('/large', '/torn')}RUN false\n`),
      ).rejects.toThrow();
      const after = await exported(it);
      expect(after.records).toHaveLength(1);
    } finally {
      await it.close();
    }
  });
});
