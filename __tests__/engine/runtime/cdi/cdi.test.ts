import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeDriver } from '../../../../engine/runtime/cdi/driver.ts';
import { doHooks } from '../../../../engine/runtime/cdi/hooks.ts';
import { deviceEdits } from '../../../../engine/runtime/cdi/index.ts';
import { sonameOf } from '../../../../engine/runtime/cdi/library.ts';
import { readRegistry } from '../../../../engine/runtime/cdi/registry.ts';
import { parseDeviceName, parseSpec } from '../../../../engine/runtime/cdi/spec.ts';
import { sharedLibrary } from '../../../helpers/shared-library.ts';

const OWNER = { uid: 1000, gid: 1001 };
const ALL = { count: -1, devices: [], capabilities: ['gpu'] };

let folder = '';
let number = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-cdi-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** A folder with these files. */
async function filesIn(files: Readonly<Record<string, unknown>>): Promise<string> {
  number += 1;
  const own = join(folder, String(number));
  await mkdir(own);
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(own, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return own;
}

function spec(edits: unknown, more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return { cdiVersion: '0.6.0', kind: 'vendor.com/card', devices: [{ name: 'one', containerEdits: edits }], ...more };
}

describe('a CDI file', () => {
  test.each([
    ['a newer version', { ...spec({}), cdiVersion: '2.0.0' }, /cdiVersion 2\.0\.0 is not known/],
    ['a kind without a class', { ...spec({}), kind: 'vendor.com' }, /kind "vendor\.com" is not of the form/],
    ['no devices', { ...spec({}), devices: [] }, /it has no devices/],
    ['a field that nobody knows', { ...spec({}), extra: 1 }, /extra is not known/],
    ['a field of edits that nobody knows', spec({ deviceNodez: [] }), /device "one": .*deviceNodez is not known/],
    ['a variable without a value', spec({ env: ['A'] }), /"A" is no environment variable/],
    ['a node of no type', spec({ deviceNodes: [{ path: '/dev/x', type: 'q' }] }), /type "q" is not known/],
    [
      'permissions that are none',
      spec({ deviceNodes: [{ path: '/dev/x', permissions: 'rx' }] }),
      /not some of r, w and m/,
    ],
    ['a mount without a source', spec({ mounts: [{ containerPath: '/x' }] }), /hostPath is missing/],
    ['a hook at no known point', spec({ hooks: [{ hookName: 'never', path: '/x' }] }), /hook "never" is not known/],
    ['a number that is none', spec({ additionalGids: ['5'] }), /additionalGids\[0\] is no whole number/],
    ['a list that is none', spec({ env: 'A=1' }), /env is no list/],
    ['no object at all', [], /the document is no object/],
  ])('with %s is refused by the name of what is wrong', (_what, document, message) => {
    expect(() => parseSpec(document)).toThrow(message);
  });

  test('names a device twice at most once', () => {
    const one = { name: 'one', containerEdits: {} };
    expect(() => parseSpec({ ...spec({}), devices: [one, one] })).toThrow(/device "one" is there twice/);
  });

  test.each([
    ['nvidia.com/gpu=all', { kind: 'nvidia.com/gpu', name: 'all' }],
    ['nvidia.com/gpu=0:1', { kind: 'nvidia.com/gpu', name: '0:1' }],
    ['/dev/null', undefined],
    ['gpu=0', undefined],
    ['vendor.com/a/b=0', undefined],
    ['vendor.com/card=', undefined],
  ])('%s as the name of a device', (text, parts) => {
    expect(parseDeviceName(text)).toEqual(parts);
  });
});

describe('the files of a machine', () => {
  test('a later folder counts before an earlier one, and both forms are read', async () => {
    const first = await filesIn({ 'a.json': spec({ env: ['FROM=first'] }), 'b.txt': 'no file of ours' });
    const second = await filesIn({
      'a.yaml':
        'cdiVersion: 0.5.0\nkind: vendor.com/card\ndevices:\n- name: one\n  containerEdits:\n    env: [FROM=second]\n',
    });
    const edits = await deviceEdits({ deviceNames: ['vendor.com/card=one'], gpus: [] }, OWNER, [first, second]);
    expect(edits.env).toEqual(['FROM=second']);
  });

  test('what is wrong with one does not touch the others, and a name in two files of one folder is nobody’s', async () => {
    const own = await filesIn({
      'a.json': spec({}),
      'b.json': spec({}),
      'c.json': '{',
      'd.json': { ...spec({}), kind: 'vendor.com/other' },
    });
    await symlink('/dev/null', join(own, 'e.json'));
    const { devices, problems } = await readRegistry([own, '/no/such/folder']);
    expect([...devices.keys()]).toEqual(['vendor.com/other=one']);
    expect(problems).toEqual([
      expect.stringContaining('c.json: '),
      expect.stringContaining('e.json: it is no file'),
      expect.stringMatching(/vendor\.com\/card=one stands in .*a\.json and in .*b\.json/),
    ]);
  });
});

describe('the edits of a device', () => {
  const edit = async (edits: unknown, more: Readonly<Record<string, unknown>> = {}): ReturnType<typeof deviceEdits> =>
    await deviceEdits({ deviceNames: ['vendor.com/card=one'], gpus: [] }, OWNER, [
      await filesIn({ 'a.json': spec(edits, more) }),
    ]);

  test('a node is looked up on the host, belongs to the container’s user and may be used', async () => {
    const { nodes, rules } = await edit({
      deviceNodes: [
        { path: '/dev/card0', hostPath: '/dev/null', permissions: 'rw' },
        { path: '/dev/card1', type: 'c', major: 10, minor: 3, fileMode: 0o600, uid: 0, gid: 5 },
      ],
    });
    expect(nodes).toEqual([
      { path: '/dev/card0', type: 'c', major: 1, minor: 3, fileMode: 0o666, uid: 1000, gid: 1001 },
      { path: '/dev/card1', type: 'c', major: 10, minor: 3, fileMode: 0o600, uid: 0, gid: 5 },
    ]);
    expect(rules).toEqual([
      { allow: true, type: 'c', major: 1, minor: 3, access: 'rw' },
      { allow: true, type: 'c', major: 10, minor: 3, access: 'rwm' },
    ]);
  });

  test('what stands beside the devices comes once, before their own', async () => {
    const own = await filesIn({
      'a.json': {
        ...spec({}),
        devices: ['one', 'two'].map((name) => ({ name, containerEdits: { env: [`CARD=${name}`] } })),
        containerEdits: { env: ['ANY=1'], additionalGids: [0, 44, 44] },
      },
    });
    const names = ['vendor.com/card=one', 'vendor.com/card=two'];
    const edits = await deviceEdits({ deviceNames: names, gpus: [] }, OWNER, [own]);
    expect(edits.env).toEqual(['ANY=1', 'CARD=one', 'CARD=two']);
    expect(edits.additionalGids).toEqual([44]);
  });

  test('a mount is a bind unless it says otherwise', async () => {
    const { mounts } = await edit({
      mounts: [{ hostPath: '/etc/hostname', containerPath: '/a/../b/', options: ['ro'] }],
    });
    expect(mounts).toEqual([{ destination: '/b', type: 'bind', source: '/etc/hostname', options: ['rbind', 'ro'] }]);
  });

  test.each([
    [{ deviceNodes: [{ path: '/dev/no-such-card' }] }, 'there is no /dev/no-such-card on this machine'],
    [{ deviceNodes: [{ path: '/dev/x', hostPath: '/etc/hostname' }] }, '/etc/hostname is no device node'],
    [{ deviceNodes: [{ path: '/etc/x', hostPath: '/dev/null' }] }, 'its node /etc/x is not below /dev'],
    [{ deviceNodes: [{ path: '/dev/x', hostPath: '/dev/null', type: 'b' }] }, '/dev/null is of type c, not b'],
    [{ mounts: [{ hostPath: '/no/such/file', containerPath: '/x' }] }, 'there is no /no/such/file on this machine'],
    [{ mounts: [{ hostPath: '/etc', containerPath: '/' }] }, 'its mount on "/" has no absolute path below /'],
    [{ mounts: [{ hostPath: 'x', containerPath: '/x', type: 'nfs' }] }, 'its mount of type nfs on /x is not done'],
    [{ intelRdt: { closID: 'x' } }, 'intelRdt is not done'],
    [
      { hooks: [{ hookName: 'prestart', path: '/usr/bin/vendor-hook', args: ['vendor-hook', 'go'] }] },
      'its prestart hook is not done: /usr/bin/vendor-hook go',
    ],
  ])('%j is refused with its reason', async (edits, reason) => {
    await expect(edit(edits)).rejects.toMatchObject({
      code: 'DEVICE_REFUSED',
      message: `Cannot add device vendor.com/card=one: ${reason}`,
    });
  });
});

describe('hooks of NVIDIA’s toolkit', () => {
  test('links and the names that ldconfig would make are mounts of the same files', async () => {
    const own = await filesIn({});
    await writeFile(join(own, 'cuda'), sharedLibrary('libcuda.so.1'));
    await writeFile(join(own, 'smi'), 'program');
    const options = ['ro', 'bind'];
    const mounts = [
      { hostPath: join(own, 'cuda'), containerPath: '/usr/lib64/libcuda.so.550.54', options },
      { hostPath: join(own, 'smi'), containerPath: '/usr/bin/nvidia-smi', options },
      { hostPath: own, containerPath: '/opt/firmware', options },
    ];
    const hook = (path: string, ...args: readonly string[]): Parameters<typeof doHooks>[0][number] => ({
      hookName: 'createContainer',
      path,
      args,
    });
    const work = await doHooks(
      [
        hook(
          '/usr/bin/nvidia-ctk',
          'nvidia-ctk',
          'hook',
          'create-symlinks',
          '--link',
          'libcuda.so.1::/usr/lib64/libcuda.so',
        ),
        hook(
          '/usr/bin/nvidia-cdi-hook',
          'nvidia-cdi-hook',
          'create-symlinks',
          '--link=../../opt/firmware/smi::/usr/bin/smi',
        ),
        hook('/usr/bin/nvidia-cdi-hook', 'nvidia-cdi-hook', 'create-symlinks', '--link', 'nowhere::/usr/bin/dangling'),
        hook('/usr/bin/nvidia-cdi-hook', 'nvidia-cdi-hook', 'update-ldcache', '--folder', '/usr/lib64'),
        hook('/usr/bin/nvidia-cdi-hook', 'nvidia-cdi-hook', 'enable-cuda-compat', '--host-driver-version=550.54'),
        hook('/usr/bin/nvidia-cdi-hook', 'nvidia-cdi-hook', 'disable-device-node-modification'),
      ],
      mounts,
    );
    const places = work.mounts.map(({ hostPath, containerPath }) => [containerPath, hostPath.replace(own, 'OWN')]);
    expect(places).toEqual([
      ['/usr/lib64/libcuda.so', 'OWN/cuda'],
      ['/usr/bin/smi', 'OWN/smi'],
      ['/usr/lib64/libcuda.so.1', 'OWN/cuda'],
      ['/usr/local/nvidia/lib64/libcuda.so.1', 'OWN/cuda'],
    ]);
    expect(work).toMatchObject({ libraries: '/usr/local/nvidia/lib64', driver: '550.54', warnings: [] });
  });

  test('a link to a device is named in a warning', async () => {
    const args = ['nvidia-ctk', 'hook', 'create-symlinks', '--link', '../card1::/dev/dri/by-path/pci-0-card'];
    const hook = { hookName: 'createContainer', path: '/usr/bin/nvidia-ctk', args };
    const work = await doHooks([hook], [], ['/dev/dri/card1']);
    expect(work.warnings).toEqual([
      '/dev/dri/by-path/pci-0-card is not made: it would be a link to the device /dev/dri/card1',
    ]);
  });

  test.each([
    ['another mode', ['nvidia-cdi-hook', 'chmod', '--mode', '777', '--path', '/dev/dri']],
    ['a newer act', ['nvidia-cdi-hook', 'do-more']],
  ])('%s is refused', async (_what, args) => {
    const hook = { hookName: 'createContainer', path: '/usr/bin/nvidia-cdi-hook', args };
    await expect(doHooks([hook], [])).rejects.toThrow(/its createContainer hook is not done/);
  });

  test.each([
    ['a library', sharedLibrary('libnvidia-ml.so.1'), 'libnvidia-ml.so.1'],
    ['a library that is cut off', sharedLibrary('libx.so.1').subarray(0, 130), undefined],
    ['a text', Buffer.from('hello'), undefined],
    ['a name with a slash', sharedLibrary('../../etc/passwd'), undefined],
  ])('the name of %s', async (_what, content, name) => {
    const own = await filesIn({});
    await writeFile(join(own, 'lib'), content);
    expect(await sonameOf(join(own, 'lib'))).toBe(name);
  });
});

describe('--gpus', () => {
  const cards = async (names = ['0', '1', 'all', 'GPU-1']): Promise<readonly string[]> => [
    await filesIn({
      'nvidia.json': {
        ...spec({}),
        kind: 'nvidia.com/gpu',
        devices: names.map((name) => ({ name, containerEdits: { env: [`CARD_${name}=1`] } })),
      },
    }),
  ];

  test.each([
    ['all', ALL, ['CARD_all=1']],
    ['two', { ...ALL, count: 2 }, ['CARD_0=1', 'CARD_1=1']],
    ['one by its number', { ...ALL, count: 0, devices: ['1'] }, ['CARD_1=1']],
    ['one by its UUID', { ...ALL, count: 0, devices: ['GPU-1'] }, ['CARD_GPU-1=1']],
    ['one by its whole name', { ...ALL, count: 0, devices: ['nvidia.com/gpu=0'] }, ['CARD_0=1']],
    ['none', { ...ALL, count: 0 }, []],
  ])('%s', async (_what, request, env) => {
    expect((await deviceEdits({ deviceNames: [], gpus: [request] }, OWNER, await cards())).env).toEqual(env);
  });

  test.each([
    [['all', '3', '1'], 1, ['CARD_1=1']],
    [['all', 'GPU-b', 'GPU-a'], 1, ['CARD_GPU-b=1']],
  ])('of %j a number takes the first', async (names, count, env) => {
    const asked = { deviceNames: [], gpus: [{ ...ALL, count }] };
    expect((await deviceEdits(asked, OWNER, await cards(names))).env).toEqual(env);
    const more = { deviceNames: [], gpus: [{ ...ALL, count: 3 }] };
    await expect(deviceEdits(more, OWNER, await cards(names))).rejects.toThrow(/unresolvable CDI devices/);
  });

  test.each([
    ['more than there are', { ...ALL, count: 3 }, /unresolvable CDI devices nvidia\.com\/gpu=2$/],
    [
      'a number and names',
      { ...ALL, count: 1, devices: ['0'] },
      /cannot set both Count and DeviceIDs on device request/,
    ],
    [
      'another driver',
      { ...ALL, driver: 'amd' },
      /could not select device driver "amd" with capabilities: \[\[gpu\]\]/,
    ],
    [
      'what no card can',
      { ...ALL, capabilities: ['fly', 'gpu'] },
      /could not select device driver "" with capabilities: \[\[fly gpu\]\]/,
    ],
  ])('%s: Docker’s error', async (_what, request, message) => {
    await expect(deviceEdits({ deviceNames: [], gpus: [request] }, OWNER, await cards())).rejects.toMatchObject({
      code: 'DEVICE_REFUSED',
      message: expect.stringMatching(message),
    });
  });

  test('says what is wrong with the file of a device that is not found', async () => {
    const own = await filesIn({ 'nvidia.yaml': 'cdiVersion: [' });
    const asked = deviceEdits({ deviceNames: ['nvidia.com/gpu=all'], gpus: [] }, OWNER, [own]);
    await expect(asked).rejects.toMatchObject({ hint: expect.stringContaining('nvidia.yaml: ') });
  });
});

describe('NVIDIA’s driver without a file', () => {
  test('is described by its own nodes, libraries and cards', async () => {
    const host = await filesIn({});
    const write = async (path: string, content: string | Buffer): Promise<void> => {
      await mkdir(join(host, path, '..'), { recursive: true });
      await writeFile(join(host, path), content);
    };
    await write(
      'proc/driver/nvidia/version',
      'NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.15  Release\n',
    );
    await write('proc/driver/nvidia/gpus/0000:01:00.0/information', 'GPU UUID: \t GPU-aa-bb\nDevice Minor: \t 1\n');
    await write('proc/driver/nvidia/gpus/0000:02:00.0/information', 'GPU UUID: \t GPU-other\nDevice Minor: \t 7\n');
    for (const name of ['nvidia0', 'nvidia1', 'nvidia10', 'nvidiactl', 'nvidia-uvm', 'nvidia-caps'])
      await write(`dev/${name}`, '');
    const folder = 'usr/lib/x86_64-linux-gnu';
    await write(`${folder}/libcuda.so.550.54.15`, sharedLibrary('libcuda.so.1'));
    await write(`${folder}/libnvidia-ml.so.550.54.15`, sharedLibrary('libnvidia-ml.so.1'));
    await write(`${folder}/libcudart.so.12`, '');
    await write('usr/bin/nvidia-smi', '');
    const found = await describeDriver(host);
    expect([...(found?.devices.keys() ?? [])]).toEqual(['0', '1', '2', 'GPU-aa-bb', 'all']);
    expect(found?.devices.get('all')?.deviceNodes.map(({ path }) => path)).toEqual([
      '/dev/nvidia1',
      '/dev/nvidia0',
      '/dev/nvidia10',
    ]);
    expect(found?.devices.get('GPU-aa-bb')?.deviceNodes).toEqual([
      { path: '/dev/nvidia1', hostPath: join(host, 'dev/nvidia1') },
    ]);
    expect(found?.edits.deviceNodes.map(({ path }) => path)).toEqual(['/dev/nvidiactl', '/dev/nvidia-uvm']);
    expect(found?.edits.mounts.map(({ containerPath }) => containerPath)).toEqual([
      `/${folder}/libcuda.so.550.54.15`,
      `/${folder}/libnvidia-ml.so.550.54.15`,
      '/usr/bin/nvidia-smi',
    ]);
    const { mounts } = await doHooks(found?.edits.hooks ?? [], found?.edits.mounts ?? []);
    expect(mounts.map(({ containerPath }) => containerPath)).toEqual([
      `/${folder}/libcuda.so`,
      `/${folder}/libcuda.so.1`,
      `/${folder}/libnvidia-ml.so.1`,
      '/usr/local/nvidia/lib64/libcuda.so.1',
      '/usr/local/nvidia/lib64/libnvidia-ml.so.1',
    ]);
  });

  test('is not there on a machine without its module or its cards', async () => {
    const host = await filesIn({});
    expect(await describeDriver(host)).toBeUndefined();
    await mkdir(join(host, 'sys/module/nvidia'), { recursive: true });
    await writeFile(join(host, 'sys/module/nvidia/version'), '550.54.15\n');
    expect(await describeDriver(host)).toBeUndefined();
  });
});
