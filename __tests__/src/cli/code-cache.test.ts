import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cachesOf, privateFolder } from '../../../src/cli/code-cache.ts';

const uid = process.getuid?.() ?? 0;
/** Somebody else. */
const OTHER = 65_534;
let place: string;

beforeEach(() => {
  place = realpathSync(mkdtempSync(join(tmpdir(), 'berth-code-')));
});
afterEach(() => rmSync(place, { recursive: true, force: true }));

describe('where a user keeps caches', () => {
  test('is the cache folder of the home, or XDG_CACHE_HOME when that is absolute', () => {
    expect(cachesOf({ uid: 1000, env: { HOME: '/home/ada' } })).toBe('/home/ada/.cache');
    expect(cachesOf({ uid: 1000, env: { HOME: '/home/ada', XDG_CACHE_HOME: '/caches' } })).toBe('/caches');
    expect(cachesOf({ uid: 1000, env: { HOME: '/home/ada', XDG_CACHE_HOME: 'caches' } })).toBe('/home/ada/.cache');
  });

  test('is nowhere without a home', () => {
    expect(cachesOf({ uid: 1000, env: {} })).toBeUndefined();
    expect(cachesOf({ uid: 1000, env: { HOME: 'relative' } })).toBeUndefined();
  });

  test('is in no home for root, whose HOME may be that of whoever typed sudo', () => {
    expect(cachesOf({ uid: 0, env: { HOME: '/home/ada', XDG_CACHE_HOME: '/home/ada/caches' } })).toBe('/var/cache');
  });
});

describe('a private folder', () => {
  test('is made with the one above it, closed to others, and found again', () => {
    const folder = join(place, 'a/b');
    expect(privateFolder(folder, uid)).toBe(folder);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(privateFolder(folder, uid)).toBe(folder);
    expect(privateFolder(join(place, 'x/y/z'), uid)).toBeUndefined();
  });

  test('is none that others may write to', () => {
    const folder = join(place, 'shared');
    mkdirSync(folder);
    for (const mode of [0o770, 0o702, 0o1777]) {
      chmodSync(folder, mode);
      expect(privateFolder(folder, uid)).toBeUndefined();
    }
  });

  test('is none where others may put another in its place', () => {
    const folder = join(place, 'above/folder');
    expect(privateFolder(folder, uid)).toBe(folder);
    chmodSync(join(place, 'above'), 0o777);
    expect(privateFolder(folder, uid)).toBeUndefined();
    // As /tmp is: nobody else can take the folder away.
    chmodSync(join(place, 'above'), 0o1777);
    expect(privateFolder(folder, uid)).toBe(folder);
  });

  test('is judged where a link leads', () => {
    mkdirSync(join(place, 'real'));
    chmodSync(join(place, 'real'), 0o777);
    symlinkSync(join(place, 'real'), join(place, 'link'));
    expect(privateFolder(join(place, 'link/folder'), uid)).toBeUndefined();
    chmodSync(join(place, 'real'), 0o700);
    expect(privateFolder(join(place, 'link/folder'), uid)).toBe(join(place, 'real/folder'));
  });

  test('is none where a file has its name, or where it cannot be made', () => {
    writeFileSync(join(place, 'file'), '');
    expect(privateFolder(join(place, 'file'), uid)).toBeUndefined();
    expect(privateFolder(join(place, 'file/folder'), uid)).toBeUndefined();
    expect(privateFolder('/proc/self/folder', uid)).toBeUndefined();
  });

  test('is none of another owner', () => {
    const folder = join(place, 'folder');
    expect(privateFolder(folder, uid)).toBe(folder);
    expect(privateFolder(folder, OTHER)).toBeUndefined();
    if (uid !== 0) return;
    // Its own, below a folder of somebody else.
    chownSync(place, OTHER, OTHER);
    expect(privateFolder(folder, uid)).toBeUndefined();
  });
});
