import { isIP, isIPv4, isIPv6 } from 'node:net';
import type { ContainerLink, NetworkJoin } from '../../../engine/index.ts';
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
  /** What its long form says beside the name. */
  readonly join: NetworkJoin;
}

/** A name, or `name=NAME,alias=ALIAS` with further fields, of which some may stand several times. */
export function parseNetwork(text: string): NetworkFlag {
  if (!text.includes('=')) return { name: text, join: {} };
  const fields = parseCsv(text).map((field) => {
    const at = field.indexOf('=');
    return [field.slice(0, Math.max(at, 0)).trim().toLowerCase(), field.slice(at + 1).trim()] as const;
  });
  const unknown = fields.find(([key]) => !FIELDS.has(key));
  if (unknown) {
    throw new UsageError(
      `invalid field key ${unknown[0] || text}`,
      `--network name=NAME, and any of ${[...FIELDS].slice(1).join(', ')}`,
    );
  }
  const all = (wanted: string): readonly string[] => fields.filter(([key]) => key === wanted).map(([, value]) => value);
  const last = (wanted: string): string | undefined => all(wanted).at(-1);
  const name = last('name');
  if (!name) throw new UsageError('network name/id is not specified', '--network name=NAME');
  return { name, join: toJoin(all, last) };
}

/** Fields of the long form. */
const FIELDS = new Set(['name', 'alias', 'driver-opt', 'gw-priority', 'ip', 'ip6', 'link-local-ip', 'mac-address']);

function toJoin(all: (field: string) => readonly string[], last: (field: string) => string | undefined): NetworkJoin {
  const [ip, ip6, mac, priority] = ['ip', 'ip6', 'mac-address', 'gw-priority'].map(last);
  const options = all('driver-opt').map(parseDriverOption);
  return {
    ...(all('alias').length > 0 ? { aliases: all('alias') } : {}),
    ...(ip === undefined ? {} : { address: parseIpv4(ip) }),
    ...(ip6 === undefined ? {} : { address6: parseIpv6(ip6) }),
    ...(mac === undefined ? {} : { mac: parseMac(mac) }),
    ...(all('link-local-ip').length > 0 ? { linkLocal: all('link-local-ip').map(parseLinkLocal) } : {}),
    ...(options.length > 0 ? { driverOptions: Object.fromEntries(options) } : {}),
    ...(priority === undefined ? {} : { gatewayPriority: parsePriority(priority) }),
  };
}

/** `name=value` of a network's driver. */
export function parseDriverOption(text: string): readonly [string, string] {
  const at = text.indexOf('=');
  if (at < 1) throw new UsageError(`invalid key value pair format in driver options: ${text}`);
  return [text.slice(0, at).trim().toLowerCase(), text.slice(at + 1).trim()];
}

/** Any whole number. */
export function parsePriority(text: string): number {
  if (/^[+-]?\d{1,9}$/.test(text)) return Number(text);
  throw new UsageError(`invalid gw-priority (${text}): it is no whole number`);
}

/** `CONTAINER[:ALIAS]` of `--link`; without an alias its name is one. */
export function parseLink(text: string): ContainerLink {
  const [container = '', alias = container, ...rest] = text.split(':');
  if (container === '' || alias === '' || rest.length > 0) throw new UsageError(`bad format for links: ${text}`);
  // As Docker's own inspect shows them: /db:/web/db.
  return { container: container.replace(/^\//, ''), alias: alias.slice(alias.lastIndexOf('/') + 1) };
}

/** The address of a resolver. */
export function parseResolver(text: string): string {
  if (isIP(text) === 0) throw new UsageError(`${text} is not an IP address`, '--dns 9.9.9.9');
  return text;
}

/** Words of letters, digits and dashes between dots, a letter among them. */
const DOMAIN = /^(?=.*[a-z])[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*\.?$/i;

/** A domain to look for short names in; `.` for none. */
export function parseSearchDomain(text: string): string {
  const word = text.trim();
  if (word === '.' || (word.length < 256 && DOMAIN.test(word))) return word;
  throw new UsageError(
    `${text} is not a valid domain`,
    'give one domain a flag: --dns-search a.example --dns-search b.example',
  );
}

/** An address of IPv4. */
export function parseIpv4(text: string): string {
  if (!isIPv4(text)) throw new UsageError(`${text} is not an IPv4 address`);
  return text;
}

/** An address of IPv6, in the form that the kernel shows. */
export function parseIpv6(text: string): string {
  if (!isIPv6(text) || text.includes('%')) throw new UsageError(`${text} is not an IPv6 address`);
  return new URL(`http://[${text}]/`).hostname.slice(1, -1);
}

/** An address that holds on one link alone. */
export function parseLinkLocal(text: string): string {
  if (isIPv4(text) && text.startsWith('169.254.')) return text;
  if (isIPv6(text) && !text.includes('%') && /^fe[89ab]/i.test(text)) return parseIpv6(text);
  throw new UsageError(`invalid link local IP address: ${text}`);
}

/** An address of an Ethernet device, not of a group. */
export function parseMac(text: string): string {
  const address = text.toLowerCase().replaceAll('-', ':');
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(address)) throw new UsageError(`${text} is not a valid mac address`);
  if ((Number.parseInt(address, 16) & 1) === 1) throw new UsageError(`${text} is the address of a group of devices`);
  return address;
}
