import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readDockerfile } from '../../engine/build-file.ts';

let folder: string;
let context: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-file-'));
  context = join(folder, 'context');
  await mkdir(context);
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const read = async (file?: string): Promise<string> =>
  Buffer.from((await readDockerfile({ context, file })).text).toString();

describe('a Dockerfile', () => {
  test('is found in the context, also in lower case', async () => {
    await writeFile(join(context, 'dockerfile'), 'FROM a');
    expect(await read()).toBe('FROM a');
  });

  test('may be a link to a file of the context, or beside the link', async () => {
    await writeFile(join(context, 'real'), 'FROM a');
    await symlink('real', join(context, 'Dockerfile'));
    await writeFile(join(folder, 'other'), 'FROM b');
    await symlink('other', join(folder, 'link'));
    expect([await read(), await read(join(folder, 'link'))]).toEqual(['FROM a', 'FROM b']);
  });

  test('may be reached through a context that is a link', async () => {
    await writeFile(join(context, 'Dockerfile'), 'FROM a');
    await symlink(context, join(folder, 'linked'));
    expect((await readDockerfile({ context: join(folder, 'linked') })).file).toBe('Dockerfile');
  });

  test('is refused as a link out of the context, without a word of what it leads to', async () => {
    await writeFile(join(folder, 'secret'), 'root:x:0:0');
    await symlink('../secret', join(context, 'Dockerfile'));
    const error = await read().catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'DOCKERFILE_INVALID',
      message: expect.stringContaining('outside the build context'),
      hint: `Name the file itself: -f ${join(folder, 'secret')}`,
    });
    expect(String(error)).not.toContain('root:x');
  });

  test('is read up to the limit of the parser, and no further', async () => {
    await writeFile(join(context, 'Dockerfile'), Buffer.alloc(4 * 1024 * 1024, '#'));
    expect((await read()).length).toBe(4 * 1024 * 1024);
    await writeFile(join(context, 'Dockerfile'), Buffer.alloc(4 * 1024 * 1024 + 1, '#'));
    await expect(read()).rejects.toMatchObject({ code: 'DOCKERFILE_TOO_LARGE' });
  });

  test('is never a FIFO, a device, a folder or a link in a circle', async () => {
    execFileSync('mkfifo', [join(context, 'fifo')]);
    await symlink('circle', join(context, 'circle'));
    for (const file of [join(context, 'fifo'), '/dev/zero', context]) {
      await expect(read(file)).rejects.toMatchObject({
        code: 'DOCKERFILE_INVALID',
        message: `Cannot read ${file}: it is not a regular file`,
      });
    }
    await expect(read(join(context, 'circle'))).rejects.toThrow('its symbolic links lead in a circle (ELOOP)');
  });

  test('that is missing is named, with what may be meant', async () => {
    await writeFile(join(context, 'train.dockerfile'), 'FROM a');
    await expect(read()).rejects.toMatchObject({
      code: 'DOCKERFILE_NOT_FOUND',
      message: `Cannot read ${join(context, 'Dockerfile')}: there is no such file`,
      hint: 'Name it with -f: train.dockerfile',
    });
  });

  test('that is missing where none is like it says what to give', async () => {
    const empty = join(folder, 'empty');
    await mkdir(empty);
    const hintOf = async (more: Partial<Parameters<typeof readDockerfile>[0]>): Promise<unknown> =>
      await readDockerfile({ context: empty, ...more }).catch((error: unknown) => error);
    expect(await hintOf({})).toMatchObject({ hint: 'Name the Dockerfile with -f, or make one that begins with FROM' });
    expect(await hintOf({ file: join(empty, 'a') })).toMatchObject({
      hint: 'Give -f the path of a Dockerfile, or make one that begins with FROM',
    });
    expect(await hintOf({ file: empty })).toMatchObject({
      hint: `Name the file in it: -f ${join(empty, 'Dockerfile')}`,
    });
    expect(await hintOf({ contextName: 'https://host/a.git' })).toMatchObject({
      message: 'Cannot read Dockerfile of the context https://host/a.git: there is no such file',
    });
  });
});
