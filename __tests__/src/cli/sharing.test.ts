import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseDeviceRule } from '../../../src/cli/values/device.ts';
import { type Berth, createBerth, NO_CONTAINERS, type Outcome } from '../../helpers/berth.ts';
import { sharedLibrary } from '../../helpers/shared-library.ts';

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

  test('devices of a CDI file come by name and by --gpus, with their libraries where programs look for them', async () => {
    const library = join(store.work, 'libcuda');
    await writeFile(library, sharedLibrary('libcuda.so.1'));
    const folder = join(store.work, 'cdi');
    await mkdir(folder);
    await writeFile(join(folder, 'cards.json'), cards(library));
    const env = { BERTH_CDI_FOLDERS: folder };
    const script = [
      'stat -c "%n %t:%T %u %a" /dev/nvidia0 /dev/nvidiactl',
      'ls /usr/lib64 /usr/local/nvidia/lib64 | tr "\\n" " "',
      'env | grep -E "^(CARD|LD_LIBRARY_PATH)" | sort',
      '(echo x > /dev/nvidiactl) 2> /dev/null || echo full',
      '(echo x > /usr/lib64/libcuda.so.1) 2> /dev/null || echo read-only',
    ].join('; ');
    const run = await store.berth(
      ['run', '--name', 'cards', '--gpus', 'all', '-u', '1000', 'box', 'sh', '-c', script],
      { env },
    );
    expect(run.stdout.split('\n')).toEqual([
      '/dev/nvidia0 1:5 1000 666',
      '/dev/nvidiactl 1:7 1000 660',
      '/usr/lib64: libcuda.so libcuda.so.1 libcuda.so.550  /usr/local/nvidia/lib64: libcuda.so.1 CARD=any',
      'LD_LIBRARY_PATH=/usr/local/nvidia/lib64',
      'full',
      'read-only',
      '',
    ]);
    const shown = '{{json .HostConfig.DeviceRequests}}|{{json .Config.Env}}';
    expect((await berth('inspect', '-f', shown, 'cards')).stdout).toMatch(
      /^\[\{"Driver":"","Count":-1,"DeviceIDs":null,"Capabilities":\[\["gpu"\]\],"Options":\{\}\}\]\|(?!.*CARD)/,
    );
    await store.berth(['run', '-d', '--name', 'one', '--device', 'nvidia.com/gpu=0', 'box', 'sleep', '1000'], { env });
    expect((await berth('exec', 'one', 'env')).stdout).toContain('CARD=any\n');
    const missing = await store.berth(['run', '--rm', '--device', 'nvidia.com/gpu=7', 'box', 'true'], { env });
    expect(missing).toMatchObject({ code: 125, stderr: expect.stringContaining('unresolvable CDI devices') });
    const none = await store.berth(['run', '--rm', '--gpus', 'all', 'box', 'true'], {
      env: { BERTH_CDI_FOLDERS: store.work },
    });
    expect(none).toMatchObject({
      code: 125,
      stderr: expect.stringContaining('could not select device driver "" with capabilities: [[gpu]]'),
    });
    const info = await store.berth(['info'], { env });
    expect(info.stdout).toContain('Devices by name: nvidia.com/gpu=0, nvidia.com/gpu=all\n');
    await berth('rm', '-f', 'cards', 'one');
  }, 60_000);

  test('volumes of a folder elsewhere and of memory; what containers and images take', async () => {
    const folder = join(store.work, 'elsewhere');
    await mkdir(folder);
    await berth('volume', 'create', '-o', 'type=none', '-o', 'o=bind', '-o', `device=${folder}`, 'there');
    await berth('volume', 'create', '-o', 'type=tmpfs', '-o', 'device=tmpfs', '-o', 'o=size=1m', 'memory');
    expect((await berth('volume', 'inspect', '-f', '{{json .Options}}', 'memory')).stdout).toBe(
      '{"type":"tmpfs","device":"tmpfs","o":"size=1m"}\n',
    );
    const script =
      'echo made > /there/made; df /memory | tail -n1 | tr -s " " | cut -d" " -f2; head -c 200000 /dev/zero > /f; sleep 1000';
    const volumes = ['-v', 'there:/there', '-v', 'memory:/memory'];
    await berth('run', '-d', '--name', 'user', ...volumes, 'box', 'sh', '-c', script);
    const second = await berth('run', '--rm', '-v', 'memory:/m', 'box', 'true');
    expect(second).toMatchObject({
      code: 125,
      stderr: expect.stringContaining('volume memory: it is a tmpfs, and container user runs with it'),
    });
    expect((await berth('run', '--rm', '-v', 'there:/t:ro', 'box', 'cat', '/t/made')).stdout).toBe('made\n');
    expect((await berth('logs', 'user')).stdout).toBe('1024\n');
    const [written = 0, together = 0] = (
      await berth('inspect', '-s', '-f', '{{.SizeRw}} {{.SizeRootFs}}', 'user')
    ).stdout
      .split(' ')
      .map(Number);
    expect(written).toBeGreaterThanOrEqual(200_000);
    expect(together).toBeGreaterThan(written);
    const sizes = await berth('ps', '-s', '--format', 'table {{.Names}}\t{{.Size}}');
    expect(sizes.stdout).toMatch(/^NAMES +SIZE\nuser +\d+kB \(virtual \d+(\.\d+)?MB\)\n$/);
    const each = (await berth('system', 'df', '-v')).stdout;
    expect(each).toMatch(/^Images space usage:\n\nREPOSITORY .*CONTAINERS\nbox .* 1\n/);
    expect(each).toMatch(/\nLocal Volumes space usage:\n\n(.*\n)*memory +1 +/);
    expect(each).toMatch(
      /\nBuild cache usage: 0B\n\n.* CREATED +LAST USED +SHARED\n(.*\n)*[0-9a-f]{12} +regular +.* ago +.* ago +true\n/,
    );
    expect((await berth('volume', 'rm', 'there')).stderr).toContain('volume is in use');
    await berth('rm', '-f', 'user');
    expect((await berth('volume', 'rm', 'there', 'memory')).stdout).toBe('there\nmemory\n');
    expect(existsSync(join(folder, 'made'))).toBe(true);
  }, 60_000);

  test('a part of the build cache goes by its age and size', async () => {
    const records = async (): Promise<number> =>
      Number((await berth('system', 'df', '-v', '--format', '{{len .BuildCache}}')).stdout);
    const before = await records();
    await berth('builder', 'prune', '-f', '--filter', 'until=1h');
    await berth('builder', 'prune', '-f', '--keep-storage', '1GB', '--min-free-space', '1');
    expect(await records()).toBe(before);
    expect((await berth('builder', 'prune', '-f', '--filter', 'id=x')).stderr).toContain("invalid filter 'id'");
    await berth('builder', 'prune', '-f', '--filter', 'until=0s');
    expect(await records()).toBe(0);
  });

  test('commit lets a running container stand still meanwhile; run joins the streams that were named', async () => {
    const script = 'echo out; echo err >&2; echo written > /file; sleep 1000';
    const rule = ['--device-cgroup-rule', 'c 42:* rm'];
    await berth('run', '-d', '--name', 'server', '--network', 'none', '-p', '80', ...rule, 'box', 'sh', '-c', script);
    const { code, stdout: id } = await berth('commit', 'server', 'box:changed');
    expect([code, id]).toEqual([0, expect.stringMatching(/^sha256:[0-9a-f]{64}\n$/)]);
    expect((await berth('inspect', '-f', '{{.State.Status}}', 'server')).stdout).toBe('running\n');
    const acts = ['events', '--since', '10m', '--until', '0s', '-f', 'container=server', '--format', '{{.Action}}'];
    expect((await berth(...acts)).stdout).toBe('create\nstart\npause\nunpause\ncommit\n');
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
    expect(told.stdout).toMatch(
      /^create sha256:[0-9a-f]{64}\ntag box:changed\ntag local\.test\/box:2\nuntag local\.test\/box:2\n$/,
    );
    const [archive, files] = ['image.tar', 'files.tar'].map((name) => join(store.work, name)) as [string, string];
    const container = (await berth('create', 'box', 'true')).stdout.trim();
    await berth('export', '-o', files, container);
    await berth('save', '-o', archive, 'box');
    await berth('load', '-q', '-i', archive);
    await berth('import', files, 'local.test/flat:1');
    await berth('rmi', 'local.test/flat:1');
    await berth('rm', container);
    const later = await berth(...acts, '--format', '{{.Action}} {{.Actor.Attributes.name}}');
    expect(later.stdout.slice(told.stdout.length)).toMatch(
      // `save box` takes each image of that name, in no order.
      /^save box\n(?=.*\n?load box:changed\n)(?=.*\n?load box:latest\n)load .*\nload .*\nimport local\.test\/flat:1\nuntag local\.test\/flat:1\ndelete sha256:\w+\n$/,
    );
    expect((await berth('push', '-a', 'local.test/box:1')).stderr).toContain("tag can't be used with --all-tags");
    expect((await berth('push', '-a', 'local.test/ghost')).stderr).toContain('does not exist locally');
  });

  test('a prune leaves images that its filters or its kind do not mean', async () => {
    const container = (await berth('create', 'box', 'true')).stdout.trim();
    const id = (await berth('commit', container)).stdout.trim();
    await berth('container', 'prune', '-f');
    const isThere = async (): Promise<boolean> => (await berth('image', 'inspect', id)).code === 0;
    const prunes = [
      ['builder', 'prune', '-af'],
      ['image', 'prune', '-f', '--filter', 'until=240h'],
      ['image', 'prune', '-af', '--filter', 'label=none'],
      ['system', 'prune', '-af', '--filter', 'until=240h'],
      ['system', 'prune', '-af', '--volumes', '--filter', 'label=none'],
    ];
    for (const words of prunes) {
      expect([words, (await berth(...words)).code, await isThere()]).toEqual([words, 0, true]);
    }
    expect((await berth('system', 'prune', '-f', '--volumes', '--filter', 'until=1h')).stderr).toContain('--volumes');
    expect((await berth('image', 'prune', '-f')).stdout).toContain(`Deleted: ${id}`);
    expect(await isThere()).toBe(false);
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

/** A CDI file as NVIDIA's toolkit writes them, whose cards are devices that every machine has. */
function cards(library: string): string {
  const hook = (...args: readonly string[]): Record<string, unknown> => ({
    hookName: 'createContainer',
    path: '/usr/bin/nvidia-cdi-hook',
    args: ['nvidia-cdi-hook', ...args],
  });
  return JSON.stringify({
    cdiVersion: '0.6.0',
    kind: 'nvidia.com/gpu',
    devices: ['0', 'all'].map((name) => ({
      name,
      containerEdits: { deviceNodes: [{ path: '/dev/nvidia0', hostPath: '/dev/zero' }] },
    })),
    containerEdits: {
      env: ['CARD=any'],
      deviceNodes: [{ path: '/dev/nvidiactl', hostPath: '/dev/full', fileMode: 0o660 }],
      mounts: [
        { hostPath: library, containerPath: '/usr/lib64/libcuda.so.550', options: ['ro', 'nosuid', 'nodev', 'bind'] },
      ],
      hooks: [
        hook('create-symlinks', '--link', 'libcuda.so.1::/usr/lib64/libcuda.so'),
        hook('update-ldcache', '--folder', '/usr/lib64'),
      ],
    },
  });
}
