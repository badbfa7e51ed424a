import { randomInt } from 'node:crypto';
import { EngineError } from '../../base/errors.ts';
import { contains, formatAddress, overlaps, parseAddress, parseSubnet, sizeOf, type Subnet } from './ipv4.ts';

/** Where networks without a subnet of their own get one: blocks that few others use, each cut into pieces of 4096 addresses. */
const BLOCKS = ['172.24.0.0/13', '10.192.0.0/11', '192.168.128.0/17'] as const;
const PIECE = 20;

/** Pieces at the beginning of the pool, of which default networks are. The last ones of their block are those of AWS's own networks. */
const OF_DEFAULTS = 96;

/** The subnet of a default network: any, so that two stores that choose at the same time seldom choose the same. @throws `NETWORK_POOL_EMPTY` */
export function chooseDefault(taken: readonly Subnet[]): Subnet {
  const { base = 0 } = parseSubnet(BLOCKS[0]) ?? {};
  const piece = { base: base + randomInt(OF_DEFAULTS) * sizeOf({ prefix: PIECE }), prefix: PIECE };
  return taken.some((other) => overlaps(piece, other)) ? chooseSubnet(taken) : piece;
}

/** The first piece of the pool that overlaps nothing that is taken. @throws `NETWORK_POOL_EMPTY` */
export function chooseSubnet(taken: readonly Subnet[]): Subnet {
  for (const block of BLOCKS) {
    const { base = 0, prefix = 32 } = parseSubnet(block) ?? {};
    for (let at = base; at < base + sizeOf({ prefix }); at += sizeOf({ prefix: PIECE })) {
      const piece = { base: at, prefix: PIECE };
      if (!taken.some((other) => overlaps(piece, other))) return piece;
    }
  }
  throw new EngineError(
    'NETWORK_POOL_EMPTY',
    'Cannot choose a subnet: all predefined address pools have been fully subnetted, or overlap routes of this machine',
    { hint: 'berth network prune, or give one: berth network create --subnet 10.9.8.0/24 NAME' },
  );
}

/**
 * Who gets which addresses of the default network: containers the first half, when they are made, and steps of builds the second one, when they
 * start. Each half has more than a bridge has ports.
 */
export function halvesOf({ base, prefix }: Subnet): { readonly containers: Subnet; readonly steps: Subnet } {
  const half = { prefix: prefix + 1 };
  return { containers: { base, ...half }, steps: { base: base + sizeOf(half), ...half } };
}

/**
 * The first free address of a network.
 *
 * @param range Where to look; the subnet when left out.
 * @throws `NETWORK_FULL`
 */
export function chooseAddress(
  {
    name,
    subnet,
    range = subnet,
  }: { readonly name: string; readonly subnet: Subnet; readonly range?: Subnet | undefined },
  taken: ReadonlySet<string>,
): string {
  const end = Math.min(range.base + sizeOf(range), subnet.base + sizeOf(subnet) - 1);
  for (let at = Math.max(range.base, subnet.base + 1); at < end; at += 1) {
    const address = formatAddress(at);
    if (!taken.has(address)) return address;
  }
  throw new EngineError('NETWORK_FULL', `Cannot join network ${name}: no available IPv4 addresses on this network`, {
    hint: 'remove containers of it, or use another network',
  });
}

/** Whether `address` may be given to a container of the subnet: not its first and not its last, which mean the network and everybody. */
export function isHostAddress(subnet: Subnet, address: string): boolean {
  const number = parseAddress(address);
  if (number === undefined || !contains(subnet, number)) return false;
  return number !== subnet.base && number !== subnet.base + sizeOf(subnet) - 1;
}
