import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { RegistryServer } from '../../engine/index.ts';
import type { Manifest } from '../../engine/image/types.ts';
import { pushBusybox } from '../helpers/base-images.ts';
import { NO_CONTAINERS } from '../helpers/berth.ts';
import { buildWith, openTestEngine, SHELL, type TestEngine } from '../helpers/engine.ts';

const run = promisify(execFile);
const suite = NO_CONTAINERS === undefined ? describe : describe.skip;
const named = (name: string): string => (NO_CONTAINERS === undefined ? name : `${name} (skipped: ${NO_CONTAINERS})`);

/** The registry of our own, which an engine on another store serves. */
let server: TestEngine;
let registry: RegistryServer;
let host = '';
let it: TestEngine;
beforeAll(async () => {
  server = await openTestEngine();
  registry = await server.engine.serveRegistry({ host: '127.0.0.1', port: 0 });
  host = `127.0.0.1:${registry.port}`;
});
afterAll(async () => {
  await registry.close();
  expect((await server.engine.system.fsck()).problems).toEqual([]);
  await server.close();
});
beforeEach(async () => {
  it = await openTestEngine({ mirrors: { 'docker.io': `http://${host}` } });
});
afterEach(async () => {
  expect((await it.engine.system.fsck()).problems).toEqual([]);
  await it.close();
});

const blobs = async (engine: TestEngine): Promise<readonly string[]> => readdir(join(engine.root, 'blobs/sha256'));

async function layersOf(engine: TestEngine, digest: string): Promise<readonly string[]> {
  const text = await readFile(join(engine.root, 'blobs/sha256', digest.slice(7)), 'utf8');
  return (JSON.parse(text) as Manifest).layers.map((layer) => layer.digest.slice(7));
}

/** Builds and pushes a base image, and forgets everything about it here. */
async function publishBase(name: string): Promise<void> {
  const maker = await openTestEngine();
  await maker.build(`${SHELL}ENV BASE=yes\nRUN echo base > /base`, { tags: ['base'] });
  await maker.engine.push('base', `${host}/${name}`);
  await maker.close();
}

suite(named('push and pull'), () => {
  test('push what was not completed, by making its blobs first, and others can read it', async () => {
    const built = await it.build(`${SHELL}RUN echo x > /x`, { tags: ['model'] });
    expect(built.manifest).toBeUndefined();
    const pushed = await it.engine.push('model', `${host}/me/model:1`);
    expect(pushed.uploaded.blobs).toBe(4);
    const { stdout } = await run('skopeo', [
      'inspect',
      '--tls-verify=false',
      '--format',
      '{{.Digest}}',
      `docker://${host}/me/model:1`,
    ]);
    expect(stdout.trim()).toBe(pushed.digest);
    expect((await it.engine.images.resolve('model')).repoDigests).toEqual([`${host}/me/model@${pushed.digest}`]);
  });

  test('push no blob a second time, and give the same digest', async () => {
    await it.build(`${SHELL}RUN echo again > /x`, { tags: ['model'] });
    const first = await it.engine.push('model', `${host}/me/again:1`);
    const second = await it.engine.push('model', `${host}/me/again:2`);
    expect(second).toMatchObject({ digest: first.digest, uploaded: { blobs: 0, bytes: 0 } });
    const tags = async (): Promise<unknown> => (await fetch(`http://${host}/v2/me/again/tags/list`)).json();
    expect(await tags()).toEqual({ name: 'me/again', tags: ['1', '2'] });
    expect(await it.engine.push('model', `${host}/me/again:2`)).toMatchObject({ digest: first.digest });
  });

  test('pull what was pushed, complete and under its name', async () => {
    await publishBase('me/pulled:1');
    const image = await it.engine.pull(`${host}/me/pulled:1`);
    expect(image.names).toEqual([`${host}/me/pulled:1`]);
    const index = JSON.parse(await readFile(join(it.root, 'index.json'), 'utf8')) as { manifests: unknown[] };
    expect(index.manifests).toHaveLength(1);
    const chunks: Uint8Array[] = [];
    const container = await it.engine.containers.run(
      { image: `${host}/me/pulled:1`, command: ['cat', '/base'], network: 'none', rm: true },
      { onStdout: (chunk) => void chunks.push(chunk) },
    );
    await container.ended;
    expect(Buffer.concat(chunks).toString()).toBe('base\n');
    await it.engine.images.tag(image.id, 'a/name:1');
    expect(await it.engine.pull(`${host}/me/pulled:1`)).toMatchObject({ id: image.id, reference: image.names[0] });
  });

  test('take no name from an image by a pull that fails', async () => {
    const name = `${host}/me/moved:1`;
    await publishBase('me/moved:1');
    const first = await it.engine.pull(name);
    const maker = await openTestEngine();
    await maker.build(`${SHELL}RUN echo second > /moved`, { tags: ['second'] });
    const { digest } = await maker.engine.push('second', name);
    await maker.close();
    const layer = join(server.root, 'blobs/sha256', (await layersOf(server, digest)).at(-1) ?? '');
    await rename(layer, `${layer}.away`);
    try {
      await expect(it.engine.pull(name)).rejects.toMatchObject({ code: expect.any(String) });
    } finally {
      await rename(`${layer}.away`, layer);
    }
    expect((await it.engine.images.list()).map(({ id, names }) => ({ id, names }))).toEqual([
      { id: first.id, names: [name] },
    ]);
    const second = await it.engine.pull(name);
    expect(second.id).not.toBe(first.id);
    expect((await it.engine.images.resolve(name)).id).toBe(second.id);
  });

  test('are told in the journal, by the name with its tag', async () => {
    await publishBase('me/told:1');
    const name = `${host}/me/told`;
    await it.engine.pull(`${name}:1`);
    await it.engine.push(`${name}:1`, `${name}:2`);
    const acts: unknown[] = [];
    await it.engine.events.read({ onAct: (act) => acts.push([act.kind, act.action, act.id, act.attributes]) });
    expect(acts).toEqual([
      ['image', 'pull', `${name}:1`, { name }],
      ['image', 'push', `${name}:2`, { name }],
    ]);
  });

  test('say which image the registry does not have', async () => {
    await expect(it.engine.pull(`${host}/me/nothing:1`)).rejects.toMatchObject({
      message: expect.stringContaining('me/nothing'),
    });
    expect(await blobs(it)).toEqual([]);
  });
});

