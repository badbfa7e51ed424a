import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Engine, EngineOptions, RegistryServer } from '../../engine/index.ts';
import { NO_CONTAINERS } from '../helpers/berth.ts';
import { buildWith, openTestEngine, type BuiltEvents, type TestEngine } from '../helpers/engine.ts';

const suite = NO_CONTAINERS === undefined ? describe : describe.skip;
const named = (name: string): string => (NO_CONTAINERS === undefined ? name : `${name} (skipped: ${NO_CONTAINERS})`);

let it: TestEngine;
let opened: Engine[];
beforeEach(async () => {
  it = await openTestEngine();
  opened = [];
  await writeFile(join(it.context, 'file'), '');
});
afterEach(async () => {
  expect((await it.engine.system.fsck()).problems).toEqual([]);
  for (const engine of opened) await engine.close();
  await it.close();
});

const open = async (options: Partial<EngineOptions>): Promise<Engine> => {
  const engine = await it.again(options);
  opened.push(engine);
  return engine;
};
const build = (engine: Engine, dockerfile: string, tags: readonly string[] = []): Promise<BuiltEvents> =>
  buildWith(engine, { context: it.context, dockerfile, tags });
const labelled = (label: string): string => `FROM scratch\nCOPY file /\nLABEL by=${label}\n`;
const by = ({ config }: BuiltEvents): unknown => config.Labels?.['by'];

suite(named('what strangers name in a store of several'), () => {
  test('is no base, no source and no image of anybody else', async () => {
    // Nothing listens there: whoever asks the registry fails.
    const name = '127.0.0.1:1/org/base:1';
    const pull = await open({ cacheScope: 'pull 7' });
    await build(pull, labelled('stranger'), [name]);
    expect(by(await build(pull, `FROM ${name}\n`))).toBe('stranger');
    const other = await open({ cacheScope: 'pull 8' });
    for (const engine of [it.engine, other]) {
      for (const dockerfile of [`FROM ${name}\n`, `FROM scratch\nCOPY --from=${name} /file /\n`])
        await expect(build(engine, dockerfile)).rejects.toThrow(/127\.0\.0\.1:1/);
      await expect(engine.images.resolve(name)).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' });
    }
    // What all have is theirs too, unless they have their own.
    await build(it.engine, labelled('ours'), [name]);
    expect(by(await build(it.engine, `FROM ${name}\n`))).toBe('ours');
    expect(by(await build(other, `FROM ${name}\n`))).toBe('ours');
    expect(by(await build(pull, `FROM ${name}\n`))).toBe('stranger');
  });

  test('comes from their mirror for them alone, and no few digits of an id are a name', async () => {
    const served = async (label: string) => {
      const from = await openTestEngine();
      await from.write({ file: '' });
      await from.build(labelled(label), { tags: ['python:3.11'] });
      const registry: RegistryServer = await from.engine.serveRegistry({ host: '127.0.0.1', port: 0 });
      const close = async (): Promise<void> => {
        await registry.close();
        await from.close();
      };
      return { at: `http://127.0.0.1:${registry.port}`, engine: from.engine, close };
    };
    const [evil, good] = [await served('evil'), await served('good')];
    try {
      const pull = await open({ cacheScope: 'pull 7', mirrors: { 'docker.io': evil.at } });
      const pulled = await build(pull, 'FROM python:3.11\n');
      expect(by(pulled)).toBe('evil');
      const ours = await open({ mirrors: { 'docker.io': good.at } });
      expect(by(await build(ours, 'FROM python:3.11\n'))).toBe('good');
      const digits = pulled.imageId.slice('sha256:'.length, 'sha256:'.length + 3);
      await good.engine.images.tag('python:3.11', digits);
      expect(by(await build(ours, `FROM ${digits}\n`))).toBe('good');
      expect(by(await build(pull, 'FROM python:3.11\n'))).toBe('evil');
    } finally {
      await evil.close();
      await good.close();
    }
  });

  test('and make is found again by each of them, whoever made the same in between', async () => {
    const [seven, eight] = [await open({ cacheScope: 'pull 7' }), await open({ cacheScope: 'pull 8' })];
    const cached: number[] = [];
    for (const engine of [seven, eight, seven, eight, it.engine])
      cached.push((await build(engine, labelled('same'))).steps.executed);
    expect(cached.map((executed) => executed > 0)).toEqual([true, true, false, false, true]);
  });
});
