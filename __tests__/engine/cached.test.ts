import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { lutimes, lstat, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest } from '../../engine/image/types.ts';
import { createRegistryServer } from '../../engine/registry/server/server.ts';
import type { RegistryBackend } from '../../engine/registry/server/types.ts';
import { NO_BUSYBOX, pushBusybox } from '../helpers/base-images.ts';
import { NO_CONTAINERS } from '../helpers/berth.ts';
import { buildWith, openTestEngine, type TestEngine } from '../helpers/engine.ts';
import { createMemoryBackend } from '../helpers/memory-registry.ts';

const reason = NO_CONTAINERS ?? NO_BUSYBOX;
const suite = reason === undefined ? describe : describe.skip;

let it: TestEngine;
beforeEach(async () => {
  it = await openTestEngine();
});
afterEach(async () => it.close());

/** A registry that notes what it is asked for. */
async function startNotingRegistry() {
  const asked: string[] = [];
  const { blobs, manifests, ...rest } = createMemoryBackend();
  const backend: RegistryBackend = {
    ...rest,
    blobs: {
      ...blobs,
      size: async (digest) => (asked.push(digest), await blobs.size(digest)),
      read: (digest, range) => (asked.push(digest), blobs.read(digest, range)),
    },
    manifests: {
      ...manifests,
      get: async (repository, reference) => (asked.push(reference), await manifests.get(repository, reference)),
    },
  };
  const server = await createRegistryServer(backend, {});
  return { address: `127.0.0.1:${server.port}`, asked, close: async () => server.close() };
}

const blob = (digest: string): string => join(it.root, 'blobs/sha256', digest.slice('sha256:'.length));

/** Long ago, so that the next read shows: the kernel then notes its time, also on a file system that notes it once a day. */
const UNREAD = 1_000_000;

/** What is below folders of the store, marked as unread. */
async function markUnread(root: string, folders: readonly string[]): Promise<readonly string[]> {
  const found = await Promise.all(
    folders.map(async (folder) =>
      (await readdir(join(root, folder), { recursive: true })).map((name) => join(root, folder, name)),
    ),
  );
  const paths = found.flat();
  for (const path of paths) await lutimes(path, UNREAD, (await lstat(path)).mtime);
  return paths;
}

/** Which of them were read since. */
async function readSince(paths: readonly string[]): Promise<readonly string[]> {
  const times = await Promise.all(paths.map(async (path) => [path, (await lstat(path)).atimeMs] as const));
  return times.filter(([, time]) => time !== UNREAD * 1000).map(([path]) => path);
}

suite(reason === undefined ? 'a fully cached rebuild' : `a fully cached rebuild (skipped: ${reason})`, () => {
  test('gives the same digest, reads no layer and asks the registry for nothing, counted at both', async () => {
    const registry = await startNotingRegistry();
    try {
      const baseManifest = await pushBusybox(`http://${registry.address}`);
      await it.write({ 'src/a': 'one\n', 'src/b': 'two\n' });
      const base = `${registry.address}/library/busybox`;
      const dockerfile = `FROM ${base} AS made
COPY src /src
RUN cat /src/a > /out
FROM ${base}
COPY --from=made /out /out
RUN --mount=type=bind,from=made,source=/src,target=/m cat /m/b /out > /done
COPY src/b /b
`;
      const first = await it.build(dockerfile, { complete: true, tags: ['cached'] });
      expect(first.steps).toEqual({ total: 5, cached: 0, executed: 5 });
      expect(registry.asked).not.toEqual([]);
      registry.asked.length = 0;
      const paths = await markUnread(it.root, ['blobs', 'snapshots']);
      const engine = await it.again();
      const second = await buildWith(engine, { context: it.context, dockerfile, complete: true, tags: ['cached'] });
      await engine.close();
      const read = await readSince(paths);
      expect(second.steps).toEqual({ total: 5, cached: 5, executed: 0 });
      expect([second.imageId, second.manifest]).toEqual([first.imageId, first.manifest]);
      expect(registry.asked).toEqual([]);
      // What says what the images are, and none of their layers, packed or unpacked.
      const { config } = JSON.parse(await readFile(blob(baseManifest), 'utf8')) as Manifest;
      const documents = [baseManifest, config.digest, second.manifest?.digest ?? '', second.imageId].map(blob);
      expect([...read].sort()).toEqual(documents.sort());
      expect(paths.filter((path) => path.includes('/snapshots/')).length).toBeGreaterThan(20);
      // The count counts.
      const [layer = ''] = paths.filter((path) => path.endsWith('/out'));
      await readFile(layer);
      expect(await readSince([layer])).toEqual([layer]);
    } finally {
      await registry.close();
    }
  });
});
