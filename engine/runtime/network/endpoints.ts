import { EngineError } from '../../base/errors.ts';
import type { NetworkJoin } from '../../engine.ts';
import type { BridgeNetwork, Endpoint, WaysOut } from '../../native/protocol.ts';
import { readDriverOptions, type InterfaceOptions } from './driver-options.ts';
import { chooseAddress6, FOUR, SIX } from './family.ts';
import { formatSubnet, parseSubnet } from './ipv4.ts';
import { formatAddress6, parseAddress6, parseSubnet6 } from './ipv6.ts';
import { DEFAULT_NETWORK } from './kinds.ts';
import { chooseAddress, halvesOf } from './pool.ts';
import type { NetworkRecord } from './records.ts';

/** A container's place on a network, as its record keeps it. */
export interface Membership {
  readonly id: string;
  readonly name: string;
  readonly address: string;
  readonly gateway: string;
  readonly prefix: number;
  /** On a network with IPv6, as the two that follow. */
  readonly address6?: string | undefined;
  readonly gateway6?: string | undefined;
  readonly prefix6?: number | undefined;
  readonly mac: string;
  /** `eth0` … */
  readonly interface: string;
  readonly aliases: readonly string[];
  readonly gatewayPriority?: number | undefined;
  /** What was asked for beside that. */
  readonly asked?: Omit<NetworkJoin, 'aliases' | 'gatewayPriority'> | undefined;
}

/** Gives a container a place on a network. @throws `ADDRESS_IN_USE`, `NETWORK_INVALID`, `NETWORK_FULL` */
export function choosePlace(
  network: NetworkRecord,
  join: NetworkJoin,
  { taken, interfaces }: { readonly taken: ReadonlySet<string>; readonly interfaces: readonly string[] },
): Membership {
  const { address, address6, mac, aliases = [], gatewayPriority, ...others } = join;
  const subnet = parseSubnet(network.subnet) ?? { base: 0, prefix: 32 };
  const isolated = network.traits?.includes('noHost') ?? false;
  const used = new Set([...taken, ...(isolated ? [] : [network.gateway]), ...Object.values(network.reserved ?? {})]);
  if (address !== undefined) checkAddress(network, '--ip', address, used);
  if (aliases.length > 0 && network.name === DEFAULT_NETWORK) {
    throw new EngineError(
      'NETWORK_INVALID',
      `Cannot use the alias ${aliases[0]}: network-scoped alias is supported only for containers in user defined networks`,
      { hint: 'berth network create NAME, and use that network' },
    );
  }
  const { ipRange } = network;
  const asRange = ipRange === undefined ? undefined : parseSubnet(ipRange);
  const range = network.name === DEFAULT_NETWORK ? halvesOf(subnet).containers : asRange;
  const chosen = address ?? chooseAddress({ name: network.name, subnet, range }, used);
  const asked = askedOf({ address, address6, mac, ...others });
  return {
    id: network.id,
    name: network.name,
    address: chosen,
    gateway: isolated ? '' : network.gateway,
    prefix: subnet.prefix,
    ...chooseSix(network, address6, taken, isolated),
    mac: mac ?? macOf(chosen),
    interface: chooseInterface(readDriverOptions(join.driverOptions ?? {}), network, interfaces),
    aliases,
    ...(gatewayPriority ? { gatewayPriority } : {}),
    ...(asked ? { asked } : {}),
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
    waysOut,
  }: { readonly container: Parameters<typeof namesOn>[1]; readonly mtu: number; readonly waysOut: WaysOut },
): Endpoint {
  const { links, linkLocal, driverOptions = {} } = place.asked ?? {};
  return {
    network: toBridgeNetwork(network, mtu),
    address: place.address,
    mac: place.mac,
    interface: place.interface,
    names: network.name === DEFAULT_NETWORK ? [] : [...namesOn(place, container)],
    defaultRoute: waysOut.ipv4 === network.id,
    ...(place.address6 === undefined
      ? {}
      : { ipv6: { address: place.address6, defaultRoute: waysOut.ipv6 === network.id } }),
    ...(linkLocal?.length ? { linkLocal: [...linkLocal] } : {}),
    ...(links?.length ? { links: links.map(({ alias, container: name }) => ({ alias, name: bareName(name) })) } : {}),
    sysctls: { ...readDriverOptions(driverOptions).sysctls },
  };
}

/** What the helper makes of a network; `mtu` is that of the machine's way out. Steps of builds are on the default one. */
export function toBridgeNetwork(network: NetworkRecord, mtu: number): BridgeNetwork {
  const { ipv6, bridge, traits } = network;
  const subnet = network.name === DEFAULT_NETWORK ? parseSubnet(network.subnet) : undefined;
  return {
    id: network.id,
    name: network.name,
    subnet: network.subnet,
    gateway: network.gateway,
    internal: network.internal,
    mtu: network.mtu ?? mtu,
    ...(ipv6 ? { ipv6: { subnet: ipv6.subnet, gateway: ipv6.gateway } } : {}),
    ...(bridge === undefined ? {} : { bridge }),
    ...(traits ? { traits: [...traits] } : {}),
    ...(subnet ? { steps: formatSubnet(halvesOf(subnet).steps) } : {}),
  };
}

