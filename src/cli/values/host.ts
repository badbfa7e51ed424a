import { isIP, isIPv4 } from 'node:net';
import { UsageError } from '../usage-error.ts';
import { parseCsv } from './csv.ts';

/** `name:address` or `name=address`, of `--add-host`; an IPv6 address may stand in brackets, and `host-gateway` means the host. */
export function parseExtraHost(text: string): { readonly name: string; readonly address: string } {
  const match = /^([^:=]+)[:=](.*)$/s.exec(text);
  if (!match?.[1]) throw new UsageError(`bad format for add-host: "${text}"`);
  const [, name, given = ''] = match;
  const address = /^\[.*\]$/.test(given) ? given.slice(1, -1) : given;
  if (address !== 'host-gateway' && isIP(address) === 0)
    throw new UsageError(`invalid IP address in add-host: "${given}"`);
  return { name, address };
}

/** What one `--network` says. */
export interface NetworkFlag {
  readonly name: string;
  readonly aliases: readonly string[];
}

/** A name, or `name=NAME,alias=ALIAS` with as many aliases as wanted. */
export function parseNetwork(text: string): NetworkFlag {
  if (!text.includes('=')) return { name: text, aliases: [] };
  const fields = parseCsv(text).map((field) => {
    const at = field.indexOf('=');
    return [field.slice(0, Math.max(at, 0)).trim().toLowerCase(), field.slice(at + 1).trim()] as const;
  });
  const unknown = fields.find(([key]) => key !== 'name' && key !== 'alias');
  if (unknown && NOT_DONE.has(unknown[0])) {
    throw new UsageError(
      `Cannot use ${unknown[0]} in --network: not supported yet`,
      '--network name=NAME,alias=ALIAS; --ip and --mac-address stand alone, for the first network',
    );
  }
  if (unknown) {
    throw new UsageError(
      `invalid field key ${unknown[0] || text}`,
      '--network name=NAME,alias=ALIAS; --ip and --mac-address stand alone',
    );
  }
  const name = fields.find(([key]) => key === 'name')?.[1];
  if (!name) throw new UsageError('network name/id is not specified', '--network name=NAME');
  return { name, aliases: fields.filter(([key]) => key === 'alias').map(([, alias]) => alias) };
}

/** Docker's fields of the long form that are not done. */
const NOT_DONE = new Set(['driver-opt', 'gw-priority', 'ip', 'ip6', 'link-local-ip', 'mac-address']);

/** The address of a resolver. */
export function parseResolver(text: string): string {
  if (isIP(text) === 0) throw new UsageError(`${text} is not an IP address`, '--dns 9.9.9.9');
  return text;
}

/** An address of IPv4. */
export function parseIpv4(text: string): string {
  if (!isIPv4(text)) throw new UsageError(`${text} is not an IPv4 address`);
  return text;
}

/** An address of an Ethernet device, not of a group. */
export function parseMac(text: string): string {
  const address = text.toLowerCase().replaceAll('-', ':');
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(address)) throw new UsageError(`${text} is not a valid mac address`);
  if ((Number.parseInt(address, 16) & 1) === 1) throw new UsageError(`${text} is the address of a group of devices`);
  return address;
}
