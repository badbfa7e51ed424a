import type { Mount, Rlimit } from '../native/protocol.ts';
import { BUILD_CAPABILITIES, RUN_CAPABILITIES } from './capabilities.ts';

/** What a container gets when nobody asks for more or less (spec/hardening.md 4, DESIGN.md 4). */
export interface Profile {
  readonly name: 'run' | 'build';
  readonly capabilities: readonly string[];
  readonly noNewPrivileges: boolean;
  readonly oomScoreAdj: number;
  readonly rlimits: readonly Rlimit[];
  readonly namespaces: readonly string[];
  /** Processes; applied where the machine lets us make a cgroup. */
  readonly pidsLimit: number;
  readonly cpuShares: number;
}

// A core dump would be written by the host's core_pattern, with every secret of the process in it.
const NO_CORE: Rlimit = { type: 'RLIMIT_CORE', soft: 0, hard: 0 };
const OPEN_FILES: Rlimit = { type: 'RLIMIT_NOFILE', soft: 1024, hard: 524_288 };

const SHARED = {
  oomScoreAdj: 800,
  rlimits: [OPEN_FILES, NO_CORE],
  namespaces: ['mount', 'pid', 'ipc', 'uts', 'cgroup'],
  pidsLimit: 2048,
  cpuShares: 1024,
} as const;

/** Smoke tests and `berth run`. */
export const RUN_PROFILE: Profile = { ...SHARED, name: 'run', capabilities: RUN_CAPABILITIES, noNewPrivileges: true };

/** RUN: sudo and other set-id tools in Dockerfiles need new privileges. */
export const BUILD_PROFILE: Profile = {
  ...SHARED,
  name: 'build',
  capabilities: BUILD_CAPABILITIES,
  noNewPrivileges: false,
};

/** File systems that every container has. `shmSize` in bytes. */
export function defaultMounts(shmSize: number): readonly Mount[] {
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'noexec', 'strictatime', 'mode=755', 'size=65536k'],
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
      options: ['nosuid', 'noexec', 'nodev', 'mode=1777', `size=${shmSize}`],
    },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
    { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
  ];
}

/** Bytes of `/dev/shm` unless asked otherwise; Docker's default. */
export const DEFAULT_SHM_SIZE = 64 * 1024 * 1024;

/** Paths that show or change the host; absent ones do not matter. `*` is expanded by {@link expandPaths}. */
export const MASKED_PATHS: readonly string[] = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/sys/devices/virtual/powercap',
  '/sys/firmware',
  '/sys/fs/selinux',
  '/sys/devices/system/cpu/cpu*/thermal_throttle',
];

/** Paths that programs read and none may write. */
export const READONLY_PATHS: readonly string[] = [
  '/proc/bus',
  '/proc/fs',
  '/proc/irq',
  '/proc/sys',
  '/proc/sysrq-trigger',
];
