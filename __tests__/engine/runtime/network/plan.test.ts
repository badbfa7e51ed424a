import { describe, expect, test } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RunSpec } from '../../../../engine/engine.ts';
import type { PublishedPort } from '../../../../engine/native/protocol.ts';
import type { Found } from '../../../../engine/runtime/list.ts';
import { ensureDefault, newRecord, rangeOf } from '../../../../engine/runtime/network/default.ts';
import { formatResolvers, parseResolvers, parseRoutes, parseRoutes6 } from '../../../../engine/runtime/network/host.ts';
import { formatSubnet, overlaps, parseAddress, parseSubnet } from '../../../../engine/runtime/network/ipv4.ts';
import { formatSubnet6 } from '../../../../engine/runtime/network/ipv6.ts';
import { planNetwork, type NetworkPlan } from '../../../../engine/runtime/network/plan.ts';
import { chooseAddress, chooseSubnet } from '../../../../engine/runtime/network/pool.ts';
import {
  createNetworkRecords,
  type NetworkRecord,
  type NetworkRecords,
} from '../../../../engine/runtime/network/records.ts';

function subnet(text: string): { readonly base: number; readonly prefix: number } {
  const found = parseSubnet(text);
  if (!found) throw new Error(`${text} is no subnet`);
  return found;
}

const host = { routes: [], mtu: 1450, resolvers: parseResolvers('nameserver 127.0.0.53\nsearch corp.example\n') };
const bridge = { bridge: true, reason: null, hint: null };
const noBridge = { bridge: false, reason: 'make veth: no such device', hint: null };

async function withRecords<T>(act: (records: NetworkRecords) => Promise<T>): Promise<T> {
  const root = await mkdtemp(join(tmpdir(), 'berth-net-'));
  try {
    return await act(createNetworkRecords(root));
  } finally {
    await rm(root, { recursive: true });
  }
}

async function plan(
  spec: Partial<RunSpec>,
  {
    networks = [],
    addresses = [],
    existing = [],
    ports = [],
    probe = bridge,
    pasta,
  }: {
    networks?: readonly NetworkRecord[];
    addresses?: string[];
    existing?: readonly Found[];
    ports?: readonly PublishedPort[];
    probe?: typeof noBridge | typeof bridge;
    pasta?: { program: string | undefined };
  } = {},
): Promise<NetworkPlan> {
  return await withRecords(async (records) =>
    planNetwork(
      { image: 'any', ...spec },
      {
        id: 'c'.repeat(64),
        name: 'web',
        hostname: 'here',
        ports,
        records,
        around: { host, networks, addresses },
        existing,
        probe,
        pasta,
      },
    ),
  );
}

function fileOf({ files }: NetworkPlan, destination: string): string {
  return files.find((file) => file.destination === destination)?.content ?? '';
}

describe('addresses', () => {
  test.each(['1.2.3', '1.2.3.256', '01.2.3.4', '1.2.3.4.5', 'a.b.c.d', '', '::1'])('%j is none', (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });

  test.each([
    ['10.9.8.7/24', '10.9.8.0/24'],
    ['255.255.255.255/32', '255.255.255.255/32'],
    ['10.0.0.0/33', undefined],
    ['10.0.0.0', undefined],
  ])('%s is the subnet %s', (text, expected) => {
    const found = parseSubnet(text);
    expect(found && formatSubnet(found)).toBe(expected);
  });

  test('a subnet is chosen beside everything that is taken', () => {
    const taken = [subnet('172.16.0.0/12'), subnet('10.192.0.0/20')];
    const chosen = chooseSubnet(taken);
    expect(taken.some((one) => overlaps(one, chosen))).toBe(false);
    expect(formatSubnet(chosen)).toBe('10.192.16.0/20');
    expect(() => chooseSubnet([subnet('0.0.0.0/1'), subnet('128.0.0.0/1')])).toThrow(/fully subnetted/);
  });

  test('an address is the first free one of the range, and neither the first nor the last of the subnet', () => {
    const network = { name: 'mine', subnet: subnet('10.0.0.0/29') };
    expect(chooseAddress(network, new Set(['10.0.0.1']))).toBe('10.0.0.2');
    expect(chooseAddress({ ...network, range: subnet('10.0.0.4/30') }, new Set(['10.0.0.4']))).toBe('10.0.0.5');
    const all = new Set([1, 2, 3, 4, 5, 6].map((last) => `10.0.0.${last}`));
    expect(() => chooseAddress(network, all)).toThrow(/no available IPv4 addresses/);
  });
});

