import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { formatPlatform } from '../../../engine/index.ts';
import { gitToken, parseContextInput, readBuildContexts } from '../../../src/action/context-input.ts';
import { parseList } from '../../../src/action/csv.ts';
import { readRunnerContext } from '../../../src/action/environment.ts';
import { BUILD_PUSH_INPUTS, OWN_INPUTS } from '../../../src/action/input-table.ts';
import { parseInputs, secretsOf, takeInputs, type ActionInputs } from '../../../src/action/inputs.ts';
import { parsePlatforms, scopeOfPlatforms } from '../../../src/action/platforms-input.ts';

const PUSHED = {
  GITHUB_SHA: 'abc',
  ref: 'refs/heads/main',
  GITHUB_REPOSITORY: 'octo/app',
  GITHUB_EVENT_NAME: 'push',
  GITHUB_WORKSPACE: '/w',
};
const FORK = {
  pull_request: { head: { repo: { full_name: 'stranger/app' } } },
  repository: { default_branch: 'main' },
};

function read(
  inputs: Readonly<Record<string, string>>,
  event: unknown = {},
  env: Record<string, string> = {},
): ActionInputs {
  const raw = new Map(Object.entries(inputs));
  return parseInputs(raw, readRunnerContext(PUSHED, event), secretsOf(raw, []), env);
}

