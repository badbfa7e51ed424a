import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createKeptCode, type Code } from '../../../src/cli/kept-code.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-kept-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const codes: readonly Code[] = [
  { name: 'main.js', version: 'one', bytes: Buffer.from('code of main') },
  { name: 'other.js', version: 'two', bytes: Buffer.from('code of other') },
];
const only = (): string => join(folder, readdirSync(folder)[0] ?? '');

describe('kept code', () => {
  test('is found again for the file that it was made of, and for no other', () => {
    createKeptCode(folder, 'run').write(codes, '--rm', false);
    const kept = createKeptCode(folder, 'run');
    expect(kept.of('main.js', 'one')?.toString()).toBe('code of main');
    expect(kept.of('other.js', 'two')?.toString()).toBe('code of other');
    expect(kept.of('other.js', 'three')).toBeUndefined();
    expect(kept.of('missing.js', 'one')).toBeUndefined();
    expect(createKeptCode(folder, 'ps').of('main.js', 'one')).toBeUndefined();
  });

  test('counts the sets of options that it has, and begins anew when it lacks some', () => {
    createKeptCode(folder, 'run').write(codes, '--rm', false);
    createKeptCode(folder, 'run').write(codes, '-d', true);
    expect(createKeptCode(folder, 'run').kinds).toEqual(['--rm', '-d']);
    createKeptCode(folder, 'run').write(codes, '-i', false);
    expect(createKeptCode(folder, 'run').kinds).toEqual(['-i']);
  });

  test('stops at 50 sets of options: what is new is compiled', () => {
    for (let at = 0; at < 52; at += 1) createKeptCode(folder, 'run').write(codes, `--option-${at}`, true);
    expect(createKeptCode(folder, 'run').kinds).toHaveLength(50);
  });

  test('is one file that its user alone can read, whole', () => {
    createKeptCode(folder, 'run').write(codes, '--rm', false);
    expect(readdirSync(folder)).toEqual([`run-${process.version}-${process.arch}.code`]);
    expect(statSync(only()).mode & 0o777).toBe(0o600);
  });

  test('is nothing where its file is no such file', () => {
    createKeptCode(folder, 'run').write(codes, '--rm', false);
    const whole = readFileSync(only());
    for (const length of [0, 3, 4, 20]) {
      writeFileSync(only(), whole.subarray(0, length));
      expect(createKeptCode(folder, 'run').kinds).toEqual([]);
      expect(createKeptCode(folder, 'run').of('main.js', 'one')).toBeUndefined();
    }
    truncateSync(only());
    expect(createKeptCode(folder, 'run').kinds).toEqual([]);
  });

  test('is nothing where a bit of it is another one', () => {
    createKeptCode(folder, 'run').write(codes, '--rm', false);
    const whole = readFileSync(only());
    for (const at of [0, 10, Math.floor(whole.length / 2) - 1, whole.length - 1]) {
      const damaged = Buffer.from(whole);
      damaged[at] = (damaged[at] ?? 0) ^ 1;
      writeFileSync(only(), damaged);
      expect(createKeptCode(folder, 'run').of('main.js', 'one')).toBeUndefined();
    }
    writeFileSync(only(), Buffer.concat([Buffer.from('\u0004\0\0\0null'), Buffer.from('\u0004\0\0\0null')]));
    expect(() => createKeptCode(folder, 'run')).not.toThrow();
  });

  test('fails nothing where it cannot be kept', () => {
    for (const place of [undefined, '/proc/self/none', join(folder, 'missing')]) {
      const kept = createKeptCode(place, 'run');
      kept.write(codes, '--rm', false);
      expect(kept.of('main.js', 'one')).toBeUndefined();
    }
    expect(readdirSync(folder)).toEqual([]);
  });

  test('of versions that nobody uses any more goes after a month, with what killed commands left', () => {
    const old = new Date(Date.now() - 31 * 24 * 60 * 60_000);
    for (const name of ['run-v1.code', 'run-v1.code.77', 'another']) {
      writeFileSync(join(folder, name), '');
      utimesSync(join(folder, name), old, old);
    }
    writeFileSync(join(folder, 'young.code'), '');
    createKeptCode(folder, 'run').write(codes, '--rm', false);
    expect(readdirSync(folder).sort()).toEqual([
      'another',
      `run-${process.version}-${process.arch}.code`,
      'young.code',
    ]);
  });
});