/** The name by which the responder knows it: without Docker's slash, an id by its first twelve digits. */
function bareName(container: string): string {
  const bare = container.replace(/^\//, '');
  return /^[0-9a-f]{64}$/.test(bare) ? bare.slice(0, 12) : bare;
}

function askedOf(asked: Omit<NetworkJoin, 'aliases' | 'gatewayPriority'>): Membership['asked'] {
  const given = Object.entries(asked).filter(
    ([, value]) => value !== undefined && (!Array.isArray(value) || value.length > 0),
  );
  return given.length > 0 ? Object.fromEntries(given) : undefined;
}

function chooseSix(
  network: NetworkRecord,
  asked: string | undefined,
  taken: ReadonlySet<string>,
  isolated: boolean,
): Pick<Membership, 'address6' | 'gateway6' | 'prefix6'> {
  const { ipv6 } = network;
  const subnet = ipv6 && parseSubnet6(ipv6.subnet);
  const address = asked === undefined ? undefined : canonical(asked);
  if (!ipv6 || !subnet) {
    if (address === undefined) return {};
    checkIsOwn(network, '--ip6', address);
    throw new EngineError('NETWORK_INVALID', `Cannot use --ip6 ${address}: network ${network.name} has no IPv6`, {
      hint: hintFor('--ip6'),
    });
  }
  const texts = [...taken, ...(isolated ? [] : [ipv6.gateway]), ...Object.values(ipv6.reserved ?? {})];
  const used = new Set(texts.flatMap((text) => parseAddress6(text) ?? []));
  if (address !== undefined) checkAddress(network, '--ip6', address, new Set(texts.map(canonical)));
  const range = ipv6.ipRange === undefined ? undefined : parseSubnet6(ipv6.ipRange);
  const chosen = address ?? chooseAddress6({ subnet, range }, used);
  if (chosen === undefined) {
    throw new EngineError(
      'NETWORK_FULL',
      `Cannot join network ${network.name}: no available IPv6 addresses on this network`,
      { hint: 'remove containers of it, or use another network' },
    );
  }
  return { address6: chosen, gateway6: isolated ? '' : ipv6.gateway, prefix6: subnet.prefix };
}

/** The one way to write an address of IPv6 (RFC 5952); of what is none the text. */
function canonical(text: string): string {
  const address = parseAddress6(text);
  return address === undefined ? text : formatAddress6(address);
}

function checkAddress(
  network: NetworkRecord,
  flag: '--ip' | '--ip6',
  address: string,
  used: ReadonlySet<string>,
): void {
  const refuse = (why: string, hint?: string): never => {
    throw new EngineError('NETWORK_INVALID', `Cannot use ${flag} ${address}: ${why}`, { hint });
  };
  checkIsOwn(network, flag, address);
  const range = flag === '--ip' ? network : network.ipv6;
  if (range?.pooled) {
    refuse(
      'user specified IP address is supported only when connecting to networks with user configured subnets',
      hintFor(flag),
    );
  }
  if (!range || !holds(range.subnet, address)) {
    refuse(`no address of network ${network.name}, whose subnet is ${range?.subnet ?? ''}`);
  }
  if (!used.has(address)) return;
  throw new EngineError(
    'ADDRESS_IN_USE',
    `Cannot use ${flag} ${address}: Address already in use on network ${network.name}`,
    { hint: `leave ${flag} out, and a free one is chosen` },
  );
}

function checkIsOwn({ name }: NetworkRecord, flag: '--ip' | '--ip6', address: string): void {
  if (name !== DEFAULT_NETWORK) return;
  throw new EngineError(
    'NETWORK_INVALID',
    `Cannot use ${flag} ${address}: user specified IP address is supported on user defined networks only`,
    { hint: hintFor(flag) },
  );
}

function hintFor(flag: '--ip' | '--ip6'): string {
  const example = flag === '--ip' ? '--subnet 10.9.8.0/24' : '--ipv6 --subnet fd00:9:8::/64';
  return `berth network create ${example} NAME, then --network NAME`;
}

function holds(text: string, address: string): boolean {
  const [four, six] = [FOUR.parse(text), SIX.parse(text)];
  return four ? FOUR.isHost(four, address) : six ? SIX.isHost(six, address) : false;
}

/** The name that was asked for, else the first with a number that no other network of the container has. */
function chooseInterface(
  { name }: InterfaceOptions,
  { interfacePrefix = 'eth' }: NetworkRecord,
  interfaces: readonly string[],
): string {
  if (name !== undefined) {
    if (!interfaces.includes(name)) return name;
    throw new EngineError('NETWORK_INVALID', `Cannot name an interface ${name}: the container has one of this name`, {
      hint: 'choose another com.docker.network.endpoint.ifname',
    });
  }
  let number = 0;
  while (interfaces.includes(`${interfacePrefix}${number}`)) number += 1;
  return `${interfacePrefix}${number}`;
}

/** Locally administered, made of the address: the same for the same address, as neighbours remember it. */
function macOf(address: string): string {
  const bytes = address.split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
  return ['02', '42', ...bytes].join(':');
}