suite(named('a build on a base of a registry'), () => {
  test('reads no layer of it when no step needs its files', async () => {
    await publishBase('library/lazy:1');
    const built = await it.build('FROM lazy:1\nLABEL a=b\nEXPOSE 8000\n', { complete: true });
    const layers = await layersOf(it, built.manifest?.digest ?? '');
    expect(layers).toHaveLength(3);
    expect((await blobs(it)).filter((blob) => layers.includes(blob))).toEqual([]);
    expect(built.config.Env).toContain('BASE=yes');
  });

  test('pulls the layers when a step needs them, and mounts them when it is pushed', async () => {
    await publishBase('library/used:1');
    const built = await it.build('FROM used:1\nRUN cat /base && echo mine > /mine\n', {
      tags: ['mine'],
      complete: true,
    });
    expect(built.output).toBe('base\n');
    const pushed = await it.engine.push('mine', `${host}/me/mine:1`);
    // The registry shares blobs between repositories: what it has is not uploaded.
    expect(pushed.uploaded.blobs).toBe(2);
  });

  test('hits the cache without any layer here', async () => {
    await publishBase('library/cached:1');
    const dockerfile = 'FROM cached:1\nRUN echo mine > /mine\n';
    const first = await it.build(dockerfile, { tags: ['mine'] });
    await it.engine.push('mine', `${host}/me/cached:1`);
    // The machine loses every layer; what is left are records, and the registries that have the blobs.
    const layers = await layersOf(it, (await it.engine.images.resolve('mine')).manifest?.digest ?? '');
    for (const layer of layers) await rm(join(it.root, 'blobs/sha256', layer), { force: true });
    await it.engine.system.fsck({ repair: true });
    await rm(join(it.root, 'snapshots/root'), { recursive: true });
    await it.engine.system.fsck({ repair: true });
    const again = await it.again();
    const second = await buildWith(again, { context: it.context, dockerfile, complete: true });
    await again.close();
    expect([second.steps.executed, second.imageId]).toEqual([0, first.imageId]);
    expect((await blobs(it)).filter((blob) => layers.includes(blob))).toEqual([]);
  });

  test('asks the registry again only when it is told to', async () => {
    await publishBase('library/moving:1');
    const first = await it.build('FROM moving:1\nRUN cat /base\n');
    const maker = await openTestEngine();
    await maker.build(`${SHELL}RUN echo newer > /base`, { tags: ['base'] });
    await maker.engine.push('base', `${host}/library/moving:1`);
    await maker.close();
    expect((await it.build('FROM moving:1\nRUN cat /base\n')).imageId).toBe(first.imageId);
    expect((await it.build('FROM moving:1\nRUN cat /base\n', { pull: true })).output).toBe('newer\n');
  });

  test('takes an image that was built here and never pushed', async () => {
    await it.build(`${SHELL}RUN echo local > /local`, { tags: ['local-base'] });
    expect((await it.build('FROM local-base\nRUN cat /local\n')).output).toBe('local\n');
  });

  test('names the line of a base that is nowhere', async () => {
    await expect(it.build(`FROM ${host}/me/nowhere:1\n`)).rejects.toMatchObject({
      message: expect.stringContaining('me/nowhere:1'),
      location: { startLine: 1 },
    });
  });
});

