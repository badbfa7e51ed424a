import { EngineError } from '../../base/errors.ts';
import type { NetworkJoin, RunSpec } from '../../engine.ts';
import type { BoundFile, Endpoint, Network, NetworkProbe, PublishedPort } from '../../native/protocol.ts';
import { freeAddress } from '../address.ts';
import { networkFiles, type NetworkFiles } from '../bound-files.ts';
import { ensureDefault, type Surroundings } from './default.ts';
import { choosePlace, type Membership, toEndpoint } from './endpoints.ts';
import type { Found } from '../list.ts';
import { findNetwork } from './find.ts';
import type { Resolvers } from './host.ts';
import { DEFAULT_NETWORK, type NetworkMode, parseMode } from './kinds.ts';
import { type LegacyLinks, resolveLinks } from './links.ts';
import type { NetworkRecord, NetworkRecords } from './records.ts';
import { INSTALL_PASTA, type Pasta } from './way-out.ts';
import { chooseWaysOut } from './ways-out.ts';

/** The network of a container, ready for the helper. */
export interface NetworkPlan {
  readonly network: Network;
  readonly files: readonly BoundFile[];
  /** The container's own address, where it has one. */
  readonly address?: string | undefined;
  readonly memberships: readonly Membership[];
  /** Variables that links bring: `NAME=value`. */
  readonly env?: readonly string[] | undefined;
  readonly warning?: string | undefined;
}

/** What the plan depends on beside the request. */
export interface NetworkPlanOptions {
  readonly id: string;
  readonly name: string;
  readonly hostname: string;
  readonly ports: readonly PublishedPort[];
  readonly records: NetworkRecords;
  readonly around: Surroundings;
  /** All containers of the store. */
  readonly existing: readonly Found[];
  /** What the machine allows; undefined where nobody has looked. */
  readonly probe: NetworkProbe | undefined;
  /** On a rung without bridges; undefined on the others. */
  readonly pasta?: Pasta | undefined;
}

/** Files and addresses are those of the container that is joined. */
const JOINED: NetworkPlan = { network: { mode: 'joined' }, files: [], memberships: [] };

/** Where the responder for names listens in a container. */
const RESPONDER = '127.0.0.11';

/** What `--network` comes to on this machine: bridges, or `pasta`, where they are possible; else loopback and ports, with a line that says so. */
export async function planNetwork(spec: RunSpec, options: NetworkPlanOptions): Promise<NetworkPlan> {
  const mode = modeOf(spec);
  checkSpec(spec, mode);
  const { probe } = options;
  if (mode.kind === 'container') return JOINED;
  if (mode.kind !== 'bridge') return await planAlone(mode.kind, spec, options);
  if (probe?.bridge) return await planBridge(mode.networks, spec, options);
  const named = mode.networks.find((name) => name !== DEFAULT_NETWORK);
  if (named !== undefined) throw noBridge(named, probe);
  // Neither has room for what belongs to a network of the store.
  checkSpec(spec, { kind: 'private' }, reasonOf(probe));
  const { pasta } = options;
  if (pasta?.program !== undefined) return await planPasta(pasta.program, spec, options);
  const plan = await planAlone('private', spec, options);
  const advice = pasta ? `; ${INSTALL_PASTA}` : '';
  return { ...plan, warning: `The container has no way out of its network: ${reasonOf(probe)}${advice}` };
}

/** A namespace of its own that `pasta` leads out of, and the responder for names. */
async function planPasta(program: string, spec: RunSpec, options: NetworkPlanOptions): Promise<NetworkPlan> {
  const { hostname, ports, around } = options;
  const address = freeAddress(new Set(around.addresses));
  const upstreams = (spec.dns?.length ? spec.dns : around.host.resolvers.nameservers).filter(isPlain);
  const files = networkFiles({
    ...filesOf(spec, { hostname, addresses: [address] }),
    host: false,
    resolvers: containerResolvers(spec, [], around.host.resolvers),
  });
  const wayOut = { pasta: program, dns: { upstreams } };
  return { network: { mode: 'private', address, ports: [...ports], wayOut }, files, address, memberships: [] };
}

/** What a request asks for as network. @throws `NETWORK_INVALID` */
export function modeOf({ network, moreNetworks = [] }: Pick<RunSpec, 'network' | 'moreNetworks'>): NetworkMode {
  return parseMode([...(network === undefined ? [] : [network]), ...moreNetworks]);
}

