import type { NetworkSummary } from '../../engine.ts';
import type { Found } from '../list.ts';
import type { Membership } from './endpoints.ts';

/** States in which a container has its interfaces. */
export const ONLINE: ReadonlySet<string> = new Set(['running', 'paused']);

/** A network in the shape of `docker network inspect`, with the containers that run on it. */
export function inspectNetwork(network: NetworkSummary, existing: readonly Found[]): Record<string, unknown> {
  const { subnet, gateway, ipRange, reserved, ownGateway = false } = network;
  // What was asked for, as Docker shows it: a subnet alone has its gateway all the same.
  const more = {
    ...(ipRange ? { IPRange: ipRange } : {}),
    ...(ownGateway ? {} : { Gateway: gateway }),
    ...(reserved ? { AuxiliaryAddresses: reserved } : {}),
  };
  const config = subnet === undefined ? [] : [{ Subnet: subnet, ...more }];
  return {
    Name: network.name,
    Id: network.id,
    Created: network.created,
    Scope: 'local',
    Driver: network.driver,
    EnableIPv4: true,
    EnableIPv6: false,
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

function memberOf(id: string, { state, record }: Found): readonly (readonly [string, Record<string, unknown>])[] {
  const membership = record.memberships?.find((one) => one.id === id);
  if (!membership || !ONLINE.has(state.status)) return [];
  const { mac, address, prefix } = membership;
  return [
    [
      state.id,
      { Name: record.name, EndpointID: '', MacAddress: mac, IPv4Address: `${address}/${prefix}`, IPv6Address: '' },
    ],
  ];
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
        IPAMConfig: null,
        Links: null,
        Aliases: one.aliases.length > 0 ? one.aliases : null,
        MacAddress: running ? one.mac : '',
        DriverOpts: null,
        GwPriority: 0,
        NetworkID: one.id,
        EndpointID: '',
        Gateway: running ? one.gateway : '',
        IPAddress: running ? one.address : '',
        IPPrefixLen: running ? one.prefix : 0,
        IPv6Gateway: '',
        GlobalIPv6Address: '',
        GlobalIPv6PrefixLen: 0,
        DNSNames: one.name === 'bridge' ? null : [name, ...one.aliases, id.slice(0, 12)],
      },
    ]),
  );
}
