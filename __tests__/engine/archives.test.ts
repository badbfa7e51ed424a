import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { NO_CONTAINERS } from '../helpers/berth.ts';
import { openTestEngine, SHELL, type TestEngine } from '../helpers/engine.ts';

const run = promisify(execFile);
const suite = NO_CONTAINERS === undefined ? describe : describe.skip;
const named = (name: string): string => (NO_CONTAINERS === undefined ? name : `${name} (skipped: ${NO_CONTAINERS})`);

let it: TestEngine;
let folder: string;
beforeAll(async () => {
  if (NO_CONTAINERS !== undefined) return;
  it = await openTestEngine();
  folder = await mkdtemp(join(tmpdir(), 'berth-archives-'));
  await it.build(
    `${SHELL}RUN mkdir /data && echo old > /data/old && echo gone > /data/gone\nENV A=b\nCMD ["cat","/data/old"]\n`,
    {
      tags: ['model:1', 'ghcr.io/me/model:2'],
    },
  );
});
afterAll(async () => {
  if (NO_CONTAINERS !== undefined) return;
  expect((await it.engine.system.fsck()).problems).toEqual([]);
  await it.close();
  await rm(folder, { recursive: true, force: true });
});

async function bytesOf(act: (write: (chunk: Uint8Array) => void) => Promise<void>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  await act((chunk) => void chunks.push(chunk));
  return Buffer.concat(chunks);
}

async function* once(content: Buffer): AsyncGenerator<Uint8Array> {
  yield content;
}

async function outputOf(image: string, command?: readonly string[]): Promise<string> {
  const chunks: Uint8Array[] = [];
  const spec = { image, network: 'none' as const, rm: true, ...(command ? { command } : {}) };
  const container = await it.engine.containers.run(spec, { onStdout: (chunk) => void chunks.push(chunk) });
  await container.ended;
  return Buffer.concat(chunks).toString();
}

suite(named('save and load'), () => {
  test('give the same digests and names on another machine, and skopeo and umoci read the archive', async () => {
    const archive = join(folder, 'model.tar');
    await writeFile(
      archive,
      await bytesOf((write) => it.engine.images.save(['model:1', 'ghcr.io/me/model:2'], { write })),
    );
    const other = await openTestEngine();
    const loaded = await other.engine.images.load(createReadStream(archive) as AsyncIterable<Uint8Array>);
    const [here, there] = [await it.engine.images.resolve('model:1'), await other.engine.images.resolve('model:1')];
    expect(loaded).toEqual([{ id: here.id, names: ['docker.io/library/model:1', 'ghcr.io/me/model:2'] }]);
    expect([there.id, there.manifest?.digest]).toEqual([here.id, here.manifest?.digest]);
    expect((await other.engine.system.fsck()).problems).toEqual([]);
    await other.close();
    const { stdout } = await run('skopeo', ['inspect', '--config', '--raw', `docker-archive:${archive}:model:1`]);
    expect(JSON.parse(stdout)).toMatchObject({ config: { Env: expect.arrayContaining(['A=b']) } });
    await run('skopeo', ['copy', '-q', `oci-archive:${archive}:2`, `oci:${folder}/layout:x`]);
    await run('umoci', ['unpack', '--image', `${folder}/layout:x`, join(folder, 'bundle')]);
    expect(await readFile(join(folder, 'bundle/rootfs/data/old'), 'utf8')).toBe('old\n');
  });

  test('load what skopeo wrote, from a packed stream', async () => {
    const archive = join(folder, 'by-skopeo.tar');
    await run('skopeo', [
      'copy',
      '-q',
      `oci:${it.root}:docker.io/library/model:1`,
      `docker-archive:${archive}:foreign:1`,
    ]);
    const loaded = await it.engine.images.load(once(gzipSync(await readFile(archive))));
    expect(loaded).toMatchObject([{ names: ['docker.io/library/foreign:1'] }]);
    expect(await outputOf('foreign:1')).toBe('old\n');
  });

  test('leave nothing behind of an archive that is refused', async () => {
    const whole = await bytesOf((write) => it.engine.images.save(['model:1'], { write }));
    const before = await it.engine.system.df();
    await expect(it.engine.images.load(once(whole.subarray(0, whole.length - 600_000)))).rejects.toMatchObject({
      code: 'ARCHIVE_INVALID',
    });
    expect(await it.engine.system.df()).toEqual(before);
  });

  test('name the image that is not there before anything is written', async () => {
    let written = 0;
    const saved = it.engine.images.save(['model:1', 'nothing'], { write: (chunk) => void (written += chunk.length) });
    await expect(saved).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' });
    expect(written).toBe(0);
  });
});

