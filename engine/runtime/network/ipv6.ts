import { isIPv6 } from 'node:net';

/** A range of IPv6 addresses: those whose first `prefix` bits are those of `base`. */
export interface Subnet6 {
  readonly base: bigint;
  readonly prefix: number;
}

const BITS = 128;

/** An address as a number; undefined when the text is none, or has a zone. */
export function parseAddress6(text: string): bigint | undefined {
  if (!text.includes(':') || text.includes('%') || !isIPv6(text)) return undefined;
  const [head = '', tail] = text.split('::');
  const [before, after] = [groupsOf(head), groupsOf(tail ?? '')];
  const gap = new Array<number>(Math.max(8 - before.length - after.length, 0)).fill(0);
  return [...before, ...gap, ...after].reduce((sum, group) => (sum << 16n) + BigInt(group), 0n);
}

/** The text of an address, as RFC 5952 has it. */
export function formatAddress6(address: bigint): string {
  const groups = Array.from({ length: 8 }, (_, at) => Number((address >> BigInt(112 - 16 * at)) & 0xffffn));
  const text = groups.map((group) => group.toString(16));
  const { at, length } = longestZeros(groups);
  if (length < 2) return text.join(':');
  return `${text.slice(0, at).join(':')}::${text.slice(at + length).join(':')}`;
}

/** `fd00:1::/64`; undefined when the text is none. Bits behind the prefix are cut off. */
export function parseSubnet6(text: string): Subnet6 | undefined {
  const [first = '', length = '', ...rest] = text.split('/');
  const address = parseAddress6(first);
  if (rest.length > 0 || address === undefined || !/^\d{1,3}$/.test(length) || Number(length) > BITS) return undefined;
  const prefix = Number(length);
  return { base: (address / sizeOf6({ prefix })) * sizeOf6({ prefix }), prefix };
}

/** The text of a subnet. */
export function formatSubnet6({ base, prefix }: Subnet6): string {
  return `${formatAddress6(base)}/${prefix}`;
}

/** How many addresses a subnet holds. */
export function sizeOf6({ prefix }: Pick<Subnet6, 'prefix'>): bigint {
  return 1n << BigInt(BITS - prefix);
}

/** Whether an address lies in a subnet. */
export function contains6(subnet: Subnet6, address: bigint): boolean {
  return address >= subnet.base && address < subnet.base + sizeOf6(subnet);
}

/** Whether two subnets have an address in common. */
export function overlaps6(one: Subnet6, other: Subnet6): boolean {
  return contains6(one, other.base) || contains6(other, one.base);
}

/** The 16-bit groups of a part without `::`; its end may be an address of IPv4. */
function groupsOf(part: string): readonly number[] {
  if (part === '') return [];
  return part.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}

/** The first of the longest runs of zeros. */
function longestZeros(groups: readonly number[]): { readonly at: number; readonly length: number } {
  let best = { at: 0, length: 0 };
  let start = 0;
  groups.forEach((group, at) => {
    if (group !== 0) start = at + 1;
    else if (at + 1 - start > best.length) best = { at: start, length: at + 1 - start };
  });
  return best;
}
