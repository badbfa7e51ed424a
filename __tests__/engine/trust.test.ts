import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { writeTar } from '../../engine/archive/write.ts';
import { collect } from '../../engine/base/collect.ts';
import { digestOf, encodedOf } from '../../engine/image/digest.ts';
import { OCI_CONFIG, OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST } from '../../engine/image/media-type.ts';
import type { Descriptor, Digest, Manifest } from '../../engine/image/types.ts';
import type { Engine, EngineOptions } from '../../engine/index.ts';
import { NO_CONTAINERS } from '../helpers/berth.ts';
import { buildWith, openTestEngine, type TestEngine } from '../helpers/engine.ts';
import { startMemoryRegistry } from '../helpers/memory-registry.ts';

const suite = NO_CONTAINERS === undefined ? describe : describe.skip;
const named = (name: string): string => (NO_CONTAINERS === undefined ? name : `${name} (skipped: ${NO_CONTAINERS})`);

/** One image, whose layer two manifests give: one as it is, the other with files that are not the layer's. */
interface Twins {
  readonly id: Digest;
  readonly diffId: Digest;
  readonly honest: Descriptor;
  readonly wrong: Descriptor;
  readonly good: Descriptor;
  readonly lie: Descriptor;
}

let it: TestEngine;
let registry: Awaited<ReturnType<typeof startMemoryRegistry>>;
let opened: Engine[];
let twins: Twins;
beforeEach(async () => {
  it = await openTestEngine();
  registry = await startMemoryRegistry({ host: '127.0.0.1', port: 0 });
  opened = [];
  twins = await publishTwins();
});
afterEach(async () => {
  expect((await it.engine.system.fsck()).problems).toEqual([]);
  for (const engine of opened) await engine.close();
  await it.close();
  await registry.close();
});

const open = async (options: Partial<EngineOptions>): Promise<Engine> => {
  const engine = await it.again(options);
  opened.push(engine);
  return engine;
};
const keep = (mediaType: string, content: Buffer): Descriptor => {
  const descriptor = { mediaType, digest: digestOf(content), size: content.length };
  registry.backend.contents.set(descriptor.digest, content);
  return descriptor;
};
const tarOf = async (text: string): Promise<Buffer> =>
  await collect(writeTar([{ name: 'hello', size: text.length, content: Buffer.from(text) }]), 'a tar', 1 << 20);

async function publish(repository: string, config: Descriptor, layers: readonly Descriptor[]): Promise<Descriptor> {
  const content = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers }));
  const descriptor = keep(OCI_MANIFEST, content);
  await registry.backend.manifests.put(repository, { descriptor, content }, '1');
  return descriptor;
}

async function publishTwins(): Promise<Twins> {
  const tar = await tarOf('honest');
  const [honest, wrong] = [keep(OCI_LAYER_GZIP, gzipSync(tar)), keep(OCI_LAYER_GZIP, gzipSync(await tarOf('other!')))];
  const diffId = digestOf(tar);
  const rootfs = { type: 'layers', diff_ids: [diffId] };
  const config = keep(OCI_CONFIG, Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs })));
  const good = await publish('good/x', config, [honest]);
  const lie = await publish('evil/x', config, [wrong]);
  return { id: config.digest, diffId, honest, wrong, good, lie };
}

const at = (repository: string): string => `${registry.address}/${repository}:1`;
const pushedLayers = (repository: string): readonly Digest[] => {
  const content = registry.backend.repositories.get(repository)?.get('1')?.content ?? Buffer.from('{}');
  return (JSON.parse(Buffer.from(content).toString()) as Manifest).layers.map(({ digest }) => digest);
};
const saved = async (engine: Engine, name: string): Promise<string> => {
  const chunks: Uint8Array[] = [];
  await engine.images.save([name], { write: (chunk) => void chunks.push(chunk), format: 'oci' });
  return Buffer.concat(chunks).toString('latin1');
};
async function* archiveOf(manifest: Descriptor, blobs: readonly Descriptor[]): AsyncGenerator<Uint8Array> {
  const text = registry.backend.contents.get(manifest.digest) ?? Buffer.alloc(0);
  const { config } = JSON.parse(text.toString()) as Manifest;
  const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [manifest] }));
  const files = [manifest, config, ...blobs].map(({ digest, size }) => ({
    name: `blobs/sha256/${encodedOf(digest)}`,
    size,
    content: registry.backend.contents.get(digest) ?? Buffer.alloc(0),
  }));
  yield* writeTar([{ name: 'index.json', size: index.length, content: index }, ...files]);
}

