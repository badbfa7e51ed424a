import { readFile } from 'node:fs/promises';

/** A listening TCP socket of a network namespace. */
export interface Listener {
  readonly port: number;
  /** Only 127.0.0.0/8 or ::1 is bound. */
  readonly loopback: boolean;
}

const LISTEN = '0A';

/**
 * The listening sockets in the network namespace of a process, from the kernel itself: no tool inside the container is needed, and a
 * server that binds 127.0.0.1 is told from one that binds nothing. Empty when it cannot be read.
 */
export async function readListeners(pid: number): Promise<readonly Listener[]> {
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map((table) => readFile(`/proc/${pid}/net/${table}`, 'latin1').catch(() => '')),
  );
  return tables.flatMap(parseTcpTable);
}

/** The listeners in a table of the form of `/proc/net/tcp` or `/proc/net/tcp6`. */
export function parseTcpTable(table: string): readonly Listener[] {
  return table
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [, local = '', , state] = line.trim().split(/\s+/);
      const [address = '', port = ''] = local.split(':');
      if (state !== LISTEN || port === '') return [];
      return [{ port: Number.parseInt(port, 16), loopback: isLoopback(address) }];
    });
}

/** Addresses stand in the table as 32-bit words in host order, in hex; both of our architectures are little-endian. */
function isLoopback(address: string): boolean {
  if (address.length === 8) return address.endsWith('7F');
  const mapped = '0000000000000000FFFF0000';
  return address === '00000000000000000000000001000000' || (address.startsWith(mapped) && address.endsWith('7F'));
}
