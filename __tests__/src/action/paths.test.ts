import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readRunnerContext, type RunnerContext } from '../../../src/action/environment.ts';
import { inWorkspace, resolveInputPath, resolveNewPath } from '../../../src/action/paths.ts';

let root: string;
let runner: RunnerContext;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'berth-paths-'));
  for (const folder of ['work/api', 'temp', 'tools', 'other']) await mkdir(join(root, folder), { recursive: true });
  await writeFile(join(root, 'other/file'), '');
  await symlink('../other', join(root, 'work/out'));
  await symlink('api', join(root, 'work/in'));
  await symlink('../temp', join(root, 'work/temp'));
  const env = { GITHUB_WORKSPACE: 'work', RUNNER_TEMP: 'temp', RUNNER_TOOL_CACHE: 'tools' };
  const places = Object.entries(env).map(([name, folder]) => [name, join(root, folder)] as const);
  runner = readRunnerContext(Object.fromEntries(places), {});
});
afterAll(() => rm(root, { recursive: true }));

describe('a path of an input', () => {
  test.each([
    ['.', 'work'],
    ['api', 'work/api'],
    ['in', 'work/api'],
    ['api/../api/.', 'work/api'],
    ['temp', 'temp'],
    ['../tools', 'tools'],
  ])('%s is what it leads to, below the workspace, RUNNER_TEMP or the tool cache', async (path, wanted) => {
    expect(await resolveInputPath('context', path, runner)).toBe(join(root, wanted));
    // `context: ${{ github.workspace }}/api` is everyday use.
    expect(await resolveInputPath('context', join(runner.workspace, path), runner)).toBe(join(root, wanted));
  });

  test.each(['..', '../other', 'out', 'out/file', '/etc', '/'])('%s leads out and is refused by name', async (path) => {
    const outside = {
      code: 'PATH_OUTSIDE',
      message: expect.stringContaining(`'context': ${path} leads out`) as unknown,
    };
    await expect(resolveInputPath('context', path, runner)).rejects.toMatchObject(outside);
  });

  test.each(['~', '~/app', 'api/none', 'a\u0000b'])('%j is a name like others, and not there', async (path) => {
    await expect(resolveInputPath('context', path, runner)).rejects.toMatchObject({ code: 'PATH_NOT_FOUND' });
  });
});

test('a path that is to be made lies below the workspace or RUNNER_TEMP', () => {
  expect(resolveNewPath('oci-layout', 'image', runner)).toBe(join(root, 'work/image'));
  expect(resolveNewPath('oci-layout', join(root, 'temp/image'), runner)).toBe(join(root, 'temp/image'));
  for (const path of ['.', '..', '../image', '/image', join(root, 'temp')])
    expect(() => resolveNewPath('oci-layout', path, runner)).toThrow(`'oci-layout': ${path} is not below`);
});

test('a place is annotated by its path in the workspace, and not when it lies elsewhere', () => {
  expect(inWorkspace('Dockerfile', runner, join(root, 'work/api'))).toBe('api/Dockerfile');
  expect(inWorkspace('/etc/passwd', runner, runner.workspace)).toBeUndefined();
});