suite(named('a container that has ended'), () => {
  beforeAll(async () => {
    if (NO_CONTAINERS !== undefined) return;
    const script = 'echo new > /data/new; rm /data/gone; echo more >> /data/old; mkdir /opt; mkdir /data/sub';
    const container = await it.engine.containers.run({
      image: 'model:1',
      name: 'changed',
      command: ['sh', '-c', `${script}; ln -s /data/old /opt/link; mkfifo /opt/pipe; chmod 4755 /data/new`],
      network: 'none',
    });
    await container.ended;
  });
  afterAll(async () => {
    if (NO_CONTAINERS === undefined) await it.engine.containers.remove('changed');
  });

  test('tells what it has changed', async () => {
    const changes = await it.engine.containers.changes('changed');
    expect(changes.map(({ kind, path }) => `${kind} ${path}`)).toEqual([
      'changed /data',
      'deleted /data/gone',
      'added /data/new',
      'changed /data/old',
      'added /data/sub',
      'added /opt',
      'added /opt/link',
      'added /opt/pipe',
    ]);
  });

  test('becomes a tar that import makes an image of', async () => {
    const tar = await bytesOf((write) => it.engine.containers.export('changed', { write }));
    await writeFile(join(folder, 'export.tar'), tar);
    const { stdout } = await run('tar', ['tvf', join(folder, 'export.tar'), '--exclude=bin/*']);
    expect(stdout).toMatch(/prw[^\n]* [^\n]*opt\/pipe\n/);
    expect(stdout).toMatch(/-rwsr-xr-x 0\/0 [^\n]*data\/new\n/);
    expect(stdout).not.toContain('gone');
    const changes = ['CMD ["cat","/data/new"]', 'LABEL from=import'];
    const id = await it.engine.images.import(once(gzipSync(tar)), { name: 'imported', changes, message: 'by hand' });
    expect(await outputOf('imported')).toBe('new\n');
    expect((await it.engine.images.inspect(id))['Config']).toMatchObject({ Labels: { from: 'import' } });
    expect(await it.engine.images.history('imported')).toMatchObject([{ id, comment: 'by hand' }]);
  });

  test('becomes an image with its changes, configuration and history', async () => {
    const id = await it.engine.containers.commit('changed', {
      name: 'committed',
      author: 'me',
      message: 'why',
      changes: ['CMD ["cat","/data/new","/data/old"]', 'ENV Q=1'],
    });
    expect(await outputOf('committed')).toBe('new\nold\nmore\n');
    expect(await outputOf('committed', ['ls', '/data'])).toBe('new\nold\nsub\n');
    const { config } = await it.engine.images.resolve(id);
    expect(config).toMatchObject({ author: 'me', config: { Env: expect.arrayContaining(['A=b', 'Q=1']) } });
    expect((await it.engine.images.history(id))[0]).toMatchObject({ id, comment: 'why' });
  });

  test('is not committed with an instruction that makes files, or to a name that is none', async () => {
    await expect(it.engine.containers.commit('changed', { changes: ['RUN true'] })).rejects.toMatchObject({
      code: 'CHANGE_INVALID',
    });
    await expect(it.engine.containers.commit('changed', { name: 'UP' })).rejects.toMatchObject({
      code: 'REFERENCE_INVALID',
    });
  });
});

suite(named('an import'), () => {
  test.each([
    ['no tar', Buffer.from('hello'.repeat(200)), /header|tar/],
    ['a packed stream that is cut off', gzipSync(Buffer.alloc(100_000, 'x')).subarray(0, 60), /damaged/],
  ])('makes no image of %s', async (_name, bytes, message) => {
    const before = await it.engine.images.list();
    await expect(it.engine.images.import(once(bytes), { name: 'bad' })).rejects.toMatchObject({
      message: expect.stringMatching(message),
    });
    expect(await it.engine.images.list()).toEqual(before);
  });
});
