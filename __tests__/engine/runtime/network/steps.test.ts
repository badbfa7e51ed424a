import { describe, expect, test } from '@jest/globals';
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Helper } from '../../../../engine/native/types.ts';
import { ensureDefault } from '../../../../engine/runtime/network/default.ts';
import { choosePlace, toBridgeNetwork } from '../../../../engine/runtime/network/endpoints.ts';
import { parseAddress, parseSubnet, overlaps } from '../../../../engine/runtime/network/ipv4.ts';
import { halvesOf } from '../../../../engine/runtime/network/pool.ts';
import { createNetworkRecords, type NetworkRecord } from '../../../../engine/runtime/network/records.ts';
import { chooseStepNetwork, createStepNetworks, type StepNetworks } from '../../../../engine/runtime/network/steps.ts';
import type { MachineProbe } from '../../../../engine/runtime/spec.ts';
import type { Locks } from '../../../../engine/store/types.ts';

const around = {
  host: { routes: [], mtu: 1450, resolvers: { nameservers: [], search: [], options: [] } },
  networks: [],
  addresses: [],
};

async function withRoot<T>(act: (root: string) => Promise<T>): Promise<T> {
  const root = await mkdtemp(join(tmpdir(), 'berth-steps-'));
  try {
    return await act(root);
  } finally {
    await rm(root, { recursive: true });
  }
}

/** Networks on a machine that is not there, and what its helper was asked. */
function open(
  root: string,
  { bridge }: { readonly bridge: boolean },
): { readonly networks: StepNetworks; readonly asked: readonly string[] } {
  const asked: string[] = [];
  const call = async (operation: string, args: unknown): Promise<unknown> => {
    asked.push(`${operation} ${JSON.stringify(args)}`);
    return await Promise.resolve({ containers: [] });
  };
  const helper: Helper = {
    idMap: { kind: 'root' },
    idMapName: 'root',
    call: call as Helper['call'],
    open: () => {
      throw new Error('nothing is talked to');
    },
  };
  const network = bridge
    ? { bridge: true, reason: null, hint: null }
    : { bridge: false, reason: 'make veth: no such device', hint: null };
  const probe: MachineProbe = { cgroup: { mode: 'v2', controllers: [] }, seccomp: true, network };
  const locks: Locks = {
    with: async (_name, _mode, act) => await act(),
    ifFree: async (_name, act) => await act(),
    close: () => Promise.resolve(),
  };
  return { networks: createStepNetworks({ store: { root, locks }, connection: { helper, probe, root } }), asked };
}

