import type { ContainerConfig } from '../image/types.ts';
import type { IdMap, Mount, NetworkProbe, Process, Resources, Rlimit, Seccomp, Spec } from '../native/protocol.ts';
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
  readonly network: 'host' | 'own';
  readonly tty?: { readonly rows: number; readonly columns: number } | undefined;
  readonly readonly?: boolean | undefined;
  /** Mounts after the profile's, in order of depth. */
  readonly mounts?: readonly Mount[] | undefined;
  readonly shmSize?: number | undefined;
  readonly capabilities?: readonly string[] | undefined;
  /** Limits that were asked for; they replace the profile's of the same type, and it is an error where one cannot be set. */
  readonly rlimits?: readonly Rlimit[] | undefined;
}

/** The runtime-spec configuration of a process (runtime-spec 1.2, config.md). */
export function createSpec(profile: Profile, parts: SpecParts, target: SpecTarget): Spec {
  const capabilities = parts.capabilities ?? profile.capabilities;
  const resources = limitsOf(profile, target);
  const seccomp = seccompOf(capabilities, target);
  return {
    ociVersion: '1.2.1',
    process: createProcess(profile, { ...parts, capabilities }, target.host),
    root: { path: 'rootfs', readonly: parts.readonly ?? false },
    hostname: parts.hostname,
    mounts: [...defaultMounts(parts.shmSize ?? DEFAULT_SHM_SIZE), ...byDepth(parts.mounts ?? [])],
    linux: {
      namespaces: [...profile.namespaces, ...(parts.network === 'own' ? ['network'] : [])].map((type) => ({ type })),
      devices: [],
      ...(resources ? { resources } : {}),
      ...(seccomp ? { seccomp } : {}),
      maskedPaths: [...target.host.maskedPaths],
      readonlyPaths: [...READONLY_PATHS],
      rootfsPropagation: 'private',
      sysctl: {},
    },
    annotations: requestedLimits(parts.rlimits ?? []),
  };
}

/** The process part alone, as exec needs it. */
export function createProcess(
  profile: Profile,
  parts: Pick<SpecParts, 'args' | 'env' | 'cwd' | 'identity' | 'hostname' | 'tty' | 'rlimits'> & {
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
    noNewPrivileges: profile.noNewPrivileges,
    oomScoreAdj: profile.oomScoreAdj,
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

function limitsOf(profile: Profile, { probe }: SpecTarget): Resources | undefined {
  const { controllers } = probe.cgroup;
  const limits = {
    ...(controllers.includes('pids') ? { pids: { limit: profile.pidsLimit } } : {}),
    ...(controllers.includes('cpu') ? { cpu: { shares: profile.cpuShares } } : {}),
  };
  return Object.keys(limits).length > 0 ? limits : undefined;
}

function byDepth(mounts: readonly Mount[]): readonly Mount[] {
  const depth = ({ destination }: Mount): number => destination.split('/').filter(Boolean).length;
  return [...mounts].sort((a, b) => depth(a) - depth(b));
}
