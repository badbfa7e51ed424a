import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** What of a store is still alive on this machine: processes, mounts, namespaces, cgroups and locks, each as a sentence. Needs root to see it all. */
export function leftovers(store: string): readonly string[] {
  return [...processes(store), ...mounts(store), ...cgroups(store), ...locks(store)];
}

/** Interfaces and tables of rules in a network namespace that nobody else uses; `through` are the words that enter it. Needs `ip` and `nft`. */
export function networkLeftovers(through: readonly string[]): readonly string[] {
  const [program = '', ...words] = [...through, 'sh', '-ec', 'ip -o link; nft list tables; nft -a list ruleset'];
  const lines = execFileSync(program, words, { encoding: 'utf8' }).split('\n');
  return lines.filter((line) => /^\d+: (?:berth|bv)|^table \S+ berth-|comment "berth network/.test(line.trim()));
}

/** Waits until nothing is left, at most so many seconds; gives what still is. */
export async function leftoversAfter(store: string, seconds: number): Promise<readonly string[]> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const left = leftovers(store);
    if (left.length === 0 || performance.now() > end) return left;
    await delay(50);
  }
}

/** Processes that hold a file of the store, or live among mounts of it: helpers, monitors and whatever runs in a container. */
function processes(store: string): readonly string[] {
  const host = link('/proc/self/ns/mnt');
  return list('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      if (text(`/proc/${pid}/stat`).includes(') Z ')) return [];
      const command = text(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();
      const files = ['cwd', 'root', 'exe', ...list(`/proc/${pid}/fd`).map((fd) => `fd/${fd}`)];
      const holds = files.some((name) => link(`/proc/${pid}/${name}`).startsWith(store));
      const contained = link(`/proc/${pid}/ns/mnt`) !== host && text(`/proc/${pid}/mountinfo`).includes(store);
      return holds || contained ? [`process ${pid} (${command})`] : [];
    });
}

function mounts(store: string): readonly string[] {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return lines.filter((line) => line.includes(store)).map((line) => `mount ${line}`);
}

/** Groups of containers of the store, which end in the number of its folder. */
function cgroups(store: string): readonly string[] {
  const end = `-${statInode(store).toString(16)}`;
  const roots = ['/sys/fs/cgroup', ...list('/sys/fs/cgroup').map((name) => `/sys/fs/cgroup/${name}`)];
  const groups = roots.flatMap((root) => list(`${root}/berth`).map((name) => `${root}/berth/${name}`));
  return [...new Set(groups)].filter((path) => path.endsWith(end)).map((path) => `cgroup ${path}`);
}

/** Locks on files of the store, by the inode numbers of its `locks/`. */
function locks(store: string): readonly string[] {
  const held = readFileSync('/proc/locks', 'utf8').split('\n');
  const names = list(`${store}/locks`);
  const inodes = new Map(names.map((name) => [String(statInode(`${store}/locks/${name}`)), name]));
  return held.flatMap((line) => {
    const inode = /:(\d+) \d+ \S+$/.exec(line)?.[1];
    const name = inode === undefined ? undefined : inodes.get(inode);
    return name === undefined ? [] : [`lock ${name}: ${line}`];
  });
}

function list(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function statInode(path: string): bigint {
  return statSync(path, { bigint: true }).ino;
}

function text(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
