import { isIPv4, isIPv6 } from 'node:net';

/** True for this machine: localhost, 127.0.0.0/8, ::1. `hostname` as a URL has it, so that 0x7f.1 has become 127.0.0.1. */
export function isLoopback(hostname: string): boolean {
  const host = bare(hostname);
  if (host === 'localhost' || host.endsWith('.localhost')) return true;
  if (isIPv4(host)) return host.startsWith('127.');
  return isIPv6(host) && (host === '::1' || /^::ffff:7f[0-9a-f]{2}:/.test(host));
}

/** True for addresses that only the machine's own network serves, such as a cloud's metadata service, and for no address at all. */
export function isLinkLocal(hostname: string): boolean {
  const host = bare(hostname);
  if (isIPv4(host)) return host.startsWith('169.254.') || host.startsWith('0.');
  return isIPv6(host) && (/^fe[89ab][0-9a-f]:/.test(host) || host === '::' || /^::ffff:a9fe:/.test(host));
}

/** True when both name the same scheme, host and port: what credentials are bound to. */
export function isSameOrigin(a: URL, b: URL): boolean {
  return a.protocol === b.protocol && a.hostname === b.hostname && portOf(a) === portOf(b);
}

function portOf(url: URL): string {
  return url.port || (url.protocol === 'http:' ? '80' : '443');
}

function bare(hostname: string): string {
  return hostname
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '')
    .toLowerCase();
}
