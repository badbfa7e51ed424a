import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homeOf } from '../../../src/cli/home.ts';
import { readEnvFile } from '../../../src/cli/values/environment.ts';
import { parseSecurity } from '../../../src/cli/values/security.ts';
import { createBerth, HELPER, type Berth, type Outcome } from '../../helpers/berth.ts';

const reason = existsSync(HELPER) ? undefined : `no helper at ${HELPER}: npm run build`;
if (reason !== undefined) console.log(`unlucky: ${reason}`);

/** Surroundings that nobody chose, from a shell that sets them up. */
(reason === undefined ? describe : describe.skip)('a command', () => {
  let box: Berth;
  /** `berth` behind a line of shell that ends in `"$@"`. */
  const through = async (line: string, args: readonly string[]): Promise<Outcome> =>
    await box.berth(args, { through: ['sh', '-c', line, 'sh'] });
  beforeAll(async () => {
    box = await createBerth();
  });
  afterAll(async () => await box.remove());

  test('that needs no working directory does without one, and another says that it is gone', async () => {
    const gone = 'mkdir gone && cd gone && rmdir ../gone && exec "$@"';
    expect((await through(gone, ['--config', '/nonexistent', 'images', '-q'])).code).toBe(0);
    const { code, stderr } = await through(gone, ['build', '.']);
    expect(stderr).toBe(
      'berth: Cannot use the working directory: it has been removed\nhint: cd to a folder that is there\n',
    );
    expect(code).toBe(1);
  });

  test('says that its output found no place, and is silent towards a reader that has left', async () => {
    const full = await through('exec "$@" > /dev/full', ['images']);
    expect(full.stderr).toBe('berth: Cannot write the output: ENOSPC: no space left on device, write\n');
    expect(full.code).toBe(1);
    const left = await through('"$@" | true', ['images']);
    expect(left.stderr).toBe('');
  });

  test('that may open too few files ends with the limit to raise', async () => {
    // How many Node itself needs depends on its version.
    const said: string[] = [];
    for (const limit of [26, 30, 34]) {
      const { stderr } = await through(`ulimit -n ${limit}; exec "$@"`, ['volume', 'create', 'data']);
      expect(stderr).toMatch(/^(berth: .*EMFILE.*\n(hint: .*\n)?)?$/);
      said.push(stderr);
    }
    expect(said.join('')).toMatch(/^berth: Cannot .* spawn .* EMFILE\nhint: .*`ulimit -n 1024`$/m);
  });

  test('ends where its store cannot be made', async () => {
    const { code, stderr } = await box.berth(['images'], { env: { BERTH_ROOT: '/proc/a/store' } });
    expect(stderr).toBe(
      "berth: Cannot open the store /proc/a/store: ENOENT: no such file or directory, mkdir '/proc/a'\n",
    );
    expect(code).toBe(1);
  });

  const isolate = spawnSync('unshare', ['--user', '--map-root-user', 'true']).status === 0 ? test : test.skip;
  isolate('looks at the store and clears it up where nothing can be isolated, and says why nothing runs', async () => {
    // A user namespace of one id, in which no other can be made, and no program gains rights.
    const line = 'echo 0 > /proc/sys/user/max_user_namespaces; exec setpriv --no-new-privs --bounding-set=-all "$@"';
    const alone = async (...args: readonly string[]): Promise<Outcome> =>
      await box.berth(args, { through: ['unshare', '--user', '--map-root-user', 'sh', '-c', line, 'sh'] });
    const info = await alone('info');
    expect(info.stdout).toMatch(/^Isolation: none: nothing can be built or run here\n {2}root: not possible: /m);
    expect(info.stderr).toMatch(/^berth: Cannot isolate processes here: [^]*\nhint: Run outside the user namespace/);
    expect(info.code).toBe(0);
    expect((await alone('system', 'fsck')).stdout).toContain('The store is clean');
    expect(await alone('system', 'prune', '-af')).toMatchObject({ code: 0, stderr: '' });
    expect((await alone('ps', '-aq')).code).toBe(0);
    const made = await alone('volume', 'create', 'data');
    expect(made.stderr).toBe(info.stderr);
    expect(made.code).toBe(1);
  });
});

test('a file of variables or rules that has no end is refused at a bound', () => {
  expect(() => readEnvFile('/dev/zero', '--env-file', () => undefined)).toThrow(/over the limit of 16777216 bytes/);
  expect(() => parseSecurity('seccomp=/dev/zero', '/')).toThrow(/over the limit of 16777216 bytes/);
});

test('homeOf asks HOME, then the list of users, and knows of users that are in none', () => {
  const nobody = (): never => {
    throw new Error('uv_os_homedir returned ENOENT');
  };
  expect(homeOf(() => '/home/a', nobody)).toBe('/home/a');
  expect(
    homeOf(
      () => '',
      () => '/home/b',
    ),
  ).toBe('/home/b');
  expect(homeOf(() => undefined, nobody)).toBeUndefined();
});