async function planAlone(
  mode: 'host' | 'none' | 'private',
  spec: RunSpec,
  { hostname, ports, around }: NetworkPlanOptions,
): Promise<NetworkPlan> {
  const own = mode === 'private' ? freeAddress(new Set(around.addresses)) : undefined;
  const network: Network =
    own === undefined
      ? { mode: mode === 'host' ? 'host' : 'none' }
      : { mode: 'private', address: own, ports: [...ports] };
  const files = networkFiles({
    ...filesOf(spec, { hostname, addresses: own === undefined ? [] : [own] }),
    host: mode === 'host',
    ...([spec.dns, spec.dnsSearch, spec.dnsOptions].some((given) => given?.length)
      ? { resolvers: ownResolvers(spec, around.host.resolvers) }
      : {}),
  });
  return { network, files, memberships: [], ...(own === undefined ? {} : { address: own }) };
}

async function planBridge(
  names: readonly string[],
  spec: RunSpec,
  { id, name, hostname, ports, records, around, existing }: NetworkPlanOptions,
): Promise<NetworkPlan> {
  const known = names.includes(DEFAULT_NETWORK)
    ? [...around.networks.filter((one) => one.name !== DEFAULT_NETWORK), await ensureDefault(records, around)]
    : around.networks;
  const asked = names.map((one) => ({ asked: one, network: findNetwork(known, one) }));
  const networks = [...new Map(asked.map(({ network }) => [network.id, network])).values()];
  const joined = placesOf(asked, spec, new Set(around.addresses));
  const waysOut = chooseWaysOut(joined);
  const endpoints: Endpoint[] = joined.map(({ network, place }) =>
    toEndpoint(network, place, { container: { id, name, hostname }, mtu: around.host.mtu, waysOut }),
  );
  const links = networks.some((one) => one.name === DEFAULT_NETWORK)
    ? resolveLinks(spec.links ?? [], name, existing)
    : undefined;
  const places = joined.map(({ place }) => place);
  const files = await bridgeFiles(spec, { hostname, networks, places, host: around.host.resolvers, links });
  const upstreams = spec.dns?.length ? spec.dns : around.host.resolvers.nameservers;
  const published = withBinding(ports, networks[0]);
  return {
    network: { mode: 'bridge', endpoints, ports: [...published], dns: { upstreams: upstreams.filter(isPlain) } },
    files,
    memberships: places,
    address: places[0]?.address,
    ...(links?.env.length ? { env: links.env } : {}),
  };
}

/** Ports that name no address of the host get that of their network. */
function withBinding(ports: readonly PublishedPort[], network: NetworkRecord | undefined): readonly PublishedPort[] {
  const { hostBinding } = network ?? {};
  if (hostBinding === undefined) return ports;
  return ports.map((port) => (port.hostAddress === '' ? { ...port, hostAddress: hostBinding } : port));
}

/** The files of a container on bridges. `networks` are those of `places`, in the same order. */
export async function bridgeFiles(
  spec: RunSpec,
  {
    hostname,
    networks,
    places,
    host,
    links,
  }: {
    readonly hostname: string;
    readonly networks: readonly Pick<NetworkRecord, 'name' | 'internal' | 'gateway'>[];
    readonly places: readonly Membership[];
    readonly host: Resolvers;
    readonly links?: LegacyLinks | undefined;
  },
): Promise<BoundFile[]> {
  const gateway = networks.find(({ internal }) => !internal)?.gateway;
  const addresses = places.flatMap(({ address, address6 }) => [address, ...(address6 === undefined ? [] : [address6])]);
  return networkFiles({
    ...filesOf(spec, { hostname, addresses, gateway }),
    linked: links?.hosts,
    host: false,
    resolvers: containerResolvers(spec, networks, host),
  });
}

/** A network that is named twice is joined once, as it was named first. */
function placesOf(
  networks: readonly { readonly asked: string; readonly network: NetworkRecord }[],
  spec: RunSpec,
  taken: ReadonlySet<string>,
): readonly { readonly network: NetworkRecord; readonly place: Membership }[] {
  const all: { network: NetworkRecord; place: Membership }[] = [];
  for (const { asked, network } of networks) {
    if (all.some((one) => one.network.id === network.id)) continue;
    const places = all.map(({ place }) => place);
    const used = new Set([...taken, ...places.flatMap(addressesOn)]);
    const interfaces = places.map((one) => one.interface);
    const join = { ...(all.length === 0 ? firstJoin(spec, network) : {}), ...spec.joins?.[asked] };
    all.push({ network, place: choosePlace(network, join, { taken: used, interfaces }) });
  }
  return all;
}

/** Every address of a place. */
export function addressesOn({ address, address6 }: Membership): readonly string[] {
  return [address, ...(address6 === undefined ? [] : [address6])];
}