suite(named('a layer that only a registry has, which has gone'), () => {
  /** Pushes an image to a registry that ends, and forgets the layer of its last step here. */
  async function publishAndForget(dockerfile: string): Promise<void> {
    const other = await openTestEngine();
    const short = await other.engine.serveRegistry({ host: '127.0.0.1', port: 0 });
    const built = await it.build(dockerfile, { tags: ['gone'] });
    const { digest } = await it.engine.push('gone', `127.0.0.1:${short.port}/me/gone:1`);
    await short.close();
    await other.close();
    const blob = (await layersOf(it, digest)).at(-1) ?? '';
    const diffId = (await it.engine.images.resolve(built.imageId)).config.rootfs.diff_ids.at(-1) ?? '';
    await rm(join(it.root, 'blobs/sha256', blob));
    await rm(join(it.root, 'snapshots/root', diffId.slice(7)), { recursive: true });
    await it.engine.system.fsck({ repair: true });
  }

  test('is made again when a step needs its files', async () => {
    await publishAndForget(`${SHELL}RUN echo again > /again`);
    const built = await it.build(`${SHELL}RUN echo again > /again\nRUN cat /again`);
    expect(built.output).toBe('again\n');
    expect(built.steps).toEqual({ total: 4, cached: 2, executed: 2 });
    expect(built.warnings).toEqual([
      expect.objectContaining({ message: expect.stringContaining('A cached layer cannot be fetched') }),
    ]);
  });

  test('costs nothing when no step needs its files', async () => {
    await publishAndForget(`${SHELL}RUN echo again > /again`);
    const built = await it.build(`${SHELL}RUN echo again > /again\nCMD ["cat"]`);
    expect(built.steps.executed).toBe(0);
  });

  /** Pulls an image whose layer another tool packed, unpacks it, and loses the registry and the blobs. */
  async function pullForeign(name: string): Promise<void> {
    const other = await openTestEngine();
    const short = await other.engine.serveRegistry({ host: '127.0.0.1', port: 0 });
    await pushBusybox(`http://127.0.0.1:${short.port}`);
    const image = `127.0.0.1:${short.port}/library/busybox:latest`;
    const container = await it.engine.containers.run({ image, command: ['true'], network: 'none', rm: true });
    await container.ended;
    await it.engine.images.tag(image, name);
    await short.close();
    await other.close();
    const { manifest } = await it.engine.images.resolve(name);
    for (const layer of await layersOf(it, manifest?.digest ?? '')) await rm(join(it.root, 'blobs/sha256', layer));
  }

  test('is packed anew for a push where its files are here, and the names move to the new image', async () => {
    await pullForeign('foreign');
    const before = await it.engine.images.resolve('foreign');
    const pushed = await it.engine.push('foreign', `${host}/me/repacked:1`);
    const after = await it.engine.images.resolve('foreign');
    expect(after.id).not.toBe(before.id);
    expect(after.manifest?.digest).toBe(pushed.digest);
    const reader = await openTestEngine();
    const chunks: Uint8Array[] = [];
    const container = await reader.engine.containers.run(
      { image: `${host}/me/repacked:1`, command: ['cat', '/etc/group'], network: 'none', rm: true },
      { onStdout: (chunk) => void chunks.push(chunk) },
    );
    await container.ended;
    await reader.close();
    expect(Buffer.concat(chunks).toString()).toContain('app:x:1000');
  });

  test('ends a push with what to do when its files are not here either', async () => {
    await pullForeign('foreign');
    await rm(join(it.root, 'snapshots/root'), { recursive: true });
    await expect(it.engine.push('foreign', `${host}/me/lost:1`)).rejects.toMatchObject({
      code: 'LAYER_LOST',
      hint: expect.stringContaining('Build the image again'),
    });
    await it.engine.system.fsck({ repair: true });
  });
});
