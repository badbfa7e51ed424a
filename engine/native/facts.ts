import { lstatSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { textOf } from '../base/small-file.ts';

/** What findings about a machine are of: all that they could differ with, and that can be read without trying. */
export interface FactsOf {
  /** BERTH_ROOT. */
  readonly root: string;
  /** The helper's executable. */
  readonly helper: string;
  readonly sudo: string | undefined;
  /** The rung that is asked for. */
  readonly wanted: string;
  /** `/proc`, for tests. */
  readonly proc?: string | undefined;
}

/**
 * The facts as a text: this boot, who we are and in which namespaces, the kernel's switches, who may have which ids, the helper and the
 * store. Read at once, which takes less than handing thirty small files to another thread.
 *
 * @returns undefined where the machine does not say which boot this is or what we may do
 */
export function readFacts({ root, helper, sudo, wanted, proc = '/proc' }: FactsOf): string | undefined {
  const boot = textOf(join(proc, 'sys/kernel/random/boot_id'), undefined);
  const rights = textOf(join(proc, 'self/status'), undefined)?.match(RIGHTS);
  if (!boot || !rights) return undefined;
  const facts = [
    boot,
    wanted,
    rights,
    [process.getuid?.(), process.getgid?.(), process.getgroups?.()],
    NAMESPACES.map((name) => linkOf(join(proc, 'self/ns', name))),
    [...OWN, ...SWITCHES].map((name) => textOf(join(proc, name), null)),
    [...ACCOUNTS, ...(sudo === undefined ? [] : [sudo, ...SUDOERS])].map(versionOf),
    versionOf(helper),
    [root, placeOf(root)],
  ];
  return JSON.stringify(facts);
}

/** What tells one version of a file from another; its times are in nanoseconds. Null when it is not there. */
export function versionOf(path: string): readonly string[] | null {
  try {
    const { dev, ino, size, mode, uid, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    return [path, ...[dev, ino, size, mode, uid, mtimeNs, ctimeNs].map(String)];
  } catch {
    return null;
  }
}

/** Capabilities, and what takes them away at exec. */
const RIGHTS = /^(?:Uid|Gid|Cap\w+|NoNewPrivs|Seccomp\w*):.*$/gm;
const NAMESPACES = ['user', 'mnt', 'pid', 'net', 'cgroup', 'ipc', 'uts'];
/** Of this process: its label, its ids, its group and what is mounted. */
const OWN = ['self/attr/current', 'self/uid_map', 'self/gid_map', 'self/cgroup', 'net/ip_tables_names'];
/** Switches that allow or forbid namespaces, copies in memory, and the passing on of packets. */
const SWITCHES = [
  'sys/kernel/apparmor_restrict_unprivileged_userns',
  'sys/kernel/unprivileged_userns_clone',
  ...['user', 'mnt', 'pid', 'net', 'cgroup', 'ipc', 'uts'].map((kind) => `sys/user/max_${kind}_namespaces`),
  'sys/vm/memfd_noexec',
  'sys/net/ipv4/ip_forward',
];
const ACCOUNTS = [
  ...['subuid', 'subgid', 'passwd', 'group'].map((name) => `/etc/${name}`),
  ...['/usr/bin', '/bin', '/usr/local/bin'].flatMap((folder) => [`${folder}/newuidmap`, `${folder}/newgidmap`]),
];
const SUDOERS = ['/etc/sudoers', '/etc/sudoers.d'];

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

/** The folder's identity; its times change with every act. */
function placeOf(root: string): readonly string[] {
  const { dev, ino } = lstatSync(root, { bigint: true });
  return [dev, ino].map(String);
}
