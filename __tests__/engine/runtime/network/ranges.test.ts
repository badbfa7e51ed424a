import { describe, expect, test } from '@jest/globals';
import {
  newRecord,
  rangeOf,
  type Surroundings,
  takenSubnets,
  takenSubnets6,
} from '../../../../engine/runtime/network/default.ts';
import { choosePlace } from '../../../../engine/runtime/network/endpoints.ts';
import { chooseAddress6, FOUR, SIX } from '../../../../engine/runtime/network/family.ts';
import { formatAddress6, formatSubnet6, parseAddress6, parseSubnet6 } from '../../../../engine/runtime/network/ipv6.ts';
import type { Route } from '../../../../engine/runtime/network/host.ts';
import { formatSubnet, parseSubnet, type Subnet } from '../../../../engine/runtime/network/ipv4.ts';
import type { NetworkRecord } from '../../../../engine/runtime/network/records.ts';
import { linkVariables } from '../../../../engine/runtime/network/link-variables.ts';
import { NETWORK_OPTIONS, readOptions } from '../../../../engine/runtime/network/options.ts';
import { settleRange } from '../../../../engine/runtime/network/range.ts';
import { chooseWaysOut } from '../../../../engine/runtime/network/ways-out.ts';

function subnet6(text: string): { readonly base: bigint; readonly prefix: number } {
  const found = parseSubnet6(text);
  if (!found) throw new Error(`${text} is no subnet`);
  return found;
}