describe('the network of the machine', () => {
  test('has subnets of IPv6 as well, which are none of a link or of everybody', () => {
    const line = (address: string, length: string, name: string): string =>
      `${address} ${length} ${'0'.repeat(32)} 00 ${'0'.repeat(32)} 00000100 00000001 00000000 00000001     ${name}`;
    const table = [
      line('0'.repeat(32), '00', 'eth0'),
      line(`fe80${'0'.repeat(28)}`, '40', 'eth0'),
      line(`ff00${'0'.repeat(28)}`, '08', 'eth0'),
      line(`${'0'.repeat(31)}1`, '80', 'lo'),
      line(`20010db8${'0'.repeat(24)}`, '40', 'eth0'),
    ].join('\n');
    const found = parseRoutes6(table).map((route) => [route.interface, formatSubnet6(route.subnet)]);
    expect(found).toEqual([['eth0', '2001:db8::/64']]);
  });

  test('is read from the table of routes', () => {
    const table = [
      'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT',
      'eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0',
      'eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0',
      '',
    ].join('\n');
    const found = parseRoutes(table).map((route) => [route.interface, formatSubnet(route.subnet)]);
    expect(found).toEqual([
      ['eth0', '0.0.0.0/0'],
      ['eth0', '192.0.2.0/24'],
    ]);
  });

  test('resolvers are read as the C library does', () => {
    const text =
      '# made by hand\nnameserver 9.9.9.9\ndomain old.example\nsearch a.example b.example\noptions ndots:2 edns0\n';
    const found = parseResolvers(text);
    expect(found).toEqual({
      nameservers: ['9.9.9.9'],
      search: ['a.example', 'b.example'],
      options: ['ndots:2', 'edns0'],
    });
    expect(formatResolvers(found)).toBe('nameserver 9.9.9.9\nsearch a.example b.example\noptions ndots:2 edns0\n');
  });
});

describe('the default network', () => {
  test('stays where it is, and moves from a route that came later only while no container has an address in it', async () => {
    await withRecords(async (records) => {
      const first = await ensureDefault(records, { host, networks: [], addresses: [] });
      const again = await ensureDefault(records, { host, networks: await records.list(), addresses: [] });
      expect(again).toEqual(first);
      const vpn = { ...host, routes: [{ interface: 'tun0', subnet: subnet(first.subnet) }] };
      const used = await ensureDefault(records, { host: vpn, networks: [first], addresses: [first.gateway] });
      expect(used.subnet).toBe(first.subnet);
      const moved = await ensureDefault(records, { host: vpn, networks: [first], addresses: [] });
      expect(moved.id).toBe(first.id);
      expect(moved.subnet).not.toBe(first.subnet);
      // The bridge of a network that is up is no reason to move.
      const own = { ...host, routes: [{ interface: `berth${first.id.slice(0, 10)}`, subnet: subnet(first.subnet) }] };
      expect((await ensureDefault(records, { host: own, networks: [first], addresses: [] })).subnet).toBe(first.subnet);
    });
  });
});

