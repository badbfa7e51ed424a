import { textOf } from '../../base/small-file.ts';
import { formatAddress, type Subnet, subnetOf } from './ipv4.ts';
import type { Subnet6 } from './ipv6.ts';

/** A destination that this machine knows a way to. */
export interface Route<S = Subnet> {
  readonly subnet: S;
  readonly interface: string;
}

/** The network of this machine, as far as networks for containers depend on it. */
export interface HostNetwork {
  /** Without the default route. */
  readonly routes: readonly Route[];
  /** Bytes of a packet on the way out. */
  readonly mtu: number;
  readonly resolvers: Resolvers;
}

/** What a resolv.conf says. */
export interface Resolvers {
  readonly nameservers: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
}

const MTU = 1500;

/** Reads {@link HostNetwork}. What cannot be read counts as empty. */
export function readHostNetwork(): HostNetwork {
  const all = parseRoutes(textOf('/proc/net/route', ''));
  const out = all.find(({ subnet }) => subnet.prefix === 0)?.interface;
  return {
    routes: all.filter(({ subnet }) => subnet.prefix > 0),
    mtu: out === undefined ? MTU : parseMtu(textOf(`/sys/class/net/${out}/mtu`, '')),
    resolvers: parseResolvers(textOf('/etc/resolv.conf', '')),
  };
}

/** Whether this machine has a default route of IPv4. */
export function hasWayOut(): boolean {
  return parseRoutes(textOf('/proc/net/route', '')).some(({ subnet }) => subnet.prefix === 0);
}

/** The same of IPv6; the kernel keeps one of its own on loopback that leads nowhere. */
export function hasWayOut6(): boolean {
  return textOf('/proc/net/ipv6_route', '')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .some(
      ([destination = '', length, ...rest]) => /^0{32}$/.test(destination) && length === '00' && rest.at(-1) !== 'lo',
    );
}

/** The same destinations of IPv6; undefined where the kernel has none. */
export function readRoutes6(): readonly Route<Subnet6>[] | undefined {
  const interfaces = textOf('/proc/net/if_inet6', undefined);
  return interfaces === undefined ? undefined : parseRoutes6(textOf('/proc/net/ipv6_route', ''));
}

/** Reads the text of `/proc/net/route`: numbers in hex, in the byte order of the network. */
export function parseRoutes(table: string): readonly Route[] {
  return table
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const fields = line.trim().split(/\s+/);
      const [name, destination, mask] = [fields[0], fromHex(fields[1]), fromHex(fields[7])];
      if (name === undefined || destination === undefined || mask === undefined) return [];
      return [{ interface: name, subnet: subnetOf(destination, bitsOf(mask)) }];
    });
}

/** Reads the text of `/proc/net/ipv6_route`: what belongs to a link or a group, and the default route, are no subnets of anybody. */
export function parseRoutes6(table: string): readonly Route<Subnet6>[] {
  return table.split('\n').flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    const [destination = '', length = '', name] = [fields[0], fields[1], fields[9]];
    if (!/^[0-9a-f]{32}$/.test(destination) || !/^[0-9a-f]{2}$/.test(length) || name === undefined) return [];
    const prefix = Number.parseInt(length, 16);
    if (prefix === 0 || /^f[ef]/.test(destination) || name === 'lo') return [];
    return [{ interface: name, subnet: { base: BigInt(`0x${destination}`), prefix } }];
  });
}

/** Reads the text of a resolv.conf. */
export function parseResolvers(text: string): Resolvers {
  const lines = text.split('\n').map((line) => line.trim().split(/\s+/));
  const values = (word: string): readonly (readonly string[])[] =>
    lines.filter(([first]) => first === word).map(([, ...rest]) => rest);
  return {
    nameservers: values('nameserver').flatMap(([address = '']) => (address === '' ? [] : [address])),
    // The last one counts.
    search: [...values('domain'), ...values('search')].at(-1) ?? [],
    options: values('options').flat(),
  };
}

/** The text of a resolv.conf. */
export function formatResolvers({ nameservers, search, options }: Resolvers): string {
  return [
    ...nameservers.map((address) => `nameserver ${address}`),
    ...(search.length > 0 ? [`search ${search.join(' ')}`] : []),
    ...(options.length > 0 ? [`options ${options.join(' ')}`] : []),
  ]
    .map((line) => `${line}\n`)
    .join('');
}

function parseMtu(text: string): number {
  const mtu = Number(text.trim());
  return Number.isInteger(mtu) && mtu >= 576 && mtu <= 65_535 ? mtu : MTU;
}

function fromHex(text: string | undefined): number | undefined {
  const bytes = /^[0-9A-Fa-f]{8}$/.test(text ?? '') ? (text?.match(/../g) ?? []) : undefined;
  return bytes?.reverse().reduce((sum, byte) => sum * 256 + Number.parseInt(byte, 16), 0);
}

function bitsOf(mask: number): number {
  return [...formatAddress(mask).split('.')].reduce(
    (sum, part) => sum + Number(part).toString(2).replaceAll('0', '').length,
    0,
  );
}
