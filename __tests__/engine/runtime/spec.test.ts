import { describe, expect, test } from '@jest/globals';
import {
  adjustCapabilities,
  BUILD_CAPABILITIES,
  CAPABILITIES,
  RUN_CAPABILITIES,
} from '../../../engine/runtime/capabilities.ts';
import { mergeEnvironment } from '../../../engine/runtime/environment.ts';
import { readHostFacts } from '../../../engine/runtime/host.ts';
import { resolveMounts } from '../../../engine/runtime/mounts.ts';
import { publishedPorts } from '../../../engine/runtime/ports.ts';
import { BUILD_PROFILE, MASKED_PATHS, RUN_PROFILE } from '../../../engine/runtime/profile.ts';
import { argsOf, createSpec, type SpecParts } from '../../../engine/runtime/spec.ts';

const parts: SpecParts = {
  args: ['/bin/app'],
  env: [
    ['PATH=/app/bin', 'A=1'],
    ['A=2', 'B=3'],
  ],
  cwd: '/srv',
  identity: { uid: 1000, gid: 1000, additionalGids: [44], home: '/home/app' },
  hostname: 'abc',
  network: 'own',
};
const target = {
  idMap: { kind: 'root' },
  probe: { cgroup: { mode: 'v2', controllers: ['pids', 'cpu'] }, seccomp: true },
  host: { architecture: 'amd64', kernel: '6.8', openFiles: 4096, maskedPaths: ['/proc/kcore'] },
} as const;

describe('createSpec', () => {
  test('gives run eleven capabilities and no new privileges, build fourteen and new ones', () => {
    const run = createSpec(RUN_PROFILE, parts, target).process;
    const build = createSpec(BUILD_PROFILE, parts, target).process;
    expect([run.capabilities?.bounding.length, run.noNewPrivileges]).toEqual([11, true]);
    expect([build.capabilities?.bounding.length, build.noNewPrivileges]).toEqual([14, false]);
    expect(BUILD_CAPABILITIES).toEqual(expect.arrayContaining([...RUN_CAPABILITIES]));
  });

  test('gives inheritable and ambient capabilities to nobody, and effective ones to root alone', () => {
    const user = createSpec(RUN_PROFILE, parts, target).process.capabilities;
    const root = createSpec(RUN_PROFILE, { ...parts, identity: { ...parts.identity, uid: 0 } }, target).process
      .capabilities;
    expect(user).toMatchObject({ effective: [], permitted: [], inheritable: [], ambient: [] });
    expect(root).toMatchObject({ effective: RUN_CAPABILITIES, inheritable: [], ambient: [] });
  });

  test('sets HOSTNAME and HOME beside what is given, with the last value of each', () => {
    expect(createSpec(RUN_PROFILE, parts, target).process.env).toEqual([
      'PATH=/app/bin',
      'HOSTNAME=abc',
      'A=2',
      'B=3',
      'HOME=/home/app',
    ]);
  });

  test('sets TERM and the size for a terminal only', () => {
    const { process } = createSpec(RUN_PROFILE, { ...parts, tty: { rows: 30, columns: 100 } }, target);
    expect(process.terminal).toBe(true);
    expect(process.env).toContain('TERM=xterm');
    expect(process.consoleSize).toEqual({ height: 30, width: 100 });
  });

  test('leaves limits out that this machine cannot set, and lowers the profile to what it can', () => {
    const { devices = [], ...limits } = createSpec(RUN_PROFILE, parts, target).linux.resources ?? {};
    expect(limits).toEqual({ pids: { limit: 2048 }, cpu: { shares: 1024 } });
    expect(devices[0]).toEqual({ allow: false, access: 'rwm' });
    expect(devices).toContainEqual({ allow: true, type: 'c', major: 1, minor: 3, access: 'rwm' });
    expect(devices.filter(({ type }) => type === 'b')).toEqual([]);
    const probe = { ...target.probe, cgroup: { mode: 'none', controllers: [] } };
    const bare = createSpec(RUN_PROFILE, parts, { ...target, probe });
    expect(Object.keys(bare.linux.resources ?? {})).toEqual(['devices']);
    expect(bare.process.rlimits).toContainEqual({ type: 'RLIMIT_NOFILE', soft: 1024, hard: 4096 });
  });

  test('leaves devices to the kernel in a user namespace, and to the helper everywhere else', () => {
    const ids = { firstUid: 1, uidCount: 9, firstGid: 1, gidCount: 9, newuidmap: '/a', newgidmap: '/b' };
    const { linux } = createSpec(RUN_PROFILE, parts, { ...target, idMap: { kind: 'sub', ...ids } });
    expect(linux.resources?.devices).toBeUndefined();
  });

  test('replaces a limit of the profile by one that was asked for, and says that it must hold', () => {
    const asked = { type: 'RLIMIT_NOFILE', soft: 9000, hard: 9000 };
    const spec = createSpec(RUN_PROFILE, { ...parts, rlimits: [asked] }, target);
    expect(spec.process.rlimits).toEqual([{ type: 'RLIMIT_CORE', soft: 0, hard: 0 }, asked]);
    expect(spec.annotations).toEqual({ 'berth.requested-rlimits': 'RLIMIT_NOFILE' });
  });

  test('makes a network namespace unless the host is used', () => {
    const types = (network: 'own' | 'host'): readonly string[] =>
      createSpec(RUN_PROFILE, { ...parts, network }, target).linux.namespaces.map(({ type }) => type);
    expect(types('own')).toContain('network');
    expect(types('host')).not.toContain('network');
  });

  test('mounts a parent before what lies in it', () => {
    const mount = (destination: string) => ({ destination, type: 'tmpfs', source: 'tmpfs', options: [] });
    const spec = createSpec(RUN_PROFILE, { ...parts, mounts: [mount('/a/b/c'), mount('/a')] }, target);
    expect(spec.mounts.slice(-2).map(({ destination }) => destination)).toEqual(['/a', '/a/b/c']);
  });
});

