/** A range of IPv4 addresses: those whose first `prefix` bits are those of `base`. */
export interface Subnet {
  readonly base: number;
  readonly prefix: number;
}

/** An address as a number; undefined when the text is none. */
export function parseAddress(text: string): number | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256))
    return undefined;
  return parts.reduce((sum, part) => sum * 256 + Number(part), 0);
}

/** The text of an address. */
export function formatAddress(address: number): string {
  return [24, 16, 8, 0].map((bits) => (address >>> bits) & 0xff).join('.');
}

/** `172.24.0.0/20`; undefined when the text is none. Bits behind the prefix are cut off. */
export function parseSubnet(text: string): Subnet | undefined {
  const [first = '', length = '', ...rest] = text.split('/');
  const address = parseAddress(first);
  if (rest.length > 0 || address === undefined || !/^\d{1,2}$/.test(length) || Number(length) > 32) return undefined;
  return subnetOf(address, Number(length));
}

/** The subnet of that size in which an address lies. */
export function subnetOf(address: number, prefix: number): Subnet {
  return { base: address - (address % sizeOf({ prefix })), prefix };
}

/** The text of a subnet. */
export function formatSubnet({ base, prefix }: Subnet): string {
  return `${formatAddress(base)}/${prefix}`;
}

/** How many addresses a subnet holds. */
export function sizeOf({ prefix }: Pick<Subnet, 'prefix'>): number {
  return 2 ** (32 - prefix);
}

/** Whether an address lies in a subnet. */
export function contains(subnet: Subnet, address: number): boolean {
  return address >= subnet.base && address < subnet.base + sizeOf(subnet);
}

/** Whether two subnets have an address in common. */
export function overlaps(one: Subnet, other: Subnet): boolean {
  return contains(one, other.base) || contains(other, one.base);
}
