import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { dockerCredentials } from '../../../src/cli/credentials.ts';
import { parseMirrors, readSettings } from '../../../src/cli/settings.ts';

const helper = { BERTH_NATIVE: '/opt/berth-native' };

describe('readSettings', () => {
  test.each([
    [{ BERTH_ROOT: '/data' }, 1000, '/data'],
    [{}, 0, '/var/lib/berth'],
    [{ HOME: '/home/u' }, 1000, '/home/u/.local/share/berth'],
    [{ HOME: '/home/u', XDG_DATA_HOME: '/x' }, 1000, '/x/berth'],
  ])('finds the store for %j and uid %i', (env, uid, root) => {
    expect(readSettings({ ...helper, ...env }, { uid }).root).toBe(root);
  });

  test.each([
    [{ BERTH_ROOT: 'relative' }, /BERTH_ROOT/],
    [{ BERTH_ISOLATION: 'vm' }, /Cannot use isolation "vm"/],
    [{ BERTH_REGISTRY_MIRRORS: 'docker.io' }, /BERTH_REGISTRY_MIRRORS/],
    [{ BERTH_NATIVE: 'x' }, /BERTH_NATIVE/],
  ])('refuses %j by the name of the variable', (env, message) => {
    expect(() => readSettings({ ...helper, ...env }, { uid: 0 })).toThrow(message);
  });
});

test.each([
  [{}, 0, { sudoUid: undefined, isConfigElsewhere: false }],
  [{ SUDO_UID: '1001' }, 0, { sudoUid: 1001, isConfigElsewhere: false }],
  [{ SUDO_UID: '1001' }, 1001, { sudoUid: undefined, isConfigElsewhere: false }],
  [{ SUDO_UID: '-1' }, 0, { sudoUid: undefined, isConfigElsewhere: false }],
  [{ GIT_CONFIG_GLOBAL: '/x' }, 0, { sudoUid: undefined, isConfigElsewhere: true }],
  [{ HOME: '/elsewhere' }, 0, { sudoUid: undefined, isConfigElsewhere: true }],
  [{ XDG_CONFIG_HOME: '/x' }, 0, { sudoUid: undefined, isConfigElsewhere: true }],
  [{ XDG_CONFIG_HOME: join(userInfo().homedir, '.config') }, 0, { sudoUid: undefined, isConfigElsewhere: false }],
])('readSettings tells of %j and uid %i what is to be believed of git', (env, uid, git) => {
  expect(readSettings({ ...helper, BERTH_ROOT: '/data', ...env }, { uid }).git).toEqual(git);
});

test.each([
  ['pull 7', 'pull 7'],
  ['', undefined],
  [undefined, undefined],
])('BERTH_CACHE_SCOPE %j is whose steps, names and cache mounts are made', (BERTH_CACHE_SCOPE, scope) => {
  const settings = readSettings({ ...helper, BERTH_ROOT: '/data', BERTH_CACHE_SCOPE }, { uid: 0 });
  expect(settings).toMatchObject({ cacheScope: scope, cacheMountScope: scope });
});

test('parseMirrors reads several registries', () => {
  expect(parseMirrors('docker.io=http://127.0.0.1:5000/, ghcr.io=https://m.example')).toEqual({
    'docker.io': 'http://127.0.0.1:5000',
    'ghcr.io': 'https://m.example',
  });
});

describe('dockerCredentials', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'berth-credentials-'));
  });
  afterEach(async () => await rm(folder, { recursive: true }));
  const source = () => dockerCredentials(folder, { path: `${folder}:/usr/bin:/bin`, home: folder });
  const config = async (value: unknown) => await writeFile(join(folder, 'config.json'), JSON.stringify(value));
  const basic = (text: string) => ({ auth: Buffer.from(text).toString('base64') });

  test('gives an entry to exactly its host and port', async () => {
    await config({ auths: { 'ghcr.io': basic('me:pass:word'), 'https://index.docker.io/v1/': basic('hub:secret') } });
    expect(await source()('ghcr.io')).toEqual({ username: 'me', password: 'pass:word' });
    expect(await source()('docker.io')).toEqual({ username: 'hub', password: 'secret' });
    for (const other of ['ghcr.io:443', 'x.ghcr.io', 'evil-ghcr.io', 'quay.io'])
      expect(await source()(other)).toBeUndefined();
  });

  test('gives a refresh token as one', async () => {
    await config({ auths: { 'r.example': { ...basic('u:p'), identitytoken: 'tok' } } });
    expect(await source()('r.example')).toMatchObject({ identityToken: 'tok' });
  });

  test('asks a credential helper on its standard input, with nothing of ours in its environment', async () => {
    const program = join(folder, 'docker-credential-fake');
    await writeFile(
      program,
      '#!/bin/sh\nread server\nprintf \'{"Username":"%s","Secret":"%s"}\' "$server" "$(env | grep -c BERTH)"\n',
    );
    await chmod(program, 0o755);
    await config({ credHelpers: { 'r.example': 'fake' } });
    expect(await source()('r.example')).toEqual({ username: 'r.example', password: '0' });
    expect(await source()('other.example')).toBeUndefined();
  });

  test('takes "credentials not found" for anonymous access', async () => {
    const program = join(folder, 'docker-credential-none');
    await writeFile(program, '#!/bin/sh\necho "credentials not found in native keychain"; exit 1\n');
    await chmod(program, 0o755);
    await config({ credsStore: 'none' });
    expect(await source()('r.example')).toBeUndefined();
  });

  test.each([
    ['missing', 'CREDENTIAL_HELPER'],
    ['../../bin/sh', 'DOCKER_CONFIG_INVALID'],
  ])('runs no helper that is not a program of PATH: %s', async (name, code) => {
    await config({ credsStore: name });
    await expect(source()('r.example')).rejects.toMatchObject({ code });
  });

  test('is anonymous without a configuration and names a broken one', async () => {
    expect(await source()('ghcr.io')).toBeUndefined();
    await writeFile(join(folder, 'config.json'), '{');
    await expect(source()('ghcr.io')).rejects.toMatchObject({ code: 'DOCKER_CONFIG_INVALID' });
  });
});