describe('an address of IPv6', () => {
  test.each([
    ['::', '::'],
    ['::1', '::1'],
    ['FD00:0:0:1:0:0:0:2', 'fd00:0:0:1::2'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:0:0:1::', '2001:0:0:1::'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
    ['1:0:3:4:5:6:7:8', '1:0:3:4:5:6:7:8'],
    ['::ffff:192.0.2.7', '::ffff:c000:207'],
    ['fe80::', 'fe80::'],
  ])('%s is shown as %s', (text, shown) => {
    const address = parseAddress6(text);
    expect(address === undefined ? undefined : formatAddress6(address)).toBe(shown);
  });

  test.each(['', ':', '1.2.3.4', 'fe80::1%eth0', '1::2::3', 'g::', '1:2:3:4:5:6:7', '[::1]'])('%j is none', (text) =>
    expect(parseAddress6(text)).toBeUndefined(),
  );

  test.each([
    ['fd00:1:2:3:4::/64', 'fd00:1:2:3::/64'],
    ['::/0', '::/0'],
    ['fd00::1/128', 'fd00::1/128'],
    ['fd00::/129', undefined],
    ['fd00::', undefined],
    ['fd00::/', undefined],
  ])('%s is the subnet %s', (text, shown) => {
    const found = parseSubnet6(text);
    expect(found && formatSubnet6(found)).toBe(shown);
  });

  test('is the first free one of the range, and not that of the subnet itself', () => {
    const subnet = subnet6('fd00::/125');
    const taken = new Set(['fd00::1', 'fd00::2'].flatMap((text) => parseAddress6(text) ?? []));
    expect(chooseAddress6({ subnet }, taken)).toBe('fd00::3');
    expect(chooseAddress6({ subnet, range: subnet6('fd00::6/127') }, taken)).toBe('fd00::6');
    expect(chooseAddress6({ subnet, range: subnet6('fd00::2/128') }, taken)).toBeUndefined();
  });
});

describe('a network gets', () => {
  const asked = {
    subnets: ['10.9.8.0/24', 'fd00:8::/64'],
    gateways: ['fd00:8::9'],
    ipRanges: ['fd00:8::100/120', '10.9.8.128/25'],
    reserved: [['router', 'fd00:8::101']] as const,
  };

  test('what was asked for of each family', () => {
    expect(settleRange(FOUR, asked, [])).toEqual({
      subnet: '10.9.8.0/24',
      gateway: '10.9.8.1',
      ownGateway: true,
      ipRange: '10.9.8.128/25',
    });
    expect(settleRange(SIX, asked, [])).toEqual({
      subnet: 'fd00:8::/64',
      gateway: 'fd00:8::9',
      ipRange: 'fd00:8::100/120',
      reserved: { router: 'fd00:8::101' },
    });
  });

  test('a subnet of its own where none was asked for, which nobody else can have drawn', () => {
    const [one, other] = [settleRange(SIX, {}, []), settleRange(SIX, {}, [])];
    expect(one.subnet).toMatch(/^fd[0-9a-f]{2}:[0-9a-f:]+::\/64$/);
    expect(one).toMatchObject({ pooled: true, gateway: one.subnet.replace('/64', '1') });
    expect(other.subnet).not.toBe(one.subnet);
  });

  test.each([
    [{ subnets: ['fd00::7/64'] }, /it should be fd00::\/64/],
    [{ subnets: ['fd00::/127'] }, /no IPv6 subnet with room for containers/],
    [{ subnets: ['fd00::/64', 'fd01::/64'] }, /doesn't support multiple subnets/],
    [{ subnets: ['fd00::/64'], gateways: ['fd01::1'] }, /no matching subnet: fd00::\/64 does not hold it/],
    [{ subnets: ['fd00::/64'], gateways: ['fd00::'] }, /no matching subnet/],
    [{ subnets: ['fd00::/64'], ipRanges: ['fd00::/60'] }, /it is no part of fd00::\/64/],
    [{ gateways: ['fd00::1'] }, /--gateway for a network: every ip-range, gateway or aux-address must have/],
    [{ subnets: ['fd00::/64'], reserved: [['a', 'fd01::1']] as const }, /--aux-address a=fd01::1/],
    [{ subnets: ['ff02:1::/64'] }, /--subnet ff02:1::\/64 for a network: ff00::\/8 is there for something else/],
    [{ subnets: ['fe80::/64'] }, /fe80::\/10 is there for something else/],
    [{ subnets: ['::/8'] }, /::\/96 is there for something else/],
    [{ subnets: ['fdff::1:0/112'] }, /Pool overlaps with other one on this address space, fdff::\/64/],
  ])('an error for %j', (request, message) =>
    expect(() => settleRange(SIX, request, [subnet6('fdff::/64')])).toThrow(message),
  );

  test.each([
    [{ subnets: ['10.1.0.5/16'] }, '--subnet 10.1.0.5/16 for a network: it should be 10.1.0.0/16'],
    [
      { subnets: ['10.1.0.0/16'], ipRanges: ['10.1.2.3/24'] },
      '--ip-range 10.1.2.3/24 for a network: it should be 10.1.2.0/24',
    ],
  ])('an error for %j, whose address has bits behind the prefix', (request, message) =>
    expect(() => settleRange(FOUR, request, [])).toThrow(message),
  );
});

describe('a subnet is taken', () => {
  const four = (text: string): Subnet => parseSubnet(text) ?? { base: 0, prefix: 0 };
  const around = (routes: readonly Route[], networks: readonly NetworkRecord[]): Surroundings => ({
    host: { routes, mtu: 1500, resolvers: { nameservers: [], search: [], options: [] } },
    networks,
    addresses: [],
  });
  const named = newRecord('mine', rangeOf(four('10.9.8.0/24')), { bridge: 'eth0' });

  test('by an interface that was there before a network took its name', () => {
    const routes = [{ interface: 'eth0', subnet: four('192.0.2.0/24') }];
    expect(takenSubnets(around(routes, [named])).map(formatSubnet)).toEqual(['10.9.8.0/24', '192.0.2.0/24']);
    const six = [{ interface: 'eth0', subnet: subnet6('2001:db8::/64') }];
    expect(takenSubnets6({ networks: [named] }, six).map(formatSubnet6)).toEqual(['2001:db8::/64']);
  });

  test('once by a network that is up', () => {
    const routes = [{ interface: 'eth0', subnet: four('10.9.8.0/24') }];
    expect(takenSubnets(around(routes, [named])).map(formatSubnet)).toEqual(['10.9.8.0/24']);
    const own = newRecord('own', rangeOf(four('10.9.7.0/24')));
    const moved = [{ interface: `berth${own.id.slice(0, 10)}`, subnet: four('10.9.6.0/24') }];
    expect(takenSubnets(around(moved, [own])).map(formatSubnet)).toEqual(['10.9.7.0/24']);
  });
});

describe('a place on a network of IPv6', () => {
  test('is the same however its address is written', () => {
    const six = { subnet: 'fd77:9::/64', gateway: 'fd77:9::1', reserved: { a: 'fd77:9:0::0:5' } };
    const network = newRecord('six', { subnet: '10.9.8.0/24', gateway: '10.9.8.1' }, { ipv6: six });
    const place = (address6: string, taken: readonly string[] = []): string | undefined =>
      choosePlace(network, { address6 }, { taken: new Set(taken), interfaces: [] }).address6;
    expect(place('FD77:9:0:0::6')).toBe('fd77:9::6');
    expect(() => place('fd77:9::5')).toThrow(/--ip6 fd77:9::5: Address already in use on network six/);
    expect(() => place('fd77:9:0:0::7', ['fd77:9::7'])).toThrow(/already in use/);
  });
});

describe('options of a network', () => {
  const read = (options: Readonly<Record<string, string>>, { internal = false, ipv6 = false } = {}): object =>
    readOptions(options, { internal, ipv6 });
  const bridge = (name: string, value: string): Record<string, string> => ({
    [`com.docker.network.bridge.${name}`]: value,
  });

  test('come to what the helper does', () => {
    const all = {
      ...bridge('name', 'mine0'),
      ...bridge('enable_icc', 'false'),
      ...bridge('enable_ip_masquerade', '0'),
      ...bridge('host_binding_ipv4', '127.0.0.1'),
      ...bridge('gateway_mode_ipv4', 'nat'),
      'com.docker.network.driver.mtu': '9000',
      'com.docker.network.container_iface_prefix': 'lan',
    };
    expect(read(all)).toEqual({
      mtu: 9000,
      bridge: 'mine0',
      traits: ['noMasquerade', 'noNeighbours'],
      hostBinding: '127.0.0.1',
      interfacePrefix: 'lan',
    });
    expect(read({ ...bridge('enable_icc', 'true'), ...bridge('host_binding_ipv4', '0.0.0.0') })).toEqual({});
    expect(read(bridge('gateway_mode_ipv4', 'isolated'), { internal: true })).toEqual({ traits: ['noHost'] });
  });

  test.each([
    [{ foo: 'bar' }, {}, /--opt foo .*not supported yet/],
    [bridge('gateway_mode_ipv6', 'routed'), {}, /gateway_mode_ipv6=routed .*not supported yet; nat is/],
    [bridge('gateway_mode_ipv4', 'routed'), {}, /routed .*not supported yet; nat is/],
    [bridge('gateway_mode_ipv4', 'isolated'), {}, /can only be used for an internal network/],
    [bridge('gateway_mode_ipv4', 'isolated'), { internal: true, ipv6: true }, /gateway_mode_ipv6=nat/],
    [bridge('name', 'sixteen-letters-'), {}, /at most 15/],
    [bridge('name', '../x'), {}, /at most 15/],
    [bridge('name', ''), {}, /at most 15/],
    [bridge('name', 'lo'), {}, /existing interface lo is not a bridge/],
    [bridge('enable_icc', 'maybe'), {}, /true or false/],
    [bridge('host_binding_ipv4', '::1'), {}, /no IPv4 address/],
    [{ 'com.docker.network.driver.mtu': '1000' }, { ipv6: true }, /1280 to 65535/],
  ])('an error for %j %j', (options, where, message) => expect(() => read(options, where)).toThrow(message));

  test('an error names those that are done', () => {
    expect(() => read({ foo: '' })).toThrow(
      expect.objectContaining({ hint: expect.stringContaining(NETWORK_OPTIONS.join(', ')) }),
    );
  });
});

test('a container leads out over the network with the highest priority, then the first by name, and for IPv6 over one that has it', () => {
  const place = (name: string, more: object = {}, internal = false) => ({
    network: { id: name, name, internal },
    place: { id: name, name, address: '', gateway: '', prefix: 24, mac: '', interface: '', aliases: [], ...more },
  });
  const all = [place('b'), place('a', { address6: 'fd00::2' }), place('0', { gatewayPriority: 9 }, true)];
  expect(chooseWaysOut(all)).toEqual({ ipv4: 'a', ipv6: 'a' });
  expect(chooseWaysOut([...all, place('z', { gatewayPriority: 1 })])).toEqual({ ipv4: 'z', ipv6: 'a' });
  expect(chooseWaysOut([place('a', {}, true)])).toEqual({ ipv4: null, ipv6: null });
});

test('a link is told by variables: each port, ports in a row by their ends, tcp before udp, and what the other one was given', () => {
  const facts = {
    alias: 'the-db',
    parent: 'web',
    address: '10.0.0.2',
    ports: ['53/udp', '5433', '5432/tcp', '80/tcp'],
    env: ['PATH=/bin', 'HOME=/', 'A=1=2', 'B'],
  };
  const found = linkVariables(facts);
  expect(found).toEqual(
    expect.arrayContaining([
      'THE_DB_NAME=/web/the-db',
      'THE_DB_PORT=tcp://10.0.0.2:80',
      'THE_DB_PORT_5432_TCP_START=tcp://10.0.0.2:5432',
      'THE_DB_PORT_5432_TCP_PORT_END=5433',
      'THE_DB_PORT_53_UDP_ADDR=10.0.0.2',
      'THE_DB_PORT_53_UDP_PROTO=udp',
      'THE_DB_ENV_A=1=2',
    ]),
  );
  expect(found.filter((variable) => variable.includes('_ENV_'))).toHaveLength(1);
  expect(linkVariables({ ...facts, ports: [], env: [] })).toEqual(['THE_DB_NAME=/web/the-db']);
});
