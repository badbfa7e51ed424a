import { randomBytes } from 'node:crypto';
import type { NetworkRange } from '../../engine.ts';
import { type Family, FOUR, SIX } from './family.ts';
import type { HostNetwork, Route } from './host.ts';
import { contains, formatAddress, formatSubnet, overlaps, parseAddress, parseSubnet, type Subnet } from './ipv4.ts';
import { parseSubnet6, type Subnet6 } from './ipv6.ts';
import { DEFAULT_NETWORK } from './kinds.ts';
import { chooseDefault } from './pool.ts';
import type { NetworkRecord, NetworkRecords } from './records.ts';

/** What a network's subnet must keep away from. */
export interface Surroundings {
  readonly host: HostNetwork;
  /** Networks of the store. */
  readonly networks: readonly NetworkRecord[];
  /** Addresses of the store's containers. */
  readonly addresses: readonly string[];
}

/** The name of a network's bridge on the host; the helper's rule. */
export function bridgeName({ id, bridge }: Pick<NetworkRecord, 'id' | 'bridge'>): string {
  return bridge ?? `berth${id.slice(0, 10)}`;
}

/** Subnets that a new network may not overlap, but for those of `except`. */
export function takenSubnets(
  { host, networks }: Pick<Surroundings, 'host' | 'networks'>,
  except?: NetworkRecord,
): readonly Subnet[] {
  const others = networks.filter(({ id }) => id !== except?.id);
  const resolvers = host.resolvers.nameservers.flatMap((text) => {
    const base = parseAddress(text);
    return base === undefined ? [] : [{ base, prefix: 32 }];
  });
  return [
    ...others.flatMap(({ subnet }) => parseSubnet(subnet) ?? []),
    ...host.routes.flatMap(({ interface: name, subnet }) => {
      return isOfBridge(networks, name, (one) => holds(FOUR, one.subnet, subnet)) ? [] : [subnet];
    }),
    ...resolvers,
  ];
}

/** The same of IPv6. */
export function takenSubnets6(
  { networks }: Pick<Surroundings, 'networks'>,
  routes: readonly Route<Subnet6>[],
): readonly Subnet6[] {
  return [
    ...networks.flatMap(({ ipv6 }) => (ipv6 && parseSubnet6(ipv6.subnet)) ?? []),
    ...routes.flatMap(({ interface: name, subnet }) => {
      return isOfBridge(networks, name, ({ ipv6 }) => holds(SIX, ipv6?.subnet, subnet)) ? [] : [subnet];
    }),
  ];
}

/**
 * Whether a route is that of one of our bridges, which is there while the network is up. A name that the user chose may be that of an interface
 * that was there before: then only a route into the network's own subnet is.
 */
function isOfBridge(
  networks: readonly NetworkRecord[],
  name: string,
  isInside: (network: NetworkRecord) => boolean,
): boolean {
  return networks.some((one) => bridgeName(one) === name && (one.bridge === undefined || isInside(one)));
}

function holds<S extends { readonly prefix: number }, A>(
  { parse, base, contains }: Family<S, A>,
  outer: string | undefined,
  inner: S,
): boolean {
  const subnet = outer === undefined ? undefined : parse(outer);
  return subnet !== undefined && inner.prefix >= subnet.prefix && contains(subnet, base(inner));
}

/** The default network, where it is there and has its subnet to itself. */
export function settledDefault(around: Pick<Surroundings, 'host' | 'networks'>): NetworkRecord | undefined {
  const known = around.networks.find(({ name }) => name === DEFAULT_NETWORK);
  const subnet = known && parseSubnet(known.subnet);
  if (!subnet || takenSubnets(around, known).some((other) => overlaps(subnet, other))) return undefined;
  return known;
}

/**
 * The network that containers get when nobody names one; made when it is not there. A machine that has found a way to its subnet since (a VPN, another
 * container engine) lets it move, as long as no container has an address in it and no step of a build runs there.
 *
 * @throws `NETWORK_POOL_EMPTY`
 */
export async function ensureDefault(records: NetworkRecords, around: Surroundings): Promise<NetworkRecord> {
  const settled = settledDefault(around);
  if (settled) return settled;
  const known = around.networks.find(({ name }) => name === DEFAULT_NETWORK);
  const subnet = known && parseSubnet(known.subnet);
  if (known && subnet) {
    const isOurs = (address: string): boolean => contains(subnet, parseAddress(address) ?? -1);
    if (around.addresses.some(isOurs) || records.members(known.id).length > 0) return known;
  }
  const chosen = chooseDefault(takenSubnets(around, known));
  const kept = known ? { id: known.id, created: known.created } : {};
  const record = newRecord(DEFAULT_NETWORK, rangeOf(chosen), kept);
  await records.put(record);
  return record;
}

/** A subnet with its first address as gateway. */
export function rangeOf(subnet: Subnet): NetworkRange {
  return { subnet: formatSubnet(subnet), gateway: formatAddress(subnet.base + 1) };
}

/** A record of a network with these addresses of IPv4. */
export function newRecord(name: string, range: NetworkRange, parts: Partial<NetworkRecord> = {}): NetworkRecord {
  return {
    v: 1,
    id: randomBytes(32).toString('hex'),
    name,
    created: new Date().toISOString(),
    ...range,
    internal: false,
    attachable: false,
    labels: {},
    options: {},
    ...parts,
  };
}
