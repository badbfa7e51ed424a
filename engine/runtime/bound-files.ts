import { textOf } from '../base/small-file.ts';
import type { BoundFile } from '../native/protocol.ts';
import { formatResolvers, type Resolvers } from './network/host.ts';

/** What the three network files of a container are made from. */
export interface NetworkFiles {
  readonly hostname: string;
  readonly domainname?: string | undefined;
  /** The container's own addresses. */
  readonly addresses?: readonly string[] | undefined;
  readonly extraHosts?: readonly { readonly name: string; readonly address: string }[] | undefined;
  /** Containers that it is linked with. */
  readonly linked?: readonly { readonly name: string; readonly address: string }[] | undefined;
  /** The host's network is used: the host's names and resolvers hold, even those on loopback. */
  readonly host: boolean;
  /** Instead of the host's resolvers. */
  readonly resolvers?: Resolvers | undefined;
}

/** `/etc/hosts`, `/etc/resolv.conf` and `/etc/hostname`, to be bound into a container. */
export function networkFiles(network: NetworkFiles): BoundFile[] {
  return [
    { destination: '/etc/hosts', content: hosts(network), mode: 0o644 },
    { destination: '/etc/resolv.conf', content: resolvConf(network), mode: 0o644 },
    { destination: '/etc/hostname', content: `${network.hostname}\n`, mode: 0o644 },
  ];
}

function resolvConf({ host, resolvers }: NetworkFiles): string {
  if (resolvers) return formatResolvers(resolvers);
  const text = textOf('/etc/resolv.conf', '');
  return host ? text : withoutLoopback(text);
}

function hosts(files: NetworkFiles): string {
  const { hostname, domainname, addresses = [], extraHosts = [], linked = [], host } = files;
  const base = host ? textOf('/etc/hosts', LOOPBACK) : LOOPBACK;
  const name = domainname === undefined ? hostname : `${hostname}.${domainname} ${hostname}`;
  const own = (addresses.length > 0 || host ? addresses : ['127.0.0.1']).map((address) => ({ name, address }));
  const lines = [...linked, ...own, ...extraHosts].map((entry) => `${entry.address}\t${entry.name}`);
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
