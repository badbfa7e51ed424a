import { EngineError } from '../../base/errors.ts';
import type { Endpoint } from '../../native/protocol.ts';
import { parseSubnet } from './ipv4.ts';
import { DEFAULT_NETWORK } from './kinds.ts';
import { chooseAddress, isHostAddress } from './pool.ts';
import type { NetworkRecord } from './records.ts';

/** A container's place on a network, as its record keeps it. */
export interface Membership {
  readonly id: string;
  readonly name: string;
  readonly address: string;
  readonly gateway: string;
  readonly prefix: number;
  readonly mac: string;
  /** `eth0` … */
  readonly interface: string;
  readonly aliases: readonly string[];
}

/** What was asked for one network. */
export interface PlaceRequest {
  readonly address?: string | undefined;
  readonly mac?: string | undefined;
  readonly aliases?: readonly string[] | undefined;
}

/** Gives a container a place on a network. @throws `ADDRESS_IN_USE`, `NETWORK_INVALID`, `NETWORK_FULL` */
export function choosePlace(
  network: NetworkRecord,
  { address, mac, aliases = [] }: PlaceRequest,
  { taken, interface: name }: { readonly taken: ReadonlySet<string>; readonly interface: string },
): Membership {
  const subnet = parseSubnet(network.subnet) ?? { base: 0, prefix: 32 };
  const used = new Set([...taken, network.gateway, ...Object.values(network.reserved ?? {})]);
  if (address !== undefined) checkAddress(network, address, used);
  if (aliases.length > 0 && network.name === DEFAULT_NETWORK) {
    throw new EngineError(
      'NETWORK_INVALID',
      `Cannot use the alias ${aliases[0]}: network-scoped alias is supported only for containers in user defined networks`,
      { hint: 'berth network create NAME, and use that network' },
    );
  }
  const range = network.ipRange === undefined ? undefined : parseSubnet(network.ipRange);
  const chosen = address ?? chooseAddress({ name: network.name, subnet, range }, used);
  return {
    id: network.id,
    name: network.name,
    address: chosen,
    gateway: network.gateway,
    prefix: subnet.prefix,
    mac: mac ?? macOf(chosen),
    interface: name,
    aliases,
  };
}

/** By which the others on a network find a container: its name, its id, its host name and its aliases. */
export function namesOn(
  { aliases }: Pick<Membership, 'aliases'>,
  { id, name, hostname }: { readonly id: string; readonly name: string; readonly hostname: string },
): readonly string[] {
  return [...new Set([name, id.slice(0, 12), hostname, ...aliases])];
}

/** What the helper makes of a place. */
export function toEndpoint(
  network: NetworkRecord,
  place: Membership,
  {
    container,
    mtu,
    defaultRoute,
  }: { readonly container: Parameters<typeof namesOn>[1]; readonly mtu: number; readonly defaultRoute: boolean },
): Endpoint {
  return {
    network: {
      id: network.id,
      name: network.name,
      subnet: network.subnet,
      gateway: network.gateway,
      internal: network.internal,
      mtu: network.mtu ?? mtu,
    },
    address: place.address,
    mac: place.mac,
    interface: place.interface,
    names: network.name === DEFAULT_NETWORK ? [] : [...namesOn(place, container)],
    defaultRoute,
  };
}

function checkAddress(network: NetworkRecord, address: string, used: ReadonlySet<string>): void {
  const subnet = parseSubnet(network.subnet);
  if (network.name === DEFAULT_NETWORK) {
    throw new EngineError(
      'NETWORK_INVALID',
      `Cannot use --ip ${address}: user specified IP address is supported on user defined networks only`,
      { hint: 'berth network create --subnet 10.9.8.0/24 NAME, then --network NAME' },
    );
  }
  if (!subnet || !isHostAddress(subnet, address)) {
    throw new EngineError(
      'NETWORK_INVALID',
      `Cannot use --ip ${address}: no address of network ${network.name}, whose subnet is ${network.subnet}`,
    );
  }
  if (used.has(address)) {
    throw new EngineError(
      'ADDRESS_IN_USE',
      `Cannot use --ip ${address}: Address already in use on network ${network.name}`,
      {
        hint: 'leave --ip out, and a free one is chosen',
      },
    );
  }
}

/** Locally administered, made of the address: the same for the same address, as neighbours remember it. */
function macOf(address: string): string {
  const bytes = address.split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
  return ['02', '42', ...bytes].join(':');
}