suite(named('a manifest of a stranger for an image that is known'), () => {
  test.each([
    ['after', ['good', 'evil']],
    ['before', ['evil', 'good']],
  ] as const)('that was pulled %s ours takes no place in what we save and push', async (_when, order) => {
    const stranger = await open({ cacheScope: 'pull 7' });
    for (const who of order) await (who === 'evil' ? stranger : it.engine).pull(at(`${who}/x`));
    const image = await it.engine.images.resolve(at('good/x'));
    expect([image.id, image.manifest?.digest]).toEqual([twins.id, twins.good.digest]);
    expect(await saved(it.engine, twins.id)).not.toContain(encodedOf(twins.wrong.digest));
    await it.engine.push(at('good/x'), at('out/x'));
    expect(registry.backend.repositories.get('out/x')?.get('1')?.descriptor.digest).toBe(twins.good.digest);
    // Not even the stranger can send it on: what is here is looked into.
    await stranger.push(at('evil/x'), at('out/strange'));
    expect(pushedLayers('out/strange')).toEqual([twins.honest.digest]);
  });

  test('gives a build of ours no blob, also where nothing is fetched', async () => {
    const stranger = await open({ cacheScope: 'pull 7' });
    for (const [engine, who] of [
      [stranger, 'evil'],
      [it.engine, 'good'],
    ] as const)
      await buildWith(engine, {
        context: it.context,
        dockerfile: `FROM ${at(`${who}/x`)}\nLABEL by=${who}\n`,
        complete: true,
        tags: [at(`${who}/built`)],
      });
    await it.engine.push(at('good/built'), at('good/built'));
    expect(pushedLayers('good/built')).toEqual([twins.honest.digest]);
    // Its layer was mounted from where the base lies.
    expect(await saved(it.engine, at('good/built'))).toContain(encodedOf(twins.honest.digest));
  });

  test('is meant by its own name alone, in one scope too', async () => {
    // Nothing is unpacked or fetched: every blob is hearsay.
    const built = async (who: string) =>
      await it.build(`FROM ${at(`${who}/x`)}\nLABEL a=b\n`, { complete: true, tags: [at(`${who}/b`)] });
    await built('evil');
    await built('good');
    await it.engine.push(at('good/b'), at('good/b'));
    expect(pushedLayers('good/b')).toEqual([twins.honest.digest]);
    const image = await it.engine.images.resolve(at('good/x'));
    expect(image.manifest?.digest).toBe(twins.good.digest);
  });

  test('does not change what was tested: it is pushed by the same digest', async () => {
    const { manifest, imageId } = await it.build('FROM scratch\nCOPY busybox /\n', {
      complete: true,
      tags: [at('me/x')],
      annotations: { tested: 'yes' },
    });
    await it.engine.push(at('me/x'), at('me/x'));
    const { config } = JSON.parse(
      Buffer.from(registry.backend.repositories.get('me/x')?.get('1')?.content ?? '').toString(),
    ) as Manifest;
    await publish('evil/me', config, [twins.wrong]);
    expect((await it.engine.pull(at('evil/me'))).id).toBe(imageId);
    const pushed = await it.engine.push(at('me/x'), at('out/me'));
    expect(pushed).toMatchObject({ digest: manifest?.digest, uploaded: { blobs: 0 } });
  });

  test('with a blob that clients refuse gives nobody that blob, although it unpacks to the layer', async () => {
    const padded = keep(
      OCI_LAYER_GZIP,
      Buffer.concat([registry.backend.contents.get(twins.honest.digest) ?? Buffer.alloc(0), Buffer.alloc(512)]),
    );
    const text = registry.backend.contents.get(twins.good.digest) ?? Buffer.alloc(0);
    await publish('evil/x', (JSON.parse(text.toString()) as Manifest).config, [padded]);
    const stranger = await open({ cacheScope: 'pull 7' });
    await stranger.pull(at('evil/x'));
    await expect(saved(stranger, at('evil/x'))).rejects.toMatchObject({ code: 'CONTENT_MISMATCH' });
    await it.build(`FROM ${at('good/x')}\nLABEL a=b\n`, { complete: true, tags: [at('me/x')] });
    await it.engine.push(at('me/x'), at('me/x'));
    expect(pushedLayers('me/x')).toEqual([twins.honest.digest]);
  });

  test('is copied as it came where nothing of it is unpacked and nothing is known to be wrong', async () => {
    await it.engine.pull(at('good/x'));
    expect((await it.engine.push(at('good/x'), at('copy/x'))).digest).toBe(twins.good.digest);
  });
});

