import { readFile } from 'node:fs/promises';
import type { BoundFile } from '../native/protocol.ts';

/** What the three network files of a container are made from. */
export interface NetworkFiles {
  readonly hostname: string;
  /** The container's own address; undefined when it has none of its own. */
  readonly address?: string | undefined;
  readonly extraHosts?: readonly { readonly name: string; readonly address: string }[] | undefined;
  /** The host's network is used: the host's names and resolvers hold, even those on loopback. */
  readonly host: boolean;
}

/** `/etc/hosts`, `/etc/resolv.conf` and `/etc/hostname`, to be bound into a container. */
export async function networkFiles(network: NetworkFiles): Promise<BoundFile[]> {
  const resolv = await readFile('/etc/resolv.conf', 'utf8').catch(() => '');
  return [
    { destination: '/etc/hosts', content: await hosts(network), mode: 0o644 },
    { destination: '/etc/resolv.conf', content: network.host ? resolv : withoutLoopback(resolv), mode: 0o644 },
    { destination: '/etc/hostname', content: `${network.hostname}\n`, mode: 0o644 },
  ];
}

async function hosts({ hostname, address, extraHosts = [], host }: NetworkFiles): Promise<string> {
  const base = host ? await readFile('/etc/hosts', 'utf8').catch(() => LOOPBACK) : LOOPBACK;
  const own = address ? [{ name: hostname, address }] : host ? [] : [{ name: hostname, address: '127.0.0.1' }];
  const lines = [...own, ...extraHosts].map((entry) => `${entry.address}\t${entry.name}`);
  return `${base.replace(/\n*$/, '\n')}${lines.map((line) => `${line}\n`).join('')}`;
}

const LOOPBACK = `127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
`;

/** A resolver on the host's loopback is out of reach of a namespace of its own. */
function withoutLoopback(text: string): string {
  return text
    .split('\n')
    .filter((line) => !/^\s*nameserver\s+(127\.|::1\b)/.test(line))
    .join('\n');
}
