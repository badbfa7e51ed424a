import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installTools } from '../../../src/action/tools.ts';

describe('the berth of later steps', () => {
  let folder: string;
  let program: string;
  const cache = process.env['RUNNER_TOOL_CACHE'];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "berth's tools-"));
    const cli = join(folder, 'cli');
    await mkdir(cli);
    await writeFile(join(cli, 'index.js'), 'process.stdout.write(JSON.stringify(process.argv.slice(2)));');
    await writeFile(join(folder, 'helper'), '');
    process.env['RUNNER_TOOL_CACHE'] = join(folder, 'tool cache');
    const how = { version: '1.2.3', node: process.execPath, temp: folder };
    program = join(await installTools({ cli, helper: join(folder, 'helper') }, how), 'berth');
  });
  afterAll(async () => {
    if (cache === undefined) delete process.env['RUNNER_TOOL_CACHE'];
    else process.env['RUNNER_TOOL_CACHE'] = cache;
    await rm(folder, { recursive: true, force: true });
  });

  const berth = (...words: readonly string[]): unknown => {
    const { stdout, stderr } = spawnSync(program, words, { encoding: 'utf8' });
    return stdout === '' ? stderr : JSON.parse(stdout);
  };

  test('gets each word as it was typed, from a folder whose name has blanks and quotes', () => {
    const words = ['run', '-e', "A='b c'", 'box', 'echo', '$HOME', ''];
    expect(berth(...words)).toEqual(words);
  });

  test('gets --env-file, which Node would take for its own: a missing file, and one with NODE_OPTIONS for a container', async () => {
    const file = join(folder, 'app.env');
    await writeFile(file, 'NODE_OPTIONS=--require=/app/tracing.js\n');
    for (const words of [
      ['run', '--env-file', join(folder, 'none'), 'box'],
      ['run', `--env-file=${file}`, 'box'],
    ]) {
      expect(berth(...words)).toEqual(words);
    }
  });
});
