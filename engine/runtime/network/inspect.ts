import type { NetworkJoin, NetworkRange, NetworkSummary } from '../../engine.ts';
import type { Found } from '../list.ts';
import type { Membership } from './endpoints.ts';

/** States in which a container has its interfaces. */
export const ONLINE: ReadonlySet<string> = new Set(['running', 'paused']);

/** A network in the shape of `docker network inspect`, with the containers that run on it. */
export function inspectNetwork(network: NetworkSummary, existing: readonly Found[]): Record<string, unknown> {
  const { subnet, gateway = '', ipv6 } = network;
  const config = [
    ...(subnet === undefined ? [] : [configOf({ ...network, subnet, gateway })]),
    ...(ipv6 ? [configOf(ipv6)] : []),
  ];
  return {
    Name: network.name,
    Id: network.id,
    Created: network.created,
    Scope: 'local',
    Driver: network.driver,
    EnableIPv4: true,
    EnableIPv6: ipv6 !== undefined,
    IPAM: { Driver: 'default', Options: null, Config: config },
    Internal: network.internal,
    Attachable: network.attachable,
    Ingress: false,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Containers: Object.fromEntries(existing.flatMap((found) => memberOf(network.id, found))),
    Options: network.options,
    Labels: network.labels,
  };
}

/** What was asked for, as Docker shows it: a subnet alone has its gateway all the same. */
function configOf({ subnet, gateway, ipRange, reserved, ownGateway = false }: NetworkRange): Record<string, unknown> {
  return {
    Subnet: subnet,
    ...(ipRange ? { IPRange: ipRange } : {}),
    ...(ownGateway ? {} : { Gateway: gateway }),
    ...(reserved ? { AuxiliaryAddresses: reserved } : {}),
  };
}

function memberOf(id: string, { state, record }: Found): readonly (readonly [string, Record<string, unknown>])[] {
  const membership = record.memberships?.find((one) => one.id === id);
  if (!membership || !ONLINE.has(state.status)) return [];
  const { mac, address, prefix, address6, prefix6 = 0 } = membership;
  const addresses = {
    IPv4Address: `${address}/${prefix}`,
    IPv6Address: address6 === undefined ? '' : `${address6}/${prefix6}`,
  };
  return [[state.id, { Name: record.name, EndpointID: '', MacAddress: mac, ...addresses }]];
}

/** The part of `docker inspect` on a container's networks. Addresses are those that it has while it runs. */
export function inspectMemberships(
  memberships: readonly Membership[],
  { running, id, name }: { readonly running: boolean; readonly id: string; readonly name: string },
): Record<string, unknown> {
  return Object.fromEntries(
    memberships.map((one) => [
      one.name,
      {
        IPAMConfig: ipamOf(one.asked ?? {}),
        Links: linksOf(one.asked ?? {}),
        Aliases: one.aliases.length > 0 ? one.aliases : null,
        MacAddress: running ? one.mac : '',
        DriverOpts: one.asked?.driverOptions ?? null,
        GwPriority: one.gatewayPriority ?? 0,
        NetworkID: one.id,
        EndpointID: '',
        Gateway: running ? one.gateway : '',
        IPAddress: running ? one.address : '',
        IPPrefixLen: running ? one.prefix : 0,
        ...sixOf(one, running),
        DNSNames: one.name === 'bridge' ? null : [name, ...one.aliases, id.slice(0, 12)],
      },
    ]),
  );
}

/** The fields on IPv6 of a place on a network. */
export function sixOf(
  place: Pick<Membership, 'address6' | 'gateway6' | 'prefix6'> | undefined,
  running: boolean,
): Record<string, unknown> {
  return {
    IPv6Gateway: running ? (place?.gateway6 ?? '') : '',
    GlobalIPv6Address: running ? (place?.address6 ?? '') : '',
    GlobalIPv6PrefixLen: running ? (place?.prefix6 ?? 0) : 0,
  };
}

function ipamOf({ address, address6, linkLocal }: NetworkJoin): Record<string, unknown> | null {
  const config = {
    ...(address === undefined ? {} : { IPv4Address: address }),
    ...(address6 === undefined ? {} : { IPv6Address: address6 }),
    ...(linkLocal ? { LinkLocalIPs: linkLocal } : {}),
  };
  return Object.keys(config).length > 0 ? config : null;
}

function linksOf({ links }: NetworkJoin): readonly string[] | null {
  return links ? links.map(({ container, alias }) => (alias === container ? alias : `${container}:${alias}`)) : null;
}
