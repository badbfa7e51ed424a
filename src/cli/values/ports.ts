import { isIP } from 'node:net';
import type { PublishedPort } from '../../../engine/index.ts';
import { UsageError } from '../usage-error.ts';
import { parseCsv } from './csv.ts';

/** Ports that one range may hold; more are a mistake. */
const MAX_RANGE = 1024;

/**
 * What `-p` asks for: `[[ip:][hostPort]:]containerPort[/protocol]` with ranges of equal length, or `target=…,published=…,protocol=…`.
 *
 * @returns one entry a port; host port 0 lets the kernel choose, no host address means every one of IPv4 and IPv6
 * @throws naming the part that is wrong
 */
export function parsePorts(text: string): readonly PublishedPort[] {
  return text.includes('=') ? longForm(text) : shortForm(text);
}

/**
 * What `--expose` names: `port[-last][/protocol]`.
 *
 * @returns each port as `8080/tcp`
 * @throws naming the part that is wrong
 */
export function parseExpose(text: string): readonly string[] {
  const [spec = '', protocol = 'tcp', ...rest] = text.split('/');
  if (rest.length > 0 || spec === '') throw new UsageError(`invalid range format for --expose: ${text || '<empty>'}`);
  const known = toProtocol(protocol);
  return range(spec, 'port').map((port) => `${port}/${known}`);
}

function shortForm(text: string): readonly PublishedPort[] {
  const [spec = '', protocol = 'tcp', ...rest] = text.split('/');
  if (rest.length > 0) throw new UsageError(`invalid port specification: ${text}`);
  const { ip, host, container } = split(spec, text);
  const inner = range(container, 'containerPort');
  const outer = host === '' ? inner.map(() => 0) : range(host, 'hostPort');
  const [first = 0, last = first] = [outer[0], outer.at(-1)];
  // A range of host ports for one container port: any free one of them.
  const chosen = inner.length === 1 && outer.length > 1 ? { hostPortLast: last } : {};
  return pair('hostPortLast' in chosen ? [first] : outer, inner, text).map(([hostPort, containerPort]) => ({
    hostAddress: ip,
    hostPort,
    ...chosen,
    containerPort,
    protocol: toProtocol(protocol),
  }));
}

function split(spec: string, text: string): { readonly ip: string; readonly host: string; readonly container: string } {
  const bracketed = /^\[([^\]]*)\]:(.*)$/.exec(spec);
  const parts = (bracketed?.[2] ?? spec).split(':');
  const container = parts.pop() ?? '';
  const host = parts.pop() ?? '';
  const ip = bracketed ? (bracketed[1] ?? '') : parts.join(':');
  if (container === '') throw new UsageError(`no port specified: ${text || '<empty>'}`);
  if (ip === '') return { ip: '', host, container };
  if (isIP(ip) === 0) throw new UsageError(`invalid IP address: ${ip}`);
  return { ip, host, container };
}

function longForm(text: string): readonly PublishedPort[] {
  const fields = new Map<string, string>();
  for (const field of parseCsv(text)) {
    const at = field.indexOf('=');
    if (at < 0) throw new UsageError(`invalid field: ${field}`);
    const key = field.slice(0, at).toLowerCase();
    if (!['target', 'published', 'protocol', 'mode'].includes(key)) throw new UsageError(`invalid field key: ${key}`);
    fields.set(key, field.slice(at + 1).toLowerCase());
  }
  const protocol = toProtocol(fields.get('protocol') ?? 'tcp');
  const mode = fields.get('mode') ?? 'ingress';
  if (mode !== 'ingress' && mode !== 'host')
    throw new UsageError(`invalid publish mode value (${mode}): must be either 'ingress' or 'host'`);
  const [published, target] = [fields.get('published'), fields.get('target')];
  const hostPort = published === undefined ? 0 : toPort(published, 'published port');
  if (target === undefined) throw new UsageError("missing mandatory field 'target'");
  return [{ hostAddress: '', hostPort, containerPort: toPort(target, 'target port'), protocol }];
}

function pair(
  outer: readonly number[],
  inner: readonly number[],
  text: string,
): readonly (readonly [number, number])[] {
  const first = inner[0] ?? 0;
  if (outer.length !== inner.length)
    throw new UsageError(`invalid ranges specified for container and host Ports: ${text}`);
  return outer.map((port, index) => [port, inner[index] ?? first] as const);
}

function range(text: string, what: string): readonly number[] {
  if (text.startsWith('-')) throw new UsageError(`invalid ${what}: ${text}`);
  const [start = '', end = start, ...rest] = text.split('-');
  const [low, high] = [toPort(start, what), toPort(end, what)];
  if (rest.length > 0 || high < low || high - low >= MAX_RANGE) throw new UsageError(`invalid ${what}: ${text}`);
  return Array.from({ length: high - low + 1 }, (_, index) => low + index);
}

function toPort(text: string, what: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port > 65_535 || (port === 0 && what !== 'hostPort' && what !== 'published port')) {
    throw new UsageError(`invalid ${what}: ${text}`);
  }
  return port;
}

function toProtocol(text: string): 'tcp' | 'udp' {
  const protocol = text.toLowerCase();
  if (protocol === 'tcp' || protocol === 'udp') return protocol;
  if (protocol === 'sctp') throw new UsageError('Cannot publish an sctp port: not supported yet');
  throw new UsageError(`invalid proto: ${text}`);
}
