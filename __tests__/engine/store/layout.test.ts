import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLayout } from '../../../engine/store/index.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-layout-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('openLayout', () => {
  test('makes a private store that is an OCI image layout', async () => {
    const root = join(folder, 'deep', 'store');
    expect(await openLayout(root)).toEqual({ root, uid: process.getuid?.(), gid: process.getgid?.() });
    expect((await stat(root)).mode & 0o777).toBe(0o700);
    expect(JSON.parse(await readFile(join(root, 'oci-layout'), 'utf8'))).toEqual({ imageLayoutVersion: '1.0.0' });
    expect(JSON.parse(await readFile(join(root, 'store.json'), 'utf8'))).toEqual({ version: 1 });
  });

  test('opens it again as it is', async () => {
    const root = join(folder, 'store');
    await openLayout(root);
    await writeFile(join(root, 'blobs', 'sha256', 'keep'), 'x');
    await openLayout(root);
    expect(await readFile(join(root, 'blobs', 'sha256', 'keep'), 'utf8')).toBe('x');
  });

  test('refuses the layout of a newer berth, naming both versions', async () => {
    await writeFile(join(folder, 'store.json'), JSON.stringify({ version: 7 }));
    await expect(openLayout(folder)).rejects.toMatchObject({
      code: 'STORE_VERSION',
      message: `Cannot open the store ${folder}: it has layout version 7, this berth knows 1`,
    });
  });

  test('refuses a store.json that says no version', async () => {
    await writeFile(join(folder, 'store.json'), '{');
    await expect(openLayout(folder)).rejects.toMatchObject({ code: 'STORE_INVALID' });
  });

  test('does not follow a root that is a link', async () => {
    await mkdir(join(folder, 'real'));
    await symlink(join(folder, 'real'), join(folder, 'link'));
    await expect(openLayout(join(folder, 'link'))).rejects.toMatchObject({ code: 'STORE_INVALID' });
  });

  test('refuses a relative root', async () => {
    await expect(openLayout('store')).rejects.toMatchObject({ code: 'STORE_INVALID' });
  });

  test('says what to do when the folder cannot be made', async () => {
    await writeFile(join(folder, 'file'), '');
    await expect(openLayout(join(folder, 'file', 'store'))).rejects.toMatchObject({ code: 'STORE_IO' });
  });
});
