import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { chmod, mkdir, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Berth, createBerth } from '../../helpers/berth.ts';

let store: Berth;
beforeAll(async () => {
  store = await createBerth();
});
afterAll(async () => await store.remove());

describe('berth', () => {
  test.each([
    ['--version', /^berth \S+\n$/],
    ['version', /^Client: berth\n Version: +\S+\n/],
  ])('prints its version for %s without an engine', async (word, shown) => {
    const { code, stdout } = await store.berth([word], { env: { BERTH_NATIVE: '/nowhere' } });
    expect(stdout).toMatch(shown);
    expect(code).toBe(0);
  });

  test('shows its version as Docker does, in two parts, and one line of it to templates', async () => {
    expect((await store.berth(['version'])).stdout).toMatch(
      /^Client: berth\n Version: +\S+\n[^]+\n OS\/Arch: +linux\/\w+\n\nServer: [^]+\n Engine:\n {2}Version: +\S+\n/,
    );
    expect((await store.berth(['version', '--format', '{{.Server.Os}}'])).stdout).toBe('linux\n');
  });

  test('lists its commands, and the flags of one from the table that parses them', async () => {
    expect((await store.berth(['--help'])).stdout).toMatch(/build[\s\S]+run[\s\S]+system/);
    const { stdout, code } = await store.berth(['run', '--help']);
    expect(stdout).toContain('-p, --publish PORTS');
    expect(code).toBe(0);
  });

  test.each([
    [['compose', 'up'], 'Cannot use "berth compose": not supported yet', 'hint'],
    [['run', '--runtime', 'kata', 'x'], 'Cannot use --runtime kata: unknown or invalid runtime name: kata', 'nvidia'],
    [['run', '-p', 'x', 'y'], 'invalid argument "x" for "-p, --publish" flag: invalid containerPort: x', ''],
    [['build', '--nope', '.'], 'unknown flag: --nope', ''],
    [['build', '--shm-size', 'x', '.'], 'invalid argument "x" for "--shm-size" flag', ''],
    [['build', '--ulimit', 'x=1', '.'], 'invalid argument "x=1" for "--ulimit" flag', ''],
  ])('answers %j with exit code 125 and what is wrong', async (args, message, hint) => {
    const { code, stdout, stderr } = await store.berth(args);
    expect(stderr).toContain(`berth: ${message}`);
    expect(stderr).toContain(hint);
    expect(stdout).toBe('');
    expect(code).toBe(125);
  });

  test.each([[['image']], [[]]])('prints the help of %j on standard error, which is no fault', async (args) => {
    const { code, stdout, stderr } = await store.berth(args);
    expect([code, stdout]).toEqual([0, '']);
    expect(stderr).toMatch(/^Usage: +berth/);
  });

  test.each([
    [['build', '--secret', 'id=x', '.'], 'Cannot read the secret "x" from', ''],
    [['build', '--network', 'bogus', '.'], 'invalid argument "bogus" for "--network" flag', 'wanted one of'],
    [['build', '--output', 'type=bogus', '.'], 'invalid argument "type=bogus" for "-o, --output" flag', 'wanted'],
    [['imges'], 'unknown command: imges', 'did you mean images?'],
    [['image', 'lss'], 'unknown command: berth image lss', 'did you mean ls?'],
    [['container', 'checkpoint', 'x'], 'unknown command: berth container checkpoint', ''],
    [['ps', '--filter', 'status=gone'], `invalid argument "status=gone" for "-f, --filter" flag`, 'running'],
    [['logs', '--since', 'soon', 'x'], 'invalid argument "soon" for "--since" flag: invalid time', ''],
    [
      ['events', '--filter', 'type=bogus'],
      'invalid argument "type=bogus" for "-f, --filter" flag: invalid filter',
      'container',
    ],
    [['run', '-it', 'x'], 'Cannot attach a terminal: the input device is not a TTY', 'leave out -t'],
    [['ps', '--filter', 'bogus=x'], `Cannot filter by bogus: invalid filter 'bogus'`, 'volume'],
    [['run'], '"berth run" requires at least 1 argument', 'usage: berth run'],
    [['tag', 'a', 'b', 'c'], '"berth tag" accepts 2 arguments: got "c" as well', 'usage: berth tag'],
    [['ps', '--format', '{{.Nope}}', 'x'], '"berth ps" accepts no arguments', ''],
    [['build', '-', '-f', '-'], 'Cannot read both the context and the Dockerfile from standard input', 'hint'],
    [['build', '/no/such'], 'Cannot use /no/such as the context: path "/no/such" not found', ''],
    [['load', '-i', '/no/such'], 'Cannot read /no/such: there is no such file', ''],
    [['cp', '/a', '/b'], 'Cannot copy: must specify at least one container source', 'CONTAINER:PATH'],
    [['inspect', '--type', 'thing', 'x'], 'Cannot inspect: unknown type: "thing": must be one of container', ''],
    [['update', '--restart', 'ever', 'x'], "Cannot update: invalid restart policy: unknown policy 'ever'", ''],
    [['update', 'x'], 'you must provide one or more flags when using this command', ''],
    [['volume', 'create', '-d', 'nfs', 'x'], 'Cannot use volume driver "nfs"', 'local'],
  ])(
    'answers %j with exit code 1, as Docker does for what its daemon or its operands refuse',
    async (args, message, hint) => {
      const { code, stdout, stderr } = await store.berth(args);
      expect(stderr).toContain(`berth: ${message}`);
      expect(stderr).toContain(hint);
      expect(stdout).toBe('');
      expect(code).toBe(1);
    },
  );

  test('names a variable that it cannot use', async () => {
    const { code, stderr } = await store.berth(['ps'], { env: { BERTH_ISOLATION: 'vm' } });
    expect(stderr).toMatch(/Cannot use isolation "vm"[\s\S]*hint: use one of auto, root/);
    expect(code).toBe(125);
  });
});

describe('a link named docker', () => {
  const docker = async (...args: readonly string[]) => {
    const bin = join(store.work, 'bin');
    await mkdir(bin, { recursive: true });
    await symlink(join(store.work, 'cli/index.mjs'), join(bin, 'docker')).catch(() => undefined);
    await chmod(join(store.work, 'cli/index.mjs'), 0o755);
    const path = `${bin}:${dirname(process.execPath)}:/usr/bin:/bin`;
    return spawnSync('docker', args, {
      encoding: 'utf8',
      env: { PATH: path, HOME: store.work, BERTH_ROOT: store.root },
    });
  };

  test('is the same command', async () => {
    expect(await docker('--version')).toMatchObject({ status: 0, stdout: expect.stringMatching(/^berth \S+\n$/) });
    expect(await docker('images', '--help')).toMatchObject({ status: 0, stdout: expect.stringContaining('--digests') });
  });

  test.each([
    [['compose', 'up'], 'Cannot use "berth compose": not supported yet\nhint: start each service with berth run\n'],
    [['buildx', 'build', '.'], 'Cannot use "berth buildx": not supported yet\nhint: berth build does what'],
    [
      ['volume', 'update', 'x'],
      'Cannot use "berth volume update": not supported yet\nhint: it changes volumes of a cluster',
    ],
    [['-H', 'tcp://x', 'ps'], 'Cannot use -H: not supported yet\nhint: leave it out: berth has no daemon to reach'],
  ])('refuses %j by name, and says what to type', async (args, words) => {
    const { status, stderr } = await docker(...args);
    expect(stderr).toContain(words);
    expect(status).toBe(125);
  });
});
