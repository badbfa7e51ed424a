import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';

/** A network namespace that is thrown away. */
export interface Space {
  /** Words that start a program in it. */
  readonly through: readonly string[];
  /** Runs a shell script in it; gives what it prints. @throws when it fails */
  readonly sh: (script: string) => string;
  /** Starts a program in it, and waits until it has printed something. */
  readonly start: (command: readonly string[]) => Promise<ChildProcess>;
  readonly close: () => void;
}

/** Why there can be no such namespaces here; undefined when there can. */
export const NO_SPACES = ['ip', 'iptables', 'nsenter', 'unshare'].every(isThere)
  ? undefined
  : 'needs ip (iproute2), iptables, nsenter and unshare';

function isThere(program: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Makes an empty network namespace. */
export async function createSpace(): Promise<Space> {
  const keeper = spawn('unshare', ['-n', 'sh', '-c', 'ip link set lo up; echo ready; exec sleep 600']);
  await once(keeper.stdout, 'data');
  return spaceOf(keeper.pid ?? 0, [keeper]);
}

/** The network namespace of a process. */
export function spaceOf(pid: number, children: ChildProcess[] = []): Space {
  const through = ['nsenter', '-t', String(pid), '-n'];
  return {
    through,
    sh: (script) => execFileSync('nsenter', [...through.slice(1), 'sh', '-ec', script], { encoding: 'utf8' }),
    start: async (command) => {
      const child = spawn('nsenter', [...through.slice(1), ...command], { stdio: ['ignore', 'pipe', 'inherit'] });
      children.push(child);
      await once(child.stdout, 'data');
      return child;
    },
    close: () => children.reverse().forEach((child) => child.kill('SIGKILL')),
  };
}

/** Connects two namespaces by a cable; each gets its address, as `192.0.2.1/24`. */
export function connectSpaces(
  [one, oneAddress]: readonly [Space, string],
  [other, otherAddress]: readonly [Space, string],
): void {
  const pid = other.through[2] ?? '';
  one.sh(
    `ip link add cable0 type veth peer name cable1 netns ${pid}; ip addr add ${oneAddress} dev cable0; ip link set cable0 up`,
  );
  other.sh(`ip addr add ${otherAddress} dev cable1; ip link set cable1 up`);
}