describe('a container gets', () => {
  const mine = newRecord('mine', rangeOf(subnet('10.9.8.0/24')));
  const inner = newRecord('inner', rangeOf(subnet('10.9.9.0/24')), { internal: true });

  test('the default network when it names none, without names, and the responder to ask', async () => {
    const found = await plan({});
    expect(found.network).toMatchObject({
      mode: 'bridge',
      endpoints: [{ interface: 'eth0', names: [], defaultRoute: true, network: { name: 'bridge', mtu: 1450 } }],
      dns: { upstreams: ['127.0.0.53'] },
    });
    expect(fileOf(found, '/etc/resolv.conf')).toBe('nameserver 127.0.0.11\nsearch corp.example\noptions ndots:0\n');
    expect(fileOf(found, '/etc/hosts')).toContain(`${found.address ?? ''}\there\n`);
  });

  test('names on a network of the user, a free address, and one interface for each network', async () => {
    const spec = {
      network: 'inner',
      moreNetworks: ['mine'],
      networkAliases: ['api'],
      extraHosts: [{ name: 'up', address: 'host-gateway' }],
    };
    const found = await plan(spec, { networks: [mine, inner], addresses: ['10.9.8.2'] });
    expect(found.network).toMatchObject({
      endpoints: [
        { interface: 'eth0', address: '10.9.9.2', defaultRoute: false, names: ['web', 'c'.repeat(12), 'here', 'api'] },
        { interface: 'eth1', address: '10.9.8.3', defaultRoute: true, mac: '02:42:0a:09:08:03' },
      ],
    });
    expect(fileOf(found, '/etc/hosts')).toContain('10.9.8.1\tup\n');
  });

  test('addresses of both families, under the names and with the links that were asked for', async () => {
    const both = newRecord('both', rangeOf(subnet('10.9.7.0/24')), {
      ipv6: { subnet: 'fd00:7::/64', gateway: 'fd00:7::1', reserved: { router: 'fd00:7::2' } },
      bridge: 'mine0',
      traits: ['noNeighbours'],
      hostBinding: '127.0.0.2',
      interfacePrefix: 'lan',
      mtu: 1400,
    });
    const spec = {
      network: 'both',
      moreNetworks: ['mine'],
      linkLocalIps: ['169.254.7.7'],
      links: [{ container: '/db', alias: 'store' }],
      joins: {
        mine: {
          gatewayPriority: 5,
          driverOptions: { 'com.docker.network.endpoint.sysctls': 'net.ipv4.conf.ifname.log_martians=1' },
        },
      },
    };
    const found = await plan(spec, { networks: [mine, both], addresses: ['fd00:7::3'] });
    expect(found.network).toMatchObject({
      endpoints: [
        {
          interface: 'lan0',
          defaultRoute: false,
          ipv6: { address: 'fd00:7::4', defaultRoute: true },
          linkLocal: ['169.254.7.7'],
          links: [{ alias: 'store', name: 'db' }],
          network: { ipv6: { subnet: 'fd00:7::/64', gateway: 'fd00:7::1' }, bridge: 'mine0', traits: ['noNeighbours'] },
        },
        { interface: 'eth0', defaultRoute: true, sysctls: { 'net.ipv4.conf.IFNAME.log_martians': '1' } },
      ],
    });
    expect(found.network).not.toHaveProperty('endpoints.1.ipv6');
    expect(fileOf(found, '/etc/hosts')).toMatch(/10\.9\.7\.2\there\nfd00:7::4\there\n10\.9\.8\.2\there\n$/);
  });

  test('the address of the host that its network has for ports without one', async () => {
    const bound = newRecord('bound', rangeOf(subnet('10.9.7.0/24')), { hostBinding: '127.0.0.2' });
    const port = (hostAddress: string) => ({ hostAddress, hostPort: 0, containerPort: 80, protocol: 'tcp' as const });
    const found = await plan({ network: 'bound' }, { networks: [bound], ports: [port(''), port('::1')] });
    expect(found.network).toMatchObject({ ports: [{ hostAddress: '127.0.0.2' }, { hostAddress: '::1' }] });
  });

  test('the resolvers, domains and options that were given', async () => {
    const given = { dns: ['9.9.9.9'], dnsSearch: ['.'], dnsOptions: ['ndots:3'] };
    expect(fileOf(await plan(given), '/etc/resolv.conf')).toBe('nameserver 9.9.9.9\noptions ndots:3\n');
    const found = await plan({ ...given, network: 'mine' }, { networks: [mine] });
    expect(found.network).toMatchObject({ dns: { upstreams: ['9.9.9.9'] } });
    expect(fileOf(found, '/etc/resolv.conf')).toBe('nameserver 127.0.0.11\noptions ndots:3\n');
  });

  test('loopback alone where there are no bridges, with a line that says why', async () => {
    const found = await plan({}, { probe: noBridge });
    expect(found.network).toMatchObject({ mode: 'private' });
    expect(found.warning).toContain('make veth: no such device');
    expect((await plan({ network: 'private' })).warning).toBeUndefined();
  });

  test('a way out by pasta where there are no bridges in a user namespace, with the responder to ask', async () => {
    const found = await plan({}, { probe: noBridge, pasta: { program: '/usr/bin/pasta' } });
    expect(found.network).toMatchObject({
      mode: 'private',
      wayOut: { pasta: '/usr/bin/pasta', dns: { upstreams: ['127.0.0.53'] } },
    });
    expect(found.warning).toBeUndefined();
    expect(fileOf(found, '/etc/resolv.conf')).toBe('nameserver 127.0.0.11\nsearch corp.example\noptions ndots:0\n');
    const asked = await plan({ dns: ['9.9.9.9'] }, { probe: noBridge, pasta: { program: '/usr/bin/pasta' } });
    expect(fileOf(asked, '/etc/resolv.conf')).toBe('nameserver 9.9.9.9\nsearch corp.example\n');
    const alone = await plan({ network: 'private' }, { probe: noBridge, pasta: { program: '/usr/bin/pasta' } });
    expect(alone.network).not.toHaveProperty('wayOut');
    const without = await plan({}, { probe: noBridge, pasta: { program: undefined } });
    expect(without.network).not.toHaveProperty('wayOut');
    expect(without.warning).toContain('package passt');
    await expect(plan({ ip: '10.1.1.1' }, { probe: noBridge })).rejects.toMatchObject({
      code: 'NETWORK_INVALID',
      message: 'Cannot use --ip: make veth: no such device',
    });
  });

  test.each([
    [{ network: 'ghost' }, 'NETWORK_NOT_FOUND'],
    [{ network: 'host', moreNetworks: ['mine'] }, 'NETWORK_INVALID'],
    [{ network: 'host', networkAliases: ['x'] }, 'NETWORK_INVALID'],
    [{ network: 'none', ip: '10.9.8.7' }, 'NETWORK_INVALID'],
    [{ network: 'none', links: [{ container: 'db', alias: 'x' }] }, 'NETWORK_INVALID'],
    [{ network: 'host', joins: { host: { gatewayPriority: 1 } } }, 'NETWORK_INVALID'],
    [{ network: 'mine', ip6: 'fd00::9' }, 'NETWORK_INVALID'],
    [{ ip6: 'fd00::9' }, 'NETWORK_INVALID'],
    [{ links: [{ container: 'db', alias: 'x' }] }, 'CONTAINER_NOT_FOUND'],
    [{ network: 'mine', joins: { mine: { driverOptions: { field1: 'x' } } } }, 'NETWORK_INVALID'],
    [
      {
        network: 'mine',
        joins: { mine: { driverOptions: { 'com.docker.network.endpoint.sysctls': 'net.ipv4.ip_forward=1' } } },
      },
      'NETWORK_INVALID',
    ],
    [
      { network: 'mine', joins: { mine: { driverOptions: { 'com.docker.network.endpoint.ifname': 'lo' } } } },
      'NETWORK_INVALID',
    ],
    [{ networkAliases: ['x'] }, 'NETWORK_INVALID'],
    [{ ip: '172.24.0.9' }, 'NETWORK_INVALID'],
    [{ network: 'mine', ip: '10.9.8.255' }, 'NETWORK_INVALID'],
    [{ network: 'mine', ip: '10.9.8.1' }, 'ADDRESS_IN_USE'],
    [{ network: 'none', extraHosts: [{ name: 'up', address: 'host-gateway' }] }, 'NETWORK_INVALID'],
    [{ network: 'container:' }, 'NETWORK_INVALID'],
    [{ network: 'container:web', hostname: 'x' }, 'NETWORK_INVALID'],
    [{ network: 'container:web', dns: ['192.0.2.1'] }, 'NETWORK_INVALID'],
    [{ network: 'container:web', extraHosts: [{ name: 'a', address: '192.0.2.1' }] }, 'NETWORK_INVALID'],
    [{ network: 'container:web', publishAll: true }, 'NETWORK_INVALID'],
  ])('an error for %j: %s', async (spec, code) => {
    await expect(plan(spec, { networks: [mine] })).rejects.toMatchObject({ code });
  });

  test('an error for a network of its own where there are no bridges', async () => {
    const found = plan({ network: 'mine' }, { networks: [mine], probe: noBridge });
    await expect(found).rejects.toMatchObject({ code: 'NETWORK_IMPOSSIBLE' });
  });
});
