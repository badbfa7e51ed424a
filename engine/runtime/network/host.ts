import { readFile } from 'node:fs/promises';
import { formatAddress, type Subnet, subnetOf } from './ipv4.ts';

/** A destination that this machine knows a way to. */
export interface Route {
  readonly subnet: Subnet;
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
export async function readHostNetwork(): Promise<HostNetwork> {
  const [table, resolv] = await Promise.all([read('/proc/net/route'), read('/etc/resolv.conf')]);
  const all = parseRoutes(table);
  const out = all.find(({ subnet }) => subnet.prefix === 0)?.interface;
  return {
    routes: all.filter(({ subnet }) => subnet.prefix > 0),
    mtu: out === undefined ? MTU : parseMtu(await read(`/sys/class/net/${out}/mtu`)),
    resolvers: parseResolvers(resolv),
  };
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

async function read(path: string): Promise<string> {
  return await readFile(path, 'utf8').catch(() => '');
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
