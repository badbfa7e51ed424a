import { describe, expect, test } from '@jest/globals';
import { explainMiss, type Miss } from '../../../engine/solver/explain.ts';
import type { CacheRecord } from '../../../engine/store/types.ts';

const key = (n: number): `sha256:${string}` => `sha256:${String(n).repeat(64)}`;
const run = (command: string, change: object = {}): object => ({
  type: 'exec',
  args: ['/bin/sh', '-c', command],
  env: ['PATH=/bin', 'A=1'],
  cwd: '/',
  user: '',
  ...change,
});
const copy = (digest: string, change: object = {}): object => ({
  type: 'file',
  actions: [{ action: 'copy', dest: '/app/', digests: [digest], owner: null, ...change }],
});

function record(op: object, change: Partial<CacheRecord> = {}): CacheRecord {
  return {
    v: 1,
    key: key(1),
    op,
    diffId: key(8),
    base: key(9),
    createdAt: '2026-01-01T00:00:00Z',
    isolation: 'root',
    ...change,
  };
}

const why = (op: object, records: readonly CacheRecord[], change: Partial<Miss> = {}): string =>
  explainMiss({ key: key(2), op, base: key(9), ignoreCache: false, ...change }, records, 'root');

describe('a step that ran is explained by', () => {
  test.each<readonly [string, string, RegExp]>([
    ['no cache', why(run('a'), [record(run('a'))], { ignoreCache: true }), /without cache/],
    ['an empty cache', why(run('a'), []), /nothing like it/],
    ['another command at its place', why(run('b'), [record(run('a'))]), /^the command was a$/],
    ['a command elsewhere', why(run('b'), [record(run('a'), { base: key(7) })]), /nothing like it/],
    ['what it builds on', why(run('a'), [record(run('a'), { base: key(7) })]), /what it builds on has changed/],
    ['another directory', why(run('a', { cwd: '/app' }), [record(run('a'))]), /its directory was \//],
    ['files', why(copy('blake3:b'), [record(copy('blake3:a'))]), /^the files that it copies have changed$/],
    ['an owner', why(copy('blake3:a', { owner: 'app' }), [record(copy('blake3:a'))]), /owner was null/],
    ['a lost layer', why(run('a'), [record(run('a'), { key: key(2) })]), /can no longer be had/],
    ['other layers below', why(run('a'), [record(run('a'), { key: key(2), base: null })]), /on other layers below/],
    [
      'weaker isolation',
      why(run('a'), [record(run('a'), { key: key(2), isolation: 'chroot' })]),
      /chroot, which is weaker/,
    ],
  ])('%s', (_name, reason, expected) => {
    expect(reason).toMatch(expected);
  });

  test('variables, by name and never by value', () => {
    const reason = why(run('a', { env: ['PATH=/bin', 'A=secret', 'B=2'] }), [record(run('a'))]);
    expect(reason).toBe('the variable A has another value, the variable B is new');
  });

  test('the nearest record: the same command before another one', () => {
    const others = [record(run('z')), record(run('a', { cwd: '/old' }), { key: key(3), base: key(7) })];
    expect(why(run('a'), others)).toBe('its directory was /old');
  });
});