suite(named('an archive with a blob that is not its layer'), () => {
  test('is refused where the image is here, which stays as it is', async () => {
    await it.engine.pull(at('good/x'));
    await expect(it.engine.images.load(archiveOf(twins.lie, [twins.wrong]))).rejects.toMatchObject({
      code: 'CONTENT_MISMATCH',
      message: expect.stringContaining(twins.wrong.digest),
    });
    expect((await it.engine.images.resolve(twins.id)).manifest?.digest).toBe(twins.good.digest);
    expect(await saved(it.engine, twins.id)).toContain(encodedOf(twins.honest.digest));
  });

  test('goes nowhere where nothing else has the layer', async () => {
    await it.engine.images.load(archiveOf(twins.lie, [twins.wrong]));
    await expect(saved(it.engine, twins.id)).rejects.toMatchObject({
      code: 'CONTENT_MISMATCH',
      message: expect.stringContaining(twins.wrong.digest),
    });
    // And what has it is believed, although it came later.
    await it.engine.pull(at('good/x'));
    await it.engine.push(twins.id, at('out/late'));
    expect(pushedLayers('out/late')).toEqual([twins.honest.digest]);
  });
});

suite(named('a cache that names a wrong blob'), () => {
  test('gives a base no blob that its own manifest does not name', async () => {
    const layer = { diffId: twins.diffId, blob: twins.wrong };
    await it.engine.cache.import({ v: 1, records: [], layers: [layer] }, new Set([twins.wrong.digest]));
    await it.build(`FROM ${at('good/x')}\nLABEL a=b\n`, { complete: true, tags: [at('me/x')] });
    await it.engine.push(at('me/x'), at('me/x'));
    expect(pushedLayers('me/x')).toEqual([twins.honest.digest]);
  });

  test('has its step made again when the files are needed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'berth-wrong-cache-'));
    const other = await openTestEngine();
    try {
      const dockerfile = 'FROM scratch AS a\nCOPY file /\nFROM scratch\nCOPY --from=a /file /copy\n';
      for (const engine of [other, it]) await writeFile(join(engine.context, 'file'), 'ours');
      await buildWith(other.engine, { context: other.context, dockerfile, complete: true, completeStages: true });
      const { index } = await other.engine.cache.export(new Date());
      const layers = index.layers.map((layer) => ({ ...layer, blob: twins.wrong }));
      expect(layers.length).toBeGreaterThan(0);
      const source = {
        fetch: async function* () {
          yield await Promise.resolve(registry.backend.contents.get(twins.wrong.digest) ?? Buffer.alloc(0));
        },
      };
      const engine = await open({ cacheSource: source });
      await engine.cache.import({ ...index, layers }, new Set([twins.wrong.digest]));
      const outputs = [{ type: 'local' as const, dest: folder }];
      const next = `${dockerfile}COPY --from=a /file /next\n`;
      const built = await buildWith(engine, { context: it.context, dockerfile: next, outputs });
      expect(built.warnings.map(({ message }) => message)).toEqual(
        expect.arrayContaining([expect.stringContaining('its step is done again')]),
      );
      for (const name of ['copy', 'next']) expect(await readFile(join(folder, name), 'utf8')).toBe('ours');
    } finally {
      await other.close();
      await rm(folder, { recursive: true, force: true });
    }
  });
});
