import { expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeFolders } from '../../../engine/base/folders.ts';

test('makeFolders makes what is missing, takes what is there, and names what cannot be made', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'berth-folders-'));
  try {
    await makeFolders(join(folder, 'a/b/c'), 0o700);
    await makeFolders(join(folder, 'a/b/c'), 0o700);
    expect(statSync(join(folder, 'a/b/c')).mode & 0o777).toBe(0o700);
    writeFileSync(join(folder, 'file'), '');
    await expect(makeFolders(join(folder, 'file'))).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(makeFolders(join(folder, 'file/x'))).rejects.toMatchObject({ code: 'ENOTDIR' });
    await expect(makeFolders('/proc/a/b')).rejects.toMatchObject({ code: 'ENOENT' });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
