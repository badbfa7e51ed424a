import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseDeviceRule } from '../../../src/cli/values/device.ts';
import { type Berth, createBerth, NO_CONTAINERS, type Outcome } from '../../helpers/berth.ts';

const BUSYBOX = '/bin/busybox';
const reason = NO_CONTAINERS ?? (existsSync(BUSYBOX) ? undefined : `no ${BUSYBOX}: install busybox-static`);

(reason === undefined ? describe : describe.skip)(`what containers share${reason ? `: ${reason}` : ''}`, () => {
  let store: Berth;
  const berth = (...args: readonly string[]): Promise<Outcome> => store.berth(args);

  beforeAll(async () => {
    store = await createBerth();
    const context = join(store.work, 'context');
    await mkdir(context);
    await copyFile(BUSYBOX, join(context, 'busybox'));
    const install = 'RUN ["/bin/busybox", "--install", "-s", "/bin"]';
    await writeFile(join(context, 'Dockerfile'), `FROM scratch\nCOPY busybox /bin/\n${install}\nEXPOSE 8000\n`);
    const built = await berth('build', '-q', '-t', 'box', '-t', 'local.test/box:1', context);
    if (built.code !== 0) throw new Error(`the image of these tests was not built: ${built.stderr}`);
  });

  afterAll(async () => {
    const { stdout } = await berth('ps', '-aq', '--no-trunc');
    const ids = stdout.split('\n').filter(Boolean);
    if (ids.length > 0) await berth('rm', '-f', ...ids);
    await store.remove();
  });

  test('a volume without a name goes with the last container that has it', async () => {
    await berth(
      'run',
      '-d',
      '--rm',
      '--name',
      'first',
      '-v',
      '/data',
      'box',
      'sh',
      '-c',
      'echo kept > /data/a; sleep 1000',
    );
    await berth('run', '-d', '--rm', '--name', 'second', '--volumes-from', 'first', 'box', 'sleep', '1000');
    const volumes = async (): Promise<number> => (await berth('volume', 'ls', '-q')).stdout.split('\n').length - 1;
    await berth('stop', '-t', '0', 'first');
    expect((await berth('exec', 'second', 'cat', '/data/a')).stdout).toBe('kept\n');
    expect(await volumes()).toBe(1);
    await berth('stop', '-t', '0', 'second');
    expect(await volumes()).toBe(0);
    const acts = ['events', '--since', '10m', '--until', '0s', '-f', 'type=volume', '--format', '{{.Action}}'];
    expect((await berth(...acts)).stdout).toBe('create\nmount\nmount\nunmount\nunmount\ndestroy\n');
  }, 60_000);

  test('commit lets a running container stand still meanwhile; run joins the streams that were named', async () => {
    const script = 'echo out; echo err >&2; echo written > /file; sleep 1000';
    const rule = ['--device-cgroup-rule', 'c 42:* rm'];
    await berth('run', '-d', '--name', 'server', '--network', 'none', '-p', '80', ...rule, 'box', 'sh', '-c', script);
    const { code, stdout: id } = await berth('commit', 'server', 'box:changed');
    expect([code, id]).toEqual([0, expect.stringMatching(/^sha256:[0-9a-f]{64}\n$/)]);
    expect((await berth('inspect', '-f', '{{.State.Status}}', 'server')).stdout).toBe('running\n');
    const acts = ['events', '--since', '10m', '--until', '0s', '-f', 'container=server', '--format', '{{.Action}}'];
    expect((await berth(...acts)).stdout).toBe('create\nstart\npause\nunpause\n');
    const alone = await berth('run', '--rm', '-a', 'stderr', 'box:changed', 'sh', '-c', 'echo out; cat /file >&2');
    expect(alone).toEqual({ code: 0, stdout: '', stderr: 'written\n' });

    const named = async (filter: string): Promise<string> =>
      (await berth('ps', '-a', '-f', filter, '--format', '{{.Names}}')).stdout;
    const found = await Promise.all(['network=none', 'expose=8000', 'expose=7000-8001/tcp', 'publish=1'].map(named));
    expect(found).toEqual(['server\n', 'server\n', 'server\n', '']);
    for (const filter of ['publish=x', 'expose=80/sctp']) {
      expect((await berth('ps', '-f', filter)).stderr).toContain(`invalid filter '${filter}'`);
    }
  }, 60_000);

  test('images tell of themselves in the journal', async () => {
    await berth('tag', 'box', 'local.test/box:2');
    expect((await berth('rmi', '--no-prune', 'local.test/box:2')).code).toBe(0);
    const acts = ['events', '--since', '10m', '--until', '0s', '-f', 'type=image'];
    const told = await berth(...acts, '--format', '{{.Action}} {{.Actor.Attributes.name}}');
    expect(told.stdout).toBe('tag local.test/box:2\nuntag local.test/box:2\n');
    expect((await berth('push', '-a', 'local.test/box:1')).stderr).toContain("tag can't be used with --all-tags");
    expect((await berth('push', '-a', 'local.test/ghost')).stderr).toContain('does not exist locally');
  });
});

describe('parseDeviceRule', () => {
  test.each([
    ['c 42:* rmw', { type: 'c', major: 42, access: 'rmw' }],
    ['b 8:0 r', { type: 'b', major: 8, minor: 0, access: 'r' }],
    ['a *:* m', { type: 'a', access: 'm' }],
  ])('reads %s', (text, rule) => expect(parseDeviceRule(text)).toEqual(rule));

  test.each(['', 'c 42 rmw', 'd 1:1 r', 'c 1:1 x', 'c 1:1 rmwr', 'c 99999999999:1 r'])('refuses %j', (text) =>
    expect(() => parseDeviceRule(text)).toThrow(/invalid/),
  );
});