describe('argsOf', () => {
  const config = { Entrypoint: ['python'], Cmd: ['app.py'] };
  test.each([
    ['nothing', {}, ['python', 'app.py']],
    ['a command', { command: ['x'] }, ['python', 'x']],
    ['an entrypoint, which drops CMD', { entrypoint: ['sh'] }, ['sh']],
    ['both', { entrypoint: ['sh'], command: ['-c', 'ls'] }, ['sh', '-c', 'ls']],
    ['an empty entrypoint', { entrypoint: [], command: ['ls'] }, ['ls']],
  ])('follows Docker for %s', (_name, given, args) => {
    expect(argsOf(config, given)).toEqual(args);
  });
});

describe('adjustCapabilities', () => {
  test.each([
    ['adds by any spelling', ['net_admin'], [], [...RUN_CAPABILITIES, 'CAP_NET_ADMIN']],
    ['lets an added one win over a dropped one', ['CHOWN'], ['CAP_CHOWN'], RUN_CAPABILITIES],
    ['drops all but the added ones', ['NET_RAW'], ['all'], ['CAP_NET_RAW']],
    ['adds all but the dropped ones', ['ALL'], ['SYS_ADMIN'], CAPABILITIES.filter((name) => name !== 'CAP_SYS_ADMIN')],
  ])('%s', (_name, add, drop, expected) => {
    expect([...adjustCapabilities(RUN_CAPABILITIES, add, drop)].sort()).toEqual([...expected].sort());
  });

  test('suggests the name that was meant', () => {
    expect(() => adjustCapabilities([], ['NET_ADMN'])).toThrow(
      expect.objectContaining({ hint: 'did you mean NET_ADMIN?' }),
    );
  });
});

test('mergeEnvironment takes a variable away when it is named without a value', () => {
  expect(mergeEnvironment(['A=1', 'B=2'], ['A', 'C='])).toEqual(['B=2', 'C=']);
});

test('publishedPorts adds exposed ports that nobody published, on a free one', () => {
  const asked = { hostAddress: '127.0.0.1', hostPort: 80, containerPort: 8000, protocol: 'tcp' } as const;
  const config = { ExposedPorts: { '8000/tcp': {}, '9000': {}, '53/udp': {} } };
  expect(publishedPorts({ image: 'x', ports: [asked], publishAll: true }, config)).toEqual([
    asked,
    { hostAddress: '', hostPort: 0, containerPort: 9000, protocol: 'tcp' },
    { hostAddress: '', hostPort: 0, containerPort: 53, protocol: 'udp' },
  ]);
});

describe('resolveMounts', () => {
  const place = { root: '/store', idMapName: 'root' };

  test('makes volumes of the image that nobody mounted on anonymous ones', async () => {
    const config = { Volumes: { '/data/': {}, '/cache': {} } };
    const found = await resolveMounts([{ type: 'bind', source: '/tmp', target: '/cache' }], config, place);
    const [volume] = found.volumes;
    expect(found.volumes).toEqual([
      { name: expect.stringMatching(/^[0-9a-f]{64}$/), target: '/data', anonymous: true, invented: true },
    ]);
    const options = ['rbind', 'rprivate', 'rw'];
    expect(found.mounts).toEqual([
      { destination: '/cache', type: 'bind', source: '/tmp', options },
      { destination: '/data', type: 'bind', source: `/store/volumes/root/${volume?.name}/_data`, options },
    ]);
  });

  test('a named volume lies where its id map keeps it', async () => {
    const mounts = [{ type: 'volume', source: 'models', target: '/m', readonly: true, nocopy: true }] as const;
    const found = await resolveMounts(mounts, {}, { ...place, idMapName: 'sub-1-2' });
    expect(found.volumes).toMatchObject([{ name: 'models', anonymous: false, nocopy: true }]);
    expect(found.mounts).toMatchObject([
      { source: '/store/volumes/sub-1-2/models/_data', options: ['rbind', 'rprivate', 'ro'] },
    ]);
  });

  test.each([
    ['a volume whose name leads elsewhere', [{ type: 'volume', source: '../x', target: '/m' }], 'INVALID_NAME'],
    [
      'two mounts on one path',
      [
        { type: 'tmpfs', target: '/m' },
        { type: 'tmpfs', target: '/m/' },
      ],
      'DUPLICATE_MOUNT',
    ],
    ['a mount on the root', [{ type: 'tmpfs', target: '/' }], 'MOUNT_REFUSED'],
    ['a missing source', [{ type: 'bind', source: '/no/such/dir', target: '/m' }], 'MOUNT_SOURCE_MISSING'],
  ] as const)('refuses %s', async (_name, mounts, code) => {
    await expect(resolveMounts(mounts, {}, place)).rejects.toMatchObject({ code });
  });
});

test('readHostFacts expands a pattern to what the machine has', async () => {
  const { maskedPaths } = readHostFacts([...MASKED_PATHS, '/proc/irq*/x']);
  expect(maskedPaths).toContain('/proc/kcore');
  expect(maskedPaths.every((path) => !path.includes('*'))).toBe(true);
});