/** What was asked for without naming a network. Links of the default network are no matter of names. */
function firstJoin(spec: RunSpec, { name }: Pick<NetworkRecord, 'name'>): NetworkJoin {
  return {
    address: spec.ip,
    address6: spec.ip6,
    mac: spec.macAddress,
    aliases: spec.networkAliases,
    linkLocal: spec.linkLocalIps,
    ...(name === DEFAULT_NETWORK ? {} : { links: spec.links }),
  };
}

function filesOf(
  spec: RunSpec,
  {
    hostname,
    addresses,
    gateway,
  }: { readonly hostname: string; readonly addresses: readonly string[]; readonly gateway?: string | undefined },
): Pick<NetworkFiles, 'hostname' | 'domainname' | 'addresses' | 'extraHosts'> {
  const extraHosts = (spec.extraHosts ?? []).map(({ name, address }) => {
    if (address !== 'host-gateway') return { name, address };
    if (gateway !== undefined) return { name, address: gateway };
    if (modeOf(spec).kind === 'host') return { name, address: '127.0.0.1' };
    throw new EngineError(
      'NETWORK_INVALID',
      `Cannot use --add-host ${name}:host-gateway: the host is out of reach of the container's network`,
      { hint: 'use --network host' },
    );
  });
  return { hostname, domainname: spec.domainname, addresses, extraHosts };
}

/** On a network with names the responder is asked; elsewhere too, unless resolvers were given: it alone reaches one on the host's loopback. */
function containerResolvers(
  spec: RunSpec,
  networks: readonly Pick<NetworkRecord, 'name'>[],
  host: Resolvers,
): Resolvers {
  const hasNames = networks.some(({ name }) => name !== DEFAULT_NETWORK);
  const given = ownResolvers(spec, host);
  if (!hasNames && spec.dns?.length) return given;
  return throughResponder(given);
}

/** The responder in the place of resolvers that it asks. */
export function throughResponder({ search, options }: Resolvers): Resolvers {
  const hasDots = options.some((option) => option.startsWith('ndots:'));
  return { nameservers: [RESPONDER], search, options: hasDots ? options : [...options, 'ndots:0'] };
}

/** The host's, with what was given in its place. `.` as search domain means none. */
function ownResolvers({ dns, dnsSearch, dnsOptions }: RunSpec, host: Resolvers): Resolvers {
  return {
    nameservers: dns?.length ? dns : host.nameservers,
    search: dnsSearch?.length ? dnsSearch.filter((domain) => domain !== '.') : host.search,
    options: dnsOptions?.length ? dnsOptions : host.options,
  };
}

/** An address without a zone, which has no meaning in another namespace. */
export function isPlain(address: string): boolean {
  return !address.includes('%');
}

/**
 * @param reason why the container has this mode, where nobody asked for it
 * @throws `NETWORK_INVALID` for what the mode leaves no room for
 */
export function checkSpec(spec: RunSpec, mode: NetworkMode, reason?: string): void {
  const refuse = (what: string): never => {
    const asked = mode.kind === 'container' ? `container:${mode.container}` : mode.kind;
    const why = reason === undefined ? ` with --network ${asked}: conflicting options` : `: ${reason}`;
    throw new EngineError('NETWORK_INVALID', `Cannot use ${what}${why}`, {
      hint: `leave out ${what}`,
    });
  };
  if (mode.kind === 'bridge') return;
  if (spec.networkAliases?.length) refuse('--network-alias');
  if (spec.ip !== undefined) refuse('--ip');
  if (spec.ip6 !== undefined) refuse('--ip6');
  if (spec.linkLocalIps?.length) refuse('--link-local-ip');
  if (spec.links?.length) refuse('--link');
  const joined = Object.values(spec.joins ?? {}).some((join) => Object.keys(join).length > 0);
  if (joined) refuse('options of --network name=…');
  if (spec.macAddress !== undefined) refuse('--mac-address');
  if (mode.kind !== 'container') return;
  if (spec.hostname !== undefined) refuse('--hostname');
  if (spec.dns?.length) refuse('--dns');
  if (spec.dnsSearch?.length) refuse('--dns-search');
  if (spec.dnsOptions?.length) refuse('--dns-option');
  if (spec.extraHosts?.length) refuse('--add-host');
  if (spec.ports?.length) refuse('--publish');
  if (spec.publishAll) refuse('--publish-all');
}

/** A network of the store cannot be on this machine. */
export function noBridge(name: string, probe: NetworkProbe | undefined): EngineError {
  return new EngineError('NETWORK_IMPOSSIBLE', `Cannot use network ${name}: ${reasonOf(probe)}`, {
    hint: probe?.hint ?? 'use --network host or --network none',
  });
}

/** Why there are no bridges. */
export function reasonOf(probe: NetworkProbe | undefined): string {
  return probe?.reason ?? 'this machine has no bridges for containers';
}
