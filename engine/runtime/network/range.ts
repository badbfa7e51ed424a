import { EngineError } from '../../base/errors.ts';
import type { NetworkCreate, NetworkRange } from '../../engine.ts';
import type { Family } from './family.ts';

type Asked = Pick<NetworkCreate, 'subnets' | 'gateways' | 'ipRanges' | 'reserved'>;

/**
 * The addresses of one family that a network gets: as they were asked for, the rest chosen.
 *
 * @param taken subnets that it may not overlap
 * @throws `NETWORK_INVALID`, `NETWORK_OVERLAP`, `NETWORK_POOL_EMPTY`
 */
export function settleRange<S extends { readonly prefix: number }, A>(
  family: Family<S, A>,
  asked: Asked,
  taken: readonly S[],
): NetworkRange {
  const [subnetText, gateway, rangeText, reserved] = ofFamily(family, asked);
  checkHasSubnet(subnetText, { gateway, rangeText, reserved });
  const subnet = subnetText === undefined ? family.choose(taken) : givenSubnet(family, subnetText, taken);
  const chosen = gateway ?? family.first(subnet);
  if (!family.isHost(subnet, chosen)) {
    throw invalid(`--gateway ${chosen}`, `no matching subnet: ${family.format(subnet)} does not hold it`);
  }
  const range = rangeText === undefined ? undefined : givenRange(family, rangeText, subnet);
  for (const [name, address] of reserved) {
    if (family.isHost(subnet, address)) continue;
    const why = `no matching subnet: ${family.format(subnet)} does not hold it`;
    throw invalid(`--aux-address ${name}=${address}`, why);
  }
  return {
    subnet: family.format(subnet),
    gateway: chosen,
    ...(subnetText === undefined ? { pooled: true } : {}),
    ...(subnetText !== undefined && gateway === undefined ? { ownGateway: true } : {}),
    ...(range ? { ipRange: family.format(range) } : {}),
    ...(reserved.length > 0 ? { reserved: Object.fromEntries(reserved) } : {}),
  };
}

/** An error that names what cannot be used for a network, and why. */
export function invalid(what: string, why: string, hint?: string): EngineError {
  return new EngineError('NETWORK_INVALID', `Cannot use ${what} for a network: ${why}`, { hint });
}

/** What is meant for a family; a bridge has one subnet of each. */
function ofFamily<S extends { readonly prefix: number }, A>(
  { name, is }: Family<S, A>,
  { subnets = [], gateways = [], ipRanges = [], reserved = [] }: Asked,
): readonly [string | undefined, string | undefined, string | undefined, NonNullable<Asked['reserved']>] {
  const only = (flag: string, texts: readonly string[]): string | undefined => {
    const [first, second] = texts.filter(is);
    if (second === undefined) return first;
    throw invalid(
      `${flag} ${second}`,
      `bridge driver doesn't support multiple subnets, and ${first} is of ${name} too`,
    );
  };
  return [
    only('--subnet', subnets),
    only('--gateway', gateways),
    only('--ip-range', ipRanges),
    reserved.filter(([, address]) => is(address)),
  ];
}

function checkHasSubnet(
  subnet: string | undefined,
  {
    gateway,
    rangeText,
    reserved,
  }: {
    readonly gateway: string | undefined;
    readonly rangeText: string | undefined;
    readonly reserved: readonly (readonly [string, string])[];
  },
): void {
  if (subnet !== undefined) return;
  const given = Object.entries({ '--gateway': gateway, '--ip-range': rangeText, '--aux-address': reserved[0] });
  const flag = given.find(([, value]) => value !== undefined)?.[0];
  if (flag === '--aux-address') {
    throw invalid(`--aux-address ${reserved[0]?.join('=')}`, 'no matching subnet', 'give one that holds it: --subnet');
  }
  if (flag !== undefined)
    throw invalid(flag, 'every ip-range, gateway or aux-address must have a corresponding subnet');
}

function givenSubnet<S extends { readonly prefix: number }, A>(
  family: Family<S, A>,
  text: string,
  taken: readonly S[],
): S {
  const subnet = family.parse(text);
  const [lowest, highest] = family.prefixes;
  if (!subnet || subnet.prefix < lowest || subnet.prefix > highest) {
    throw invalid(
      `--subnet ${text}`,
      `it is no ${family.name} subnet with room for containers, such as ${family.example}`,
    );
  }
  checkBits(family, '--subnet', text, subnet);
  const special = family.reserved.find((one) => family.overlaps(one, subnet));
  if (special) throw invalid(`--subnet ${text}`, `${family.format(special)} is there for something else`);
  const other = taken.find((one) => family.overlaps(one, subnet));
  if (!other) return subnet;
  throw new EngineError(
    'NETWORK_OVERLAP',
    `Cannot create a network on ${text}: Pool overlaps with other one on this address space, ${family.format(other)}`,
    { hint: 'choose another subnet, or leave --subnet out' },
  );
}

function givenRange<S extends { readonly prefix: number }, A>(family: Family<S, A>, text: string, subnet: S): S {
  const range = family.parse(text);
  if (!range || range.prefix < subnet.prefix || !family.contains(subnet, family.base(range))) {
    throw invalid(`--ip-range ${text}`, `it is no part of ${family.format(subnet)}`);
  }
  checkBits(family, '--ip-range', text, range);
  return range;
}

/** An address with bits behind the prefix may be a slip in either. */
function checkBits<S extends { readonly prefix: number }, A>(
  family: Family<S, A>,
  flag: string,
  text: string,
  subnet: S,
): void {
  if (family.address(text.split('/')[0] ?? '') === family.base(subnet)) return;
  const meant = family.format(subnet);
  throw invalid(`${flag} ${text}`, `it should be ${meant}`, `${flag} ${meant}`);
}
