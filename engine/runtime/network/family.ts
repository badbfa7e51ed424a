import { randomBytes } from 'node:crypto';
import { contains, formatAddress, formatSubnet, overlaps, parseAddress, parseSubnet, type Subnet } from './ipv4.ts';
import {
  contains6,
  formatAddress6,
  formatSubnet6,
  overlaps6,
  parseAddress6,
  parseSubnet6,
  type Subnet6,
} from './ipv6.ts';
import { chooseSubnet, isHostAddress } from './pool.ts';

/** What differs between IPv4 and IPv6 where a network gets its addresses. */
export interface Family<S extends { readonly prefix: number }, A> {
  readonly name: 'IPv4' | 'IPv6';
  /** A subnet as one may type it. */
  readonly example: string;
  /** Prefixes that leave room for containers. */
  readonly prefixes: readonly [lowest: number, highest: number];
  readonly is: (text: string) => boolean;
  readonly parse: (text: string) => S | undefined;
  readonly format: (subnet: S) => string;
  readonly base: (subnet: S) => A;
  readonly address: (text: string) => A | undefined;
  readonly contains: (subnet: S, address: A) => boolean;
  readonly overlaps: (one: S, other: S) => boolean;
  /** Subnets that are there for something else: for many receivers, for one link, for the machine itself. */
  readonly reserved: readonly S[];
  /** The first address behind the subnet's own. */
  readonly first: (subnet: S) => string;
  /** Whether a container or a gateway may have it. */
  readonly isHost: (subnet: S, text: string) => boolean;
  /** A subnet that overlaps none of those that are taken. */
  readonly choose: (taken: readonly S[]) => S;
}

/** IPv4. */
export const FOUR: Family<Subnet, number> = {
  name: 'IPv4',
  example: '10.9.8.0/24',
  prefixes: [1, 29],
  is: (text) => !text.includes(':'),
  parse: parseSubnet,
  format: formatSubnet,
  base: ({ base }) => base,
  address: parseAddress,
  contains,
  overlaps,
  reserved: ['0.0.0.0/8', '127.0.0.0/8', '224.0.0.0/4'].flatMap((text) => parseSubnet(text) ?? []),
  first: ({ base }) => formatAddress(base + 1),
  isHost: isHostAddress,
  choose: chooseSubnet,
};

/** IPv6. */
export const SIX: Family<Subnet6, bigint> = {
  name: 'IPv6',
  example: 'fd00:9:8::/64',
  prefixes: [1, 126],
  is: (text) => text.includes(':'),
  parse: parseSubnet6,
  format: formatSubnet6,
  base: ({ base }) => base,
  address: parseAddress6,
  contains: contains6,
  overlaps: overlaps6,
  // `::/96`, `fe80::/10` and `ff00::/8`, as numbers: Node takes 4 ms for the first text that it looks at as an address, and this is read by
  // every command.
  reserved: [
    { base: 0n, prefix: 96 },
    { base: 0xfe80n << 112n, prefix: 10 },
    { base: 0xffn << 120n, prefix: 8 },
  ],
  first: ({ base }) => formatAddress6(base + 1n),
  // The subnet's own address means all routers on it. RFC 4291 2.6.1.
  isHost: (subnet, text) => {
    const address = parseAddress6(text);
    return address !== undefined && contains6(subnet, address) && address !== subnet.base;
  },
  choose: chooseSubnet6,
};

/** A subnet of one's own: fd00::/8, then forty bits that nobody else has drawn. RFC 4193 3.2. */
function chooseSubnet6(taken: readonly Subnet6[]): Subnet6 {
  for (;;) {
    const base = ((0xfdn << 40n) | BigInt(`0x${randomBytes(5).toString('hex')}`)) << 80n;
    const subnet = { base, prefix: 64 };
    if (!taken.some((other) => overlaps6(subnet, other))) return subnet;
  }
}

/**
 * The first free address of a network of IPv6; undefined when there is none.
 *
 * @param range Where to look; the subnet when left out.
 */
export function chooseAddress6(
  { subnet, range = subnet }: { readonly subnet: Subnet6; readonly range?: Subnet6 | undefined },
  taken: ReadonlySet<bigint>,
): string | undefined {
  const start = range.base > subnet.base ? range.base : subnet.base + 1n;
  const end = range.base + (1n << BigInt(128 - range.prefix));
  for (let at = start; at < end; at += 1n) if (!taken.has(at)) return formatAddress6(at);
  return undefined;
}
