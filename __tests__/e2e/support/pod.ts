import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { arch, release } from 'node:os';
import { join } from 'node:path';
import type { Mount, Seccomp, Spec } from '../../../engine/native/protocol.ts';
import { seccompProfile } from '../../../engine/runtime/seccomp.ts';
import { hasProgram } from '../../helpers/docker-registry.ts';
import { NO_ACCOUNTS, type Account } from './account.ts';

/** Why no pod can be imitated here; undefined when one can. */
export const NO_POD = NO_ACCOUNTS ?? (hasProgram('runc') ? undefined : 'missing runc');

/** What the containers of a pod may do. */
export interface PodOptions {
  /** `Unconfined` is Kubernetes' default, `RuntimeDefault` what the container runtime ships; ours says the same of namespaces and mounts. */
  readonly seccomp: 'Unconfined' | 'RuntimeDefault';
  /** Absolute folder of this machine that is a volume of the pod, at the same place. */
  readonly volume: string;
}

/** A pod under way, started by runc. */
export interface Pod {
  /** Its way in: words that the account's programs are started through. */
  readonly enter: NonNullable<Account['enter']>;
  /** Runs a program as its root. */
  run(argv: readonly string[]): void;
  /** Ends all its processes. */
  stop(): void;
}

/** What containerd and Docker leave a container that drops and adds no capabilities. */
const CAPABILITIES = [
  ...['CHOWN', 'DAC_OVERRIDE', 'FSETID', 'FOWNER', 'MKNOD', 'NET_RAW', 'SETGID', 'SETUID', 'SETFCAP', 'SETPCAP'],
  ...['NET_BIND_SERVICE', 'SYS_CHROOT', 'KILL', 'AUDIT_WRITE'],
].map((name) => `CAP_${name}`);
/** What they hide of /proc and /sys, which is why nobody in it may mount another. */
const MASKED = [
  ...['asound', 'acpi', 'kcore', 'keys', 'latency_stats', 'timer_list', 'timer_stats', 'sched_debug', 'scsi'].map(
    (name) => `/proc/${name}`,
  ),
  ...['/sys/firmware', '/sys/devices/virtual/powercap'],
];
const READONLY = ['bus', 'fs', 'irq', 'sys', 'sysrq-trigger'].map((name) => `/proc/${name}`);

/**
 * Starts a container as a Kubernetes node would for a pod that asks for nothing: root without SYS_ADMIN, an overlay as its root, which holds the
 * programs of this machine, and one volume. It shares this machine's network, as containers of a pod share that of its sandbox. There is no
 * AppArmor in it.
 */
export function startPod({ seccomp, volume }: PodOptions): Pod {
  const folder = mkdtempSync('/var/tmp/berth-pod-');
  const id = `berth-pod-${folder.slice(-6)}`;
  const [tmpfs, root] = [join(folder, 'tmpfs'), join(folder, 'rootfs')];
  for (const path of [tmpfs, root]) mkdirSync(path);
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', tmpfs]);
  for (const name of ['upper', 'work']) mkdirSync(join(tmpfs, name));
  const layers = `lowerdir=/,upperdir=${tmpfs}/upper,workdir=${tmpfs}/work`;
  execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', layers, root]);
  mkdirSync(join(root, volume), { recursive: true });
  writeFileSync(join(folder, 'config.json'), JSON.stringify(configOf({ seccomp, volume })));
  execFileSync('runc', ['run', '--detach', '--bundle', folder, id], { stdio: 'ignore' });
  return {
    enter: ({ uid, gid }, { cwd, env }) => [
      ...['runc', 'exec', '--user', `${uid}:${gid}`, '--cwd', cwd],
      ...Object.entries(env).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
      id,
    ],
    run: (argv) => void execFileSync('runc', ['exec', id, ...argv]),
    stop: () => {
      execFileSync('runc', ['delete', '--force', id]);
      for (const path of [root, tmpfs]) execFileSync('umount', [path]);
      rmSync(folder, { recursive: true });
    },
  };
}

function configOf({ seccomp, volume }: PodOptions): Omit<Spec, 'annotations'> {
  const held = [...CAPABILITIES];
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: false,
      user: { uid: 0, gid: 0, additionalGids: [] },
      args: ['sleep', 'infinity'],
      env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
      cwd: '/',
      capabilities: { bounding: held, permitted: held, effective: held, inheritable: [], ambient: [] },
      rlimits: [],
      noNewPrivileges: false,
      oomScoreAdj: 0,
    },
    root: { path: 'rootfs', readonly: false },
    hostname: 'pod',
    mounts: [...SYSTEM_MOUNTS, bind('/etc/resolv.conf'), bind('/etc/hosts'), bind(volume)].filter(
      ({ source }) => !source?.startsWith('/') || existsSync(source),
    ),
    linux: {
      namespaces: ['pid', 'ipc', 'uts', 'mount'].map((type) => ({ type })),
      devices: [],
      ...(seccomp === 'RuntimeDefault' ? { seccomp: runtimeDefault() } : {}),
      maskedPaths: MASKED,
      readonlyPaths: READONLY,
      sysctl: {},
    },
  };
}

function runtimeDefault(): Seccomp {
  const architecture = arch() === 'x64' ? 'amd64' : arch();
  return seccompProfile({ capabilities: CAPABILITIES, architecture, kernel: release() });
}

function bind(path: string): Mount {
  return { destination: path, type: 'bind', source: path, options: ['rbind', 'rw'] };
}

const SYSTEM_MOUNTS: readonly Mount[] = [
  { destination: '/proc', type: 'proc', source: 'proc', options: [] },
  {
    destination: '/dev',
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
  },
  {
    destination: '/dev/pts',
    type: 'devpts',
    source: 'devpts',
    options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620'],
  },
  {
    destination: '/dev/shm',
    type: 'tmpfs',
    source: 'shm',
    options: ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k'],
  },
  { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
  { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
  {
    destination: '/sys/fs/cgroup',
    type: 'cgroup',
    source: 'cgroup',
    options: ['nosuid', 'noexec', 'nodev', 'relatime', 'ro'],
  },
];
