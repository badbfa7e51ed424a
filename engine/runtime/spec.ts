import type { ContainerConfig } from '../image/types.ts';
import type {
  Device,
  DeviceRule,
  IdMap,
  Mount,
  NetworkProbe,
  Process,
  Resources,
  Rlimit,
  Seccomp,
  Spec,
} from '../native/protocol.ts';
import { defaultRules } from './devices.ts';
import { DEFAULT_PATH, mergeEnvironment, withDefaults } from './environment.ts';
import type { HostFacts } from './host.ts';
import { DEFAULT_SHM_SIZE, defaultMounts, type Profile, READONLY_PATHS } from './profile.ts';
import { seccompProfile } from './seccomp.ts';
import type { Identity } from './user.ts';

/** The part of the probe's findings that a configuration depends on. */
export interface MachineProbe {
  readonly cgroup: { readonly mode: string; readonly controllers: readonly string[] };
  readonly seccomp: boolean;
  readonly network?: NetworkProbe | undefined;
  /** In a user namespace a container has a /proc of its own. */
  readonly ownProc?: boolean | undefined;
}

/** The machine that a configuration is made for. */
export interface SpecTarget {
  readonly idMap: IdMap;
  readonly probe: MachineProbe;
  readonly host: HostFacts;
}

/** What goes into a configuration beside the profile; everything is resolved already. */
export interface SpecParts {
  readonly args: readonly string[];
  /** Layers of `NAME=value`, later ones win; PATH, HOSTNAME, HOME and TERM are added where they are missing. */
  readonly env: readonly (readonly string[])[];
  readonly cwd: string;
  readonly identity: Identity;
  readonly hostname: string;
  /** `host`: none of its own; it has the host's, or that of a container that it joins. */
  readonly network: 'host' | 'own';
  readonly tty?: { readonly rows: number; readonly columns: number } | undefined;
  readonly readonly?: boolean | undefined;
  /** Mounts after the profile's, in order of depth. */
  readonly mounts?: readonly Mount[] | undefined;
  readonly shmSize?: number | undefined;
  readonly capabilities?: readonly string[] | undefined;
  /** Limits that were asked for; they replace the profile's of the same type, and it is an error where one cannot be set. */
  readonly rlimits?: readonly Rlimit[] | undefined;
  /** Limits that were asked for; they replace the profile's of the same kind. */
  readonly resources?: Resources | undefined;
  readonly noNewPrivileges?: boolean | undefined;
  /** The filter; `none` is no filter at all, and left out it is the profile's. */
  readonly seccomp?: Seccomp | 'none' | undefined;
  /** Kinds of namespaces that are not its own. */
  readonly without?: readonly string[] | undefined;
  readonly shm?: 'own' | 'host' | 'none' | undefined;
  /** Nothing of /proc and /sys is hidden or read-only. */
  readonly unmasked?: boolean | undefined;
  /** /sys and the cgroups can be written. */
  readonly writableSystem?: boolean | undefined;
  readonly devices?: readonly Device[] | undefined;
  /** Who may use which devices, after the profile's rules. */
  readonly deviceRules?: readonly DeviceRule[] | undefined;
  readonly oomScoreAdj?: number | undefined;
  readonly sysctls?: Readonly<Record<string, string>> | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** The runtime-spec configuration of a process (runtime-spec 1.2, config.md). */
export function createSpec(profile: Profile, parts: SpecParts, target: SpecTarget): Spec {
  const capabilities = parts.capabilities ?? profile.capabilities;
  const resources = { ...limitsOf(profile, target.probe), ...devicesOf(parts, target), ...parts.resources };
  const seccomp = parts.seccomp ?? seccompOf(capabilities, target);
  const { without = [], unmasked = false } = parts;
  const kinds = [...profile.namespaces, ...(parts.network === 'own' ? ['network'] : [])];
  return {
    ociVersion: '1.2.1',
    process: createProcess(profile, { ...parts, capabilities }, target.host),
    root: { path: 'rootfs', readonly: parts.readonly ?? false },
    ...(without.includes('uts') ? {} : { hostname: parts.hostname }),
    mounts: [...systemMounts(parts), ...byDepth(parts.mounts ?? [])],
    linux: {
      namespaces: kinds.filter((kind) => !without.includes(kind)).map((type) => ({ type })),
      devices: [...(parts.devices ?? [])],
      ...(Object.keys(resources).length > 0 ? { resources } : {}),
      ...(seccomp && seccomp !== 'none' ? { seccomp } : {}),
      maskedPaths: unmasked ? [] : [...target.host.maskedPaths],
      readonlyPaths: unmasked ? [] : [...READONLY_PATHS],
      rootfsPropagation: 'private',
      sysctl: { ...parts.sysctls },
    },
    annotations: { ...parts.annotations, ...requestedLimits(parts.rlimits ?? []) },
  };
}

/** In a user namespace the kernel itself keeps devices away. Where no cgroup holds the rules the helper keeps to the nodes, or refuses. */
function devicesOf({ deviceRules = [] }: SpecParts, { idMap }: SpecTarget): Pick<Resources, 'devices'> {
  return idMap.kind === 'root' ? { devices: [...defaultRules(), ...deviceRules] } : {};
}

/** The mounts that every container has. A mount that was asked for takes the place of one of these. */
function systemMounts({ shmSize, shm = 'own', writableSystem = false, mounts = [] }: SpecParts): readonly Mount[] {
  const asked = new Set(mounts.map(({ destination }) => destination));
  return defaultMounts(shmSize ?? DEFAULT_SHM_SIZE)
    .filter(({ destination }) => destination !== '/dev/shm' || (shm !== 'none' && !asked.has(destination)))
    .map((mount) => {
      if (mount.destination === '/dev/shm' && shm === 'host') {
        return { destination: '/dev/shm', type: 'bind', source: '/dev/shm', options: ['rbind', 'rprivate'] };
      }
      const system = mount.destination === '/sys' || mount.destination === '/sys/fs/cgroup';
      return system && writableSystem ? { ...mount, options: mount.options.filter((word) => word !== 'ro') } : mount;
    });
}

/** The process part alone, as exec needs it. */
export function createProcess(
  profile: Profile,
  parts: Pick<
    SpecParts,
    'args' | 'env' | 'cwd' | 'identity' | 'hostname' | 'tty' | 'rlimits' | 'noNewPrivileges' | 'oomScoreAdj'
  > & {
    readonly capabilities: readonly string[];
  },
  host: HostFacts,
): Process {
  const { identity, tty } = parts;
  // A process that is not root gets no capability but may find them in the bounding set, as with Docker.
  const held = identity.uid === 0 ? [...parts.capabilities] : [];
  return {
    terminal: tty !== undefined,
    ...(tty ? { consoleSize: { height: tty.rows, width: tty.columns } } : {}),
    user: { uid: identity.uid, gid: identity.gid, additionalGids: [...identity.additionalGids] },
    args: [...parts.args],
    env: environmentOf(profile, parts),
    cwd: parts.cwd || '/',
    capabilities: { bounding: [...parts.capabilities], permitted: held, effective: held, inheritable: [], ambient: [] },
    rlimits: rlimitsOf(profile, parts.rlimits ?? [], host),
    noNewPrivileges: parts.noNewPrivileges ?? profile.noNewPrivileges,
    oomScoreAdj: parts.oomScoreAdj ?? profile.oomScoreAdj,
  };
}

/** The filter for a capability set; undefined where the kernel has none. */
export function seccompOf(capabilities: readonly string[], { probe, host }: SpecTarget): Seccomp | undefined {
  return probe.seccomp ? seccompProfile({ capabilities, ...host }) : undefined;
}

/** Arguments by Docker's rule: the caller's entrypoint drops the image's CMD; the caller's command replaces it. */
export function argsOf(
  config: ContainerConfig,
  given: { readonly entrypoint?: readonly string[] | undefined; readonly command?: readonly string[] | undefined },
): readonly string[] {
  const command = given.command && given.command.length > 0 ? given.command : undefined;
  if (given.entrypoint) return [...given.entrypoint.filter((word) => word !== ''), ...(command ?? [])];
  return [...(config.Entrypoint ?? []), ...(command ?? config.Cmd ?? [])];
}

/** Docker names the machine to a container, BuildKit does not to a RUN. */
function environmentOf(
  profile: Profile,
  { env, tty, hostname, identity }: Pick<SpecParts, 'env' | 'tty' | 'hostname' | 'identity'>,
): string[] {
  const named = profile.name === 'run' ? [`HOSTNAME=${hostname}`] : [];
  const base = [`PATH=${DEFAULT_PATH}`, ...named, ...(tty ? ['TERM=xterm'] : [])];
  return withDefaults(mergeEnvironment(base, ...env), { HOME: identity.home });
}

/** Tells the helper which limits must hold; those of the profile are lowered to what the machine allows, with a warning. */
function requestedLimits(asked: readonly Rlimit[]): Record<string, string> {
  return asked.length > 0 ? { 'berth.requested-rlimits': asked.map(({ type }) => type).join(',') } : {};
}

function rlimitsOf(profile: Profile, asked: readonly Rlimit[], { openFiles }: HostFacts): Rlimit[] {
  const types = new Set(asked.map(({ type }) => type));
  const held = profile.rlimits.map((limit) =>
    limit.type === 'RLIMIT_NOFILE'
      ? { ...limit, soft: Math.min(limit.soft, openFiles), hard: Math.min(limit.hard, openFiles) }
      : limit,
  );
  return [...held.filter(({ type }) => !types.has(type)), ...asked];
}

/** The profile's own limits, as far as this machine can hold them. */
export function limitsOf(profile: Profile, probe: MachineProbe): Resources {
  const { controllers } = probe.cgroup;
  return {
    ...(controllers.includes('pids') ? { pids: { limit: profile.pidsLimit } } : {}),
    ...(controllers.includes('cpu') ? { cpu: { shares: profile.cpuShares } } : {}),
  };
}

function byDepth(mounts: readonly Mount[]): readonly Mount[] {
  const depth = ({ destination }: Mount): number => destination.split('/').filter(Boolean).length;
  return [...mounts].sort((a, b) => depth(a) - depth(b));
}
