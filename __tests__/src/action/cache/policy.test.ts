import { describe, expect, test } from '@jest/globals';
import { isTrusted, mountScopeOf, readCacheAccess, stepScopeOf } from '../../../../src/action/cache/policy.ts';
import { readRunnerContext } from '../../../../src/action/environment.ts';

const SERVICE = { ACTIONS_RESULTS_URL: 'https://results.example/', ACTIONS_RUNTIME_TOKEN: 't' };

describe('the cache service of a job', () => {
  test('is that of version 2, with what its mode allows', () => {
    const env = { ...SERVICE, ACTIONS_CACHE_SERVICE_V2: 'True' };
    expect(readCacheAccess(env)).toMatchObject({ kind: 'service', endpoint: { version: 2 }, readable: true });
    expect(readCacheAccess({ ...env, ACTIONS_CACHE_MODE: 'read' })).toMatchObject({ readable: true, writable: false });
    expect(readCacheAccess({ ...env, ACTIONS_CACHE_MODE: 'none' })).toMatchObject({ readable: false, writable: false });
  });

  test.each([
    [
      'GitHub Enterprise Server',
      { ACTIONS_CACHE_SERVICE_V2: 'True', GITHUB_SERVER_URL: 'https://git.example' },
      'https://results.example/',
    ],
    ['a server for act', { ACTIONS_CACHE_URL: 'http://127.0.0.1:1/' }, 'http://127.0.0.1:1/'],
  ])('is that of version 1 on %s', (_name, more, url) => {
    const env = { ...SERVICE, ...more };
    const endpoint = { url, token: 't', version: 1 };
    expect(readCacheAccess(env)).toEqual({ kind: 'service', endpoint, readable: true, writable: true });
    expect(readCacheAccess({ ...env, ACTIONS_CACHE_MODE: 'read' })).toMatchObject({ readable: true, writable: false });
  });

  test('is none without a word where the runner offers none', () => {
    for (const env of [{}, { ACTIONS_CACHE_SERVICE_V2: 'True' }, { ACTIONS_CACHE_URL: 'http://127.0.0.1:1/' }]) {
      expect(readCacheAccess(env)).toMatchObject({ kind: 'none' });
    }
  });
});

describe('the local cache mounts of a job', () => {
  const scopeOf = (env: Readonly<Record<string, string>>, event: unknown = {}): string =>
    mountScopeOf(readRunnerContext({ GITHUB_REPOSITORY: 'octo/app', GITHUB_REF: 'refs/heads/main', ...env }, event));

  test('are those of its repository and ref, and never of what a stranger can start', () => {
    const main = scopeOf({ GITHUB_EVENT_NAME: 'push' });
    expect(scopeOf({ GITHUB_EVENT_NAME: 'schedule', GITHUB_REPOSITORY: 'Octo/App' })).toBe(main);
    const others = [
      scopeOf({ GITHUB_EVENT_NAME: 'push', GITHUB_REF: 'refs/heads/next' }),
      scopeOf({ GITHUB_EVENT_NAME: 'push', GITHUB_REPOSITORY: 'octo/other' }),
      scopeOf({ GITHUB_EVENT_NAME: 'pull_request', GITHUB_REF: 'refs/pull/7/merge' }, { pull_request: {} }),
      scopeOf({ GITHUB_EVENT_NAME: 'pull_request_target' }),
      scopeOf({ GITHUB_EVENT_NAME: 'issue_comment' }),
    ];
    expect(new Set([main, ...others]).size).toBe(others.length + 1);
  });
});

test.each([
  ['push', {}, true],
  ['push', { GITHUB_REPOSITORY: 'Octo/App' }, true],
  ['push', { GITHUB_REPOSITORY: 'octo/other' }, false],
  ['pull_request', {}, true],
  ['pull_request', { GITHUB_REF_TYPE: 'tag' }, false],
  ['pull_request_target', { GITHUB_EVENT_NAME: 'release' }, false],
  ['issue_comment', { GITHUB_EVENT_NAME: 'release' }, false],
  ['workflow_run', { GITHUB_REF_TYPE: 'tag' }, false],
  ['push', { GITHUB_REF_TYPE: 'tag' }, true],
  ['schedule', { GITHUB_EVENT_NAME: 'release' }, true],
])('an index of a %s run is trusted by one of %j: %p', (event, env, wanted) => {
  const runner = readRunnerContext({ GITHUB_REPOSITORY: 'octo/app', GITHUB_EVENT_NAME: 'push', ...env }, {});
  const provenance = {
    repository: 'octo/app',
    ref: 'refs/heads/main',
    event,
    sha: 'c0ffee',
    runId: '1',
    engine: '0.1.0',
  };
  expect(isTrusted(provenance, runner)).toBe(wanted);
});

test('finished steps are for all when the repository made them, and for the same ref when a stranger may have', () => {
  const scopeOf = (env: Readonly<Record<string, string>>, event: unknown = {}): string | undefined =>
    stepScopeOf(readRunnerContext({ GITHUB_REPOSITORY: 'octo/app', ...env }, event));
  expect(scopeOf({ GITHUB_EVENT_NAME: 'push', GITHUB_REF: 'refs/heads/next' })).toBeUndefined();
  expect(scopeOf({ GITHUB_EVENT_NAME: 'schedule', GITHUB_REF: 'refs/heads/main' })).toBeUndefined();
  const [one, other] = ['refs/pull/7/merge', 'refs/pull/8/merge'].map((GITHUB_REF) =>
    scopeOf({ GITHUB_EVENT_NAME: 'pull_request', GITHUB_REF }, { pull_request: {} }),
  );
  expect(one).toBeDefined();
  expect(other).not.toBe(one);
});
