import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { chooseStorePlace } from '../../../src/action/store-place.ts';

let folder: string;
let temp: string;
let second: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-place-'));
  temp = join(folder, 'temp');
  second = join(folder, 'second');
  await Promise.all([temp, second].map(async (path) => await mkdir(path)));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('the place of the store', () => {
  test('is in RUNNER_TEMP while the second folder is on the same disk, whatever lies there', async () => {
    await mkdir(join(second, 'berth'));
    expect((await chooseStorePlace(temp, undefined, second)).root).toBe(join(temp, 'berth'));
  });

  test('is where an earlier step has made a store, however much room there is elsewhere', async () => {
    await mkdir(join(temp, 'berth'));
    // A file system of its own on any Linux; which of both has more room does not count.
    expect((await chooseStorePlace(temp, undefined, '/dev/shm')).root).toBe(join(temp, 'berth'));
  });

  test('is the second disk when RUNNER_TEMP is not there', async () => {
    const { root, freeBytes } = await chooseStorePlace(join(folder, 'gone'), undefined, second);
    expect(root).toBe(join(second, 'berth'));
    expect(freeBytes).toBeGreaterThan(0);
  });

  test('is BERTH_ROOT when it is given', async () => {
    expect((await chooseStorePlace(temp, join(folder, 'own'), second)).root).toBe(join(folder, 'own'));
  });

  test('cannot be found when neither folder can be written', async () => {
    const none = chooseStorePlace(join(folder, 'gone'), undefined, join(folder, 'gone too'));
    await expect(none).rejects.toMatchObject({
      code: 'STORE_PLACE',
      message: expect.stringContaining(folder) as unknown,
    });
  });

  test('cannot be found without RUNNER_TEMP', async () => {
    await expect(chooseStorePlace('', undefined, second)).rejects.toMatchObject({ code: 'STORE_PLACE' });
  });
});