describe('inputs', () => {
  test('are taken out of the environment, so that no child inherits them', () => {
    const env: Record<string, string | undefined> = {
      INPUT_PASSWORD: 's3cret',
      'INPUT_BUILD-ARGS': 'A=1',
      PATH: '/bin',
    };
    const taken = takeInputs(env);
    expect(env).toEqual({ PATH: '/bin' });
    expect(taken).toEqual(
      new Map([
        ['password', 's3cret'],
        ['build-args', 'A=1'],
      ]),
    );
  });

  test('have defaults that build and test, and push nothing', () => {
    expect(read({})).toMatchObject({
      context: { kind: 'folder', path: '.' },
      push: false,
      smokeTest: 'auto',
      isolation: 'auto',
      tags: [],
      summary: true,
      cache: { read: true, write: 'trusted' },
    });
  });

  test('read lists as docker/build-push-action reads them', () => {
    const inputs = read(
      {
        tags: 'ghcr.io/me/a:1,ghcr.io/me/a:2\n  ghcr.io/me/b:1  \n\n',
        'build-args': 'A=1,2\n# a comment\n"B=x\ny"\nFROM_ENV\nABSENT\n',
        labels: 'org.opencontainers.image.title=My, model\nempty=',
      },
      {},
      { FROM_ENV: 'here' },
    );
    expect(inputs.tags).toEqual(['ghcr.io/me/a:1', 'ghcr.io/me/a:2', 'ghcr.io/me/b:1']);
    expect(inputs.buildArgs).toEqual({ A: '1,2', B: 'x\ny', FROM_ENV: 'here' });
    expect(inputs.labels).toEqual({ 'org.opencontainers.image.title': 'My, model', empty: '' });
  });

  test.each([
    ['push', 'yes'],
    ['pull', '1'],
    ['no-cache', 'on'],
    ['build-ca', 'maybe'],
  ])('refuse %s: %s, which is neither true nor false, by name', (name, value) => {
    expect(() => read({ [name]: value })).toThrow(`'${name}'`);
  });

  test('are values and never words of a shell', () => {
    const given = 'A=$(touch /x); `id` && "b"\nB=--help -rf\n';
    expect(read({ 'build-args': given, target: '$(id)' })).toMatchObject({
      buildArgs: { A: '$(touch /x); `id` && "b"', B: '--help -rf' },
      target: '$(id)',
    });
  });

  test('cut the blanks around a password and no byte within it', () => {
    const password = `${'pä55 "\u{1f511}%&+'.repeat(10_000)}x`;
    expect(read({ password: ` ${password}\n` }).password).toBe(password);
  });

  test('name the input that has an open quote', () => {
    expect(() => read({ 'build-args': 'A=1\n"B=2' })).toThrow("Cannot read input 'build-args'");
    expect(parseList('tags', '"a""b",c')).toEqual(['a"b', 'c']);
  });

  test('read annotations of the manifest, and refuse those of an index by name', () => {
    const annotations = 'a=b,c\nmanifest:d=e:f\norg.x:y=z';
    expect(read({ annotations }).annotations).toEqual({ a: 'b,c', d: 'e:f', 'org.x:y': 'z' });
    for (const place of ['index', 'manifest[linux/amd64]', 'index,manifest', 'manifest-descriptor']) {
      expect(() => read({ annotations: `${place}:a=b` })).toThrow(
        `only manifests are annotated, and ${place} was asked for`,
      );
    }
  });

  test('read platforms each once and in one spelling, and have a scope of the cache for each set of them', () => {
    const own = { os: 'linux', architecture: 'amd64' };
    const given = 'linux/amd64, arm64\nlinux/arm64/v8,linux/arm/v7';
    const platforms = parsePlatforms(given, own);
    expect(platforms.map(formatPlatform)).toEqual(['linux/amd64', 'linux/arm64', 'linux/arm/v7']);
    expect(scopeOfPlatforms(platforms, own)).toBe(scopeOfPlatforms(platforms.toReversed(), own));
    expect(scopeOfPlatforms(platforms, own)).not.toBe(scopeOfPlatforms(platforms.slice(1), own));
    expect(scopeOfPlatforms(parsePlatforms('linux/x86_64', own), own)).toBe(scopeOfPlatforms([], own));
  });

  test.each([
    ['linux/amd64,linux//v7', /input 'platforms':.*'linux\/\/v7'/],
    ['linux/amd64,linux', /input 'platforms':.*'linux'.*no architecture/],
    ['linux/amd64\nwindows/amd64', /input 'platforms': windows\/amd64 is not Linux/],
    [
      'linux/riscv64,linux/s390x',
      /'platforms': linux\/riscv64, linux\/s390x was asked for, and this runner is linux\//,
    ],
  ])('refuse the platforms %p, naming the item', (platforms, message) => {
    expect(() => read({ platforms })).toThrow(message);
  });

  test('build for other machines alone where nothing is started', () => {
    for (const smoke of ['off', 'structure-only'])
      expect(read({ platforms: 'linux/riscv64', 'smoke-test': smoke }).platforms).toHaveLength(1);
    expect(() => read({ platforms: 'linux/amd64,linux/arm64', load: 'true' })).toThrow("input 'load' with several");
    expect(() => read({ platforms: 'linux/amd64', image: 'x' })).toThrow("'image' beside platforms");
  });

  test('read what RUN is given as docker/build-push-action reads it', () => {
    const given = {
      'add-hosts': 'db:10.0.0.2,v6:[::1]',
      'shm-size': '2g',
      ulimit: 'nofile=1024:2048',
      network: 'none',
      allow: 'network.host',
    };
    expect(read(given).run).toEqual({
      ssh: [],
      network: 'none',
      allowHostNetwork: true,
      extraHosts: [
        { name: 'db', address: '10.0.0.2' },
        { name: 'v6', address: '::1' },
      ],
      shmSize: 2 * 2 ** 30,
      ulimits: [{ name: 'nofile', soft: 1024, hard: 2048 }],
      allowSecretInLayer: false,
    });
  });

  test.each([
    ['ssh', 'default', 'no agent runs'],
    ['ssh', 'id=/etc/passwd', 'is no socket of an agent'],
    ['add-hosts', 'db:nowhere', 'nowhere'],
    ['shm-size', 'large', 'large'],
    ['ulimit', 'files=1', 'files'],
    ['network', 'bridge', 'bridge'],
    ['allow', 'security.insecure', 'security.insecure is not supported yet'],
  ])('refuse %s: %s, naming both', (name, value, why) => {
    expect(() => read({ [name]: value })).toThrow(
      expect.objectContaining({ message: expect.stringMatching(new RegExp(`'${name}'.*${why}`)) as unknown }),
    );
  });

  test('refuse beside image what says how to build', () => {
    expect(read({ image: 'sha256:abc', context: '.', 'no-cache': 'false' }).image).toBe('sha256:abc');
    expect(() => read({ image: 'sha256:abc', file: 'Dockerfile', labels: 'a=b' })).toThrow(
      expect.objectContaining({ message: expect.stringContaining('beside file, labels') as unknown }),
    );
  });

  test.each([
    ['', 8e9],
    ['500MB', 5e8],
    ['2 GiB', 2 ** 31],
    ['1.5g', 1.5e9],
    ['123', 123],
  ])('read the size %p as %d bytes', (size, bytes) => {
    expect(read({ 'cache-max-size': size }).cacheMaxSize).toBe(bytes);
  });

  test.each(['8 TB', 'much', '-1', '1e30g'])('refuse the size %p', (size) => {
    expect(() => read({ 'cache-max-size': size })).toThrow("'cache-max-size'");
  });

  test('refuse every input of docker/build-push-action that is not done, by name and with what to do', () => {
    const refused = Object.entries(BUILD_PUSH_INPUTS).filter(([, fate]) => !fate.done);
    expect(Object.keys(BUILD_PUSH_INPUTS)).toHaveLength(33);
    expect(refused.length).toBeGreaterThan(5);
    for (const [name] of refused) {
      expect(() => read({ [name]: 'something' })).toThrow(
        expect.objectContaining({
          code: 'INPUT_REFUSED',
          message: expect.stringContaining(`'${name}'`) as unknown,
          hint: expect.stringMatching(/\w/) as unknown,
        }),
      );
    }
  });

  test('let the values pass that ask for nothing', () => {
    expect(() =>
      read({ provenance: 'false', sbom: 'false', load: 'false', network: 'default', call: 'build', secrets: '' }),
    ).not.toThrow();
  });

  test.each([
    ['https://github.com/me/app.git#v1:sub', { remote: 'https://github.com/me/app.git', ref: 'v1', subdir: 'sub' }],
    ['git@github.com:octo/app.git', { remote: 'git@github.com:octo/app.git' }],
    ['{{defaultContext}}', { remote: 'https://github.com/octo/app.git', ref: 'abc' }],
    ['{{defaultContext}}:sub', { remote: 'https://github.com/octo/app.git', ref: 'abc', subdir: 'sub' }],
    ['https://example.com/context.tar.gz', { type: 'http', url: 'https://example.com/context.tar.gz' }],
  ])('take the context %s, which is fetched', (context, source) => {
    expect(read({ context }).context).toMatchObject({ kind: 'remote', source });
  });

  test('take the head of a pull request for its default context', () => {
    const env = { GITHUB_REPOSITORY: 'octo/app', GITHUB_REF: 'refs/pull/7/merge', GITHUB_SHA: 'abc' };
    const runner = readRunnerContext(env, {});
    expect(parseContextInput('{{defaultContext}}', runner)).toMatchObject({ source: { ref: 'refs/pull/7/head' } });
  });

  test.each(['{{context}}', 'ftp://example.com/context', 'file:///etc'])(
    'refuse the context %s, naming the input',
    (context) => {
      expect(() => read({ context })).toThrow("input 'context'");
    },
  );

  test('send a token to the server of the run and to no other', () => {
    const runner = { serverUrl: 'https://github.com' };
    expect(gitToken('t0ken', runner, [])).toEqual([{ id: 'GIT_AUTH_TOKEN.github.com', value: Buffer.from('t0ken') }]);
    expect(gitToken('', runner, [])).toEqual([]);
    expect(gitToken('t0ken', runner, [{ id: 'GIT_AUTH_TOKEN', value: Buffer.from('own') }])).toEqual([]);
    expect(secretsOf(new Map([['github-token', 't0ken-of-git']]), [])).toHaveLength(1);
  });

  test('read build contexts, of which folders lie in the workspace', async () => {
    const workspace = await realpath(await mkdtemp(join(tmpdir(), 'inputs-')));
    try {
      await mkdir(join(workspace, 'models'));
      const runner = { ...readRunnerContext(PUSHED, {}), workspace };
      const text = 'models=./models\nbase=docker-image://alpine:3.20\nlib=https://github.com/me/lib.git#main\n';
      expect(await readBuildContexts(text, runner)).toEqual({
        models: join(workspace, 'models'),
        base: { type: 'image', reference: 'alpine:3.20' },
        lib: expect.objectContaining({ type: 'git', ref: 'main' }) as unknown,
      });
      await expect(readBuildContexts('etc=/etc', runner)).rejects.toMatchObject({ code: 'PATH_OUTSIDE' });
      await expect(readBuildContexts('x=nowhere', runner)).rejects.toThrow("'build-contexts'");
      await expect(readBuildContexts('folder', runner)).rejects.toThrow('wanted NAME=VALUE');
    } finally {
      await rm(workspace, { recursive: true });
    }
  });

  test('read outputs: files are made by the build, an image is pushed or loaded once it has passed', () => {
    const outputs = 'type=oci,dest=out/image.tar\ntype=registry,compression=zstd,"name=ghcr.io/me/a:1"\ntype=docker\n';
    expect(read({ outputs, tags: 'ghcr.io/me/a:2' })).toMatchObject({
      outputs: [
        { type: 'oci', dest: '/w/out/image.tar' },
        { type: 'image', compression: 'zstd' },
      ],
      push: true,
      load: true,
      tags: ['ghcr.io/me/a:2', 'ghcr.io/me/a:1'],
    });
    expect(read({ outputs: 'out' }).outputs).toEqual([{ type: 'local', dest: '/w/out' }]);
    expect(read({ outputs: 'type=image,push=false' })).toMatchObject({ push: false });
  });

  test.each([
    ['-', 'the log takes no archive'],
    ['type=oci,dest=-', 'the log takes no archive'],
    ['type=tar,dest=../out.tar', 'is not below the workspace'],
    ['type=cacheonly', 'unknown type cacheonly'],
    ['type=image,push-by-digest=true', 'push-by-digest is not supported'],
    ['type=image\ntype=registry', 'pushed in one form'],
  ])('refuse the output %j, naming the input and why', (outputs, why) => {
    expect(() => read({ outputs, tags: 'a' })).toThrow(
      expect.objectContaining({ message: expect.stringMatching(`'outputs'.*${why}`) as unknown }),
    );
  });

  test('take SOURCE_DATE_EPOCH of the step, unless a build argument says another', () => {
    const env = { SOURCE_DATE_EPOCH: '1700000000' };
    expect(read({}, {}, env).buildArgs).toEqual(env);
    expect(read({ 'build-args': 'SOURCE_DATE_EPOCH=0' }, {}, env).buildArgs).toEqual({ SOURCE_DATE_EPOCH: '0' });
  });

  test('stop a push with an empty password before the build, and say why', () => {
    const push = { push: 'true', tags: 'ghcr.io/me/a', username: 'me' };
    expect(() => read(push)).toThrow(/'password' is empty, the secret behind it may not exist/);
    expect(() => read(push, FORK)).toThrow(/pull requests from forks get no secrets/);
    expect(() => read({ push: 'true', tags: 'ghcr.io/me/a' }, FORK)).toThrow(/from forks/);
    expect(() => read({ tags: 'ghcr.io/me/a', username: 'me' }, FORK)).not.toThrow();
    expect(() => read({ push: 'true' })).toThrow("input 'tags' is empty");
  });

  test.each(['build-args', 'labels'])(
    'refuse a secret in %s, raw or encoded, naming the place and not the value',
    (name) => {
      const password = 'hunter2-hunter2';
      for (const value of [
        password,
        `x${Buffer.from(password).toString('base64')}`,
        Buffer.from(`u:${password}!`).toString('base64'),
        encodeURIComponent(`${password}/&`),
      ]) {
        const attempt = (): unknown => read({ password, [name]: `KEY=${value}` });
        expect(attempt).toThrow(expect.objectContaining({ code: 'INPUT_SECRET' }));
        expect(attempt).toThrow(`${name}: KEY`);
        expect(attempt).not.toThrow(password);
      }
    },
  );

  test('never take the user name for a secret, nor a value that is too short to search', () => {
    expect(() => read({ username: 'deploy-bot', password: 'abc', labels: 'by=deploy-bot\nx=abc' })).not.toThrow();
    expect(
      secretsOf(
        new Map([
          ['username', 'deploy-bot'],
          ['password', ' abc\n'],
        ]),
        [],
      ),
    ).toEqual([{ name: 'password', value: 'abc' }]);
  });

  test('take a key for the cache that cannot be guessed, and mask it', () => {
    const key = 'k'.repeat(16);
    expect(read({ 'cache-signing-key': key }).cacheSigningKey).toBe(key);
    expect(secretsOf(new Map([['cache-signing-key', key]]), [])).toHaveLength(1);
    expect(() => read({ 'cache-signing-key': 'short' })).toThrow("'cache-signing-key': it has fewer than 16 bytes");
  });

  test('understand type=gha, and refuse its keys that are not done by name', () => {
    const none = { from: [], to: [] };
    expect(read({ 'cache-from': 'type=gha', 'cache-to': 'type=gha,mode=max' }).cache).toEqual({
      read: true,
      write: 'always',
      scope: undefined,
      ...none,
    });
    expect(read({ 'cache-from': 'type=gha,scope=api' }).cache).toEqual({
      read: true,
      write: 'never',
      scope: 'api',
      ...none,
    });
    expect(read({ cache: 'off' }).cache).toMatchObject({ read: false, write: 'never' });
    expect(() => read({ 'cache-to': 'type=gha,mode=min' })).toThrow(/mode=min is not done/);
    expect(() => read({ 'cache-from': 'type=gha,scope=a', 'cache-to': 'type=gha,scope=b' })).toThrow(
      'different scopes',
    );
  });

  test('understand caches in registries and folders, alone or beside the Actions cache', () => {
    const given = {
      'cache-from': 'type=registry,ref=ghcr.io/me/app:cache\ntype=local,src=.cache\nghcr.io/me/app:1',
      'cache-to':
        'type=registry,ref=ghcr.io/me/app:cache,mode=max,image-manifest=true\ntype=local,dest=/tmp/.buildx-cache-new',
    };
    const others = {
      from: [
        { type: 'registry', ref: 'ghcr.io/me/app:cache' },
        { type: 'local', src: '/w/.cache' },
        { type: 'registry', ref: 'ghcr.io/me/app:1' },
      ],
      to: [
        { type: 'registry', ref: 'ghcr.io/me/app:cache', mode: 'max' },
        { type: 'local', dest: '/tmp/.buildx-cache-new', mode: 'min' },
      ],
    };
    expect(read(given).cache).toEqual({ read: false, write: 'never', scope: undefined, ...others });
    expect(read({ ...given, cache: 'write' }).cache).toMatchObject({ read: true, write: 'always', ...others });
    const both = read({ 'cache-from': 'type=gha\ntype=local,src=.cache' }).cache;
    expect(both).toMatchObject({ read: true, from: [{ type: 'local' }] });
  });

  test.each([
    ['cache-to', 'type=inline,mode=max', 'type=inline keeps the layers of the image alone'],
    ['cache-from', 'type=inline', 'type=inline is for --cache-to'],
    ['cache-from', 'type=s3,region=eu,bucket=b', 'type=s3 is not supported yet'],
    ['cache-from', 'type=azblob,name=n', 'type=azblob is not supported yet'],
    ['cache-from', 'type=registry', 'type=registry needs ref'],
    ['cache-to', 'type=registry,ref=a/b,image-manifest=false', 'image-manifest=false is not supported'],
    ['cache-to', 'type=local,dest=../away', 'is not below the workspace'],
  ])('refuse %s: %s, naming both', (name, value, why) => {
    expect(() => read({ [name]: value })).toThrow(
      expect.objectContaining({ message: expect.stringMatching(`'${name}'.*${why}`) as unknown }),
    );
  });
});

describe('action.yml', () => {
  const action = parse(readFileSync(new URL('../../../action.yml', import.meta.url), 'utf8')) as {
    readonly inputs: Readonly<Record<string, { readonly description: string; readonly default?: string }>>;
    readonly runs: Readonly<Record<string, string>>;
  };

  test('declares what is done, and nothing else', () => {
    const done = Object.entries(BUILD_PUSH_INPUTS).flatMap(([name, fate]) => (fate.done ? [name] : []));
    expect(Object.keys(action.inputs).toSorted()).toEqual([...done, ...OWN_INPUTS].toSorted());
  });

  test('has defaults that the parser takes', () => {
    const defaults = Object.entries(action.inputs).flatMap(([name, { default: value }]) =>
      value === undefined ? [] : [[name, value] as const],
    );
    expect(read(Object.fromEntries(defaults))).toEqual(read({}));
  });

  test('runs on node24, main and post', () => {
    expect(action.runs).toEqual({ using: 'node24', main: 'dist/action/index.js', post: 'dist/action/index.js' });
  });
});