describe('the network of a RUN', () => {
  test('is a place on the default network, the same for all steps of a build, which gives it back', async () => {
    await withRoot(async (root) => {
      const { networks, asked } = open(root, { bridge: true });
      const first = await networks.of(undefined);
      const second = await networks.of(undefined);
      const [record] = await createNetworkRecords(root).list();
      expect(record?.name).toBe('bridge');
      expect(first).toMatchObject({
        network: { mode: 'step', network: { id: record?.id, subnet: record?.subnet } },
        resolvers: { nameservers: ['127.0.0.11'] },
        gateway: record?.gateway,
      });
      expect(second).toEqual(first);
      await networks.close();
      expect(asked).toEqual(['state {"containers":[]}', 'network {"act":"retire"}']);
    });
  });

  test('is what the step asks for, and then nothing is made or given back', async () => {
    await withRoot(async (root) => {
      const { networks, asked } = open(root, { bridge: true });
      expect(await networks.of('none')).toEqual({ network: { mode: 'none' } });
      expect(await networks.of('host')).toEqual({ network: { mode: 'host' }, gateway: '127.0.0.1' });
      await networks.close();
      expect(asked).toEqual([]);
    });
  });

  test('follows the default network when that moves', async () => {
    await withRoot(async (root) => {
      const { networks } = open(root, { bridge: true });
      await networks.of(undefined);
      const records = createNetworkRecords(root);
      const [record] = await records.list();
      await records.put({ ...(record as NetworkRecord), subnet: '10.9.0.0/20', gateway: '10.9.0.1' });
      expect(await networks.of(undefined)).toMatchObject({
        network: { network: { id: record?.id, subnet: '10.9.0.0/20', steps: '10.9.8.0/21' } },
      });
    });
  });

  const ROOT = { kind: 'root' } as const;
  const SUB = { kind: 'full', uidCount: 65_536, gidCount: 65_536 } as const;
  const BRIDGE = { bridge: true, reason: null, hint: null };
  const NONE = { bridge: false, reason: 'make veth: no such device', hint: null };
  const around = { pasta: undefined, hasTun: false, waysOut: [true, false], nameservers: ['192.0.2.1'] } as const;
  const pasta = { program: '/usr/bin/pasta' };
  test.each([
    ['bridges', ROOT, BRIDGE, around, { kind: 'bridge' }],
    ['bridges and no way out', ROOT, BRIDGE, { ...around, waysOut: [false, false] as const }, { kind: 'bridge' }],
    ['bridges and IPv6 alone', ROOT, BRIDGE, { ...around, waysOut: [false, true] as const }, /by IPv6 alone/],
    ['no bridges', ROOT, NONE, around, /make veth: no such device/],
    ['a resolver of one link', ROOT, BRIDGE, { ...around, nameservers: ['fe80::1%eth0'] }, /resolver fe80::1%eth0/],
    ['pasta', SUB, NONE, { ...around, pasta, hasTun: true }, { kind: 'pasta', program: '/usr/bin/pasta' }],
    [
      'pasta and IPv6 alone',
      SUB,
      NONE,
      { ...around, pasta, hasTun: true, waysOut: [false, true] as const },
      { kind: 'pasta', program: '/usr/bin/pasta' },
    ],
    ['pasta without its device', SUB, NONE, { ...around, pasta }, /modprobe tun/],
    ['no pasta', SUB, NONE, { ...around, pasta: { program: undefined } }, /install pasta/],
  ])('where there is %s', async (_name, idMap, probe, found, expected) => {
    const choice = await chooseStepNetwork(idMap, probe, found);
    if (expected instanceof RegExp)
      expect(choice).toEqual({ kind: 'host', reason: expect.stringMatching(expected) as unknown });
    else expect(choice).toEqual(expected);
  });

  test('is that of the machine where it has no bridges, with the reason', async () => {
    await withRoot(async (root) => {
      const { networks, asked } = open(root, { bridge: false });
      expect(await networks.of(undefined)).toMatchObject({
        network: { mode: 'host' },
        fallback: 'RUN has the network of this machine: make veth: no such device',
      });
      await networks.close();
      expect(asked).toEqual([]);
    });
  });
});

describe('the default network', () => {
  test('has one half for containers and one for steps', async () => {
    await withRoot(async (root) => {
      const record = await ensureDefault(createNetworkRecords(root), around);
      const whole = parseSubnet(record.subnet) ?? { base: 0, prefix: 0 };
      const { containers, steps } = halvesOf(whole);
      expect(overlaps(containers, steps)).toBe(false);
      expect([overlaps(containers, whole), overlaps(steps, whole)]).toEqual([true, true]);
      expect(toBridgeNetwork(record, 1450).steps).toMatch(/^172\.\d+\.\d+\.0\/21$/);
      const everyone = Array.from({ length: 2 ** 11 }, (_, at) => whole.base + at);
      const taken = new Set(everyone.map((number) => [24, 16, 8, 0].map((by) => (number >>> by) & 255).join('.')));
      expect(() => choosePlace(record, {}, { taken, interfaces: [] })).toThrow('no available IPv4 addresses');
      const { address } = choosePlace(record, {}, { taken: new Set(), interfaces: [] });
      expect(parseAddress(address)).toBe(whole.base + 2);
    });
  });

  test('stays where it is while a step runs on it, whatever way the machine finds to its subnet', async () => {
    await withRoot(async (root) => {
      const records = createNetworkRecords(root);
      const record = await ensureDefault(records, around);
      const subnet = parseSubnet(record.subnet) ?? { base: 0, prefix: 0 };
      const found = {
        ...around,
        networks: [record],
        host: { ...around.host, routes: [{ interface: 'vpn0', subnet }] },
      };
      const book = join(root, 'networks', record.id, 'endpoints');
      await mkdir(book);
      await writeFile(join(book, `.${'b'.repeat(64)}`), 'half written');
      await writeFile(join(book, 'a'.repeat(64)), '172.24.8.1\nbridge\n');
      expect(await ensureDefault(records, found)).toEqual(record);
      await rm(join(book, 'a'.repeat(64)));
      const moved = await ensureDefault(records, found);
      expect([moved.id, moved.subnet === record.subnet]).toEqual([record.id, false]);
    });
  });
});
