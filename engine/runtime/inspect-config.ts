import type { DeviceRate, Limits, Mount, RunSpec } from '../engine.ts';
import type { PublishedPort } from '../native/protocol.ts';
import type { Found } from './list.ts';
import { MASKED_PATHS, READONLY_PATHS } from './profile.ts';

/** Bytes of /dev/shm where nobody gave a size. */
const SHM_SIZE = 64 * 1024 * 1024;

/** What Docker has a flag for and is refused here (src/cli/commands/run-flags.ts), or is for Windows: templates that ask for it find it unset. */
const NEVER_SET = {
  Cgroup: '',
  ConsoleSize: [0, 0],
  ContainerIDFile: '',
  CpuCount: 0,
  CpuPercent: 0,
  CpuRealtimePeriod: 0,
  CpuRealtimeRuntime: 0,
  IOMaximumBandwidth: 0,
  IOMaximumIOps: 0,
  Isolation: '',
  Links: null,
  UsernsMode: '',
  VolumeDriver: '',
} as const;

/** What was asked for of the machine, as `HostConfig` of `docker inspect`: the daemon's values where nothing was said. */
export function hostConfigOf(spec: RunSpec): Record<string, unknown> {
  const { mounts = [], limits = {}, security = {} } = spec;
  const bare = spec.privileged === true || security.systemPathsUnconfined === true;
  return {
    ...NEVER_SET,
    ...limitsOf(limits),
    AutoRemove: spec.rm ?? false,
    Annotations: spec.annotations ?? {},
    Binds: mounts.filter(isBind).map(bindOf),
    CapAdd: orNull(spec.capAdd?.map(capability)),
    CapDrop: orNull(spec.capDrop?.map(capability)),
    CgroupParent: spec.cgroupParent ?? '',
    CgroupnsMode: spec.cgroupns ?? 'private',
    DeviceCgroupRules: (spec.deviceRules ?? []).map(ruleOf),
    Devices: (spec.devices ?? []).map(({ hostPath, path, access }) => ({
      PathOnHost: hostPath,
      PathInContainer: path,
      CgroupPermissions: access,
    })),
    DeviceRequests: deviceRequestsOf(spec),
    Dns: spec.dns ?? [],
    DnsOptions: spec.dnsOptions ?? [],
    DnsSearch: spec.dnsSearch ?? [],
    ExtraHosts: (spec.extraHosts ?? []).map(({ name, address }) => `${name}:${address}`),
    GroupAdd: orNull(spec.groupAdd),
    Init: spec.init ?? false,
    IpcMode: spec.ipc || 'private',
    LogConfig: { Type: spec.log?.driver ?? 'json-file', Config: logOptions(spec) },
    MaskedPaths: bare ? [] : MASKED_PATHS,
    NetworkMode: networkOf(spec),
    OomScoreAdj: spec.oomScoreAdj ?? 0,
    PidMode: spec.pid ?? '',
    PortBindings: portBindings(spec.ports ?? []),
    Privileged: spec.privileged ?? false,
    PublishAllPorts: spec.publishAll ?? false,
    ReadonlyPaths: bare ? [] : READONLY_PATHS,
    ReadonlyRootfs: spec.readonly ?? false,
    Runtime: spec.runtime ?? 'berth',
    RestartPolicy: { Name: spec.restart?.policy ?? 'no', MaximumRetryCount: spec.restart?.maxRetries ?? 0 },
    SecurityOpt: securityOf(security),
    ShmSize: spec.shmSize || SHM_SIZE,
    Sysctls: spec.sysctls ?? {},
    Tmpfs: Object.fromEntries(
      mounts.filter(({ type }) => type === 'tmpfs').map((mount) => [mount.target, tmpfsOf(mount)]),
    ),
    UTSMode: spec.uts ?? '',
    Ulimits: (spec.ulimits ?? []).map(({ name, soft, hard }) => ({ Name: name, Soft: soft, Hard: hard })),
    VolumesFrom: orNull(spec.volumesFrom?.map(({ container, readonly }) => (readonly ? `${container}:ro` : container))),
  };
}

/** The image's configuration with the caller's changes, as `Config` of `docker inspect`. */
export function containerConfigOf({ record }: Pick<Found, 'record'>): Record<string, unknown> {
  const { spec, config } = record;
  return {
    Hostname: record.hostname,
    Domainname: spec.domainname ?? '',
    User: config.User ?? '',
    ...attachedOf(spec),
    Tty: spec.tty !== undefined,
    OpenStdin: spec.interactive ?? false,
    StdinOnce: (spec.interactive ?? false) && !spec.detach,
    Env: config.Env ?? [],
    Cmd: spec.command && spec.command.length > 0 ? spec.command : spec.entrypoint ? null : (config.Cmd ?? null),
    Entrypoint: spec.entrypoint ?? config.Entrypoint ?? null,
    OnBuild: null,
    Image: record.image,
    WorkingDir: config.WorkingDir ?? '',
    Labels: config.Labels ?? {},
    ExposedPorts: config.ExposedPorts ?? {},
    Volumes: volumesOf(config.Volumes, spec),
    StopSignal: record.stopSignal,
    ...(spec.stopTimeout === undefined ? {} : { StopTimeout: spec.stopTimeout }),
    ...(config.Healthcheck ? { Healthcheck: config.Healthcheck } : {}),
  };
}

/** Streams that the command line joins. */
function attachedOf({ attached = [], interactive = false, detach = false }: RunSpec): Record<string, boolean> {
  const joins = (name: (typeof attached)[number], usual: boolean): boolean =>
    !detach && (attached.length > 0 ? attached.includes(name) : usual);
  return {
    AttachStdin: joins('stdin', interactive),
    AttachStdout: joins('stdout', true),
    AttachStderr: joins('stderr', true),
  };
}

/** Ports as Docker lists them; one that the kernel is to choose has no number. */
export function portBindings(
  ports: readonly PublishedPort[],
): Record<string, { readonly HostIp: string; readonly HostPort: string }[]> {
  const byPort: Record<string, { HostIp: string; HostPort: string }[]> = {};
  for (const port of ports) {
    const key = `${port.containerPort}/${port.protocol}`;
    byPort[key] = [...(byPort[key] ?? []), { HostIp: port.hostAddress, HostPort: hostPortOf(port) }];
  }
  return byPort;
}

function hostPortOf({ hostPort, hostPortLast }: PublishedPort): string {
  if (hostPort === 0) return '';
  return hostPortLast === undefined ? String(hostPort) : `${hostPort}-${hostPortLast}`;
}

function limitsOf(limits: Limits): Record<string, unknown> {
  return {
    BlkioDeviceReadBps: ratesOf(limits.deviceReadBps),
    BlkioDeviceReadIOps: ratesOf(limits.deviceReadIops),
    BlkioDeviceWriteBps: ratesOf(limits.deviceWriteBps),
    BlkioDeviceWriteIOps: ratesOf(limits.deviceWriteIops),
    BlkioWeight: limits.blkioWeight ?? 0,
    BlkioWeightDevice: (limits.blkioWeightDevice ?? []).map(({ path, weight }) => ({ Path: path, Weight: weight })),
    CpuPeriod: limits.cpuPeriod ?? 0,
    CpuQuota: limits.cpuQuota ?? 0,
    CpuShares: limits.cpuShares ?? 0,
    CpusetCpus: limits.cpusetCpus ?? '',
    CpusetMems: limits.cpusetMems ?? '',
    Memory: limits.memory ?? 0,
    MemoryReservation: limits.memoryReservation ?? 0,
    MemorySwap: limits.memorySwap ?? 0,
    MemorySwappiness: limits.memorySwappiness ?? null,
    NanoCpus: Math.round((limits.cpus ?? 0) * 1e9),
    OomKillDisable: limits.oomKillDisable ?? false,
    PidsLimit: limits.pids ?? null,
  };
}

function ratesOf(rates: readonly DeviceRate[] = []): readonly Record<string, unknown>[] {
  return rates.map(({ path, rate }) => ({ Path: path, Rate: rate }));
}

/** In full, as Docker's daemon writes it. */
function capability(name: string): string {
  const bare = name.toUpperCase().replace(/^CAP_/, '');
  return bare === 'ALL' ? bare : `CAP_${bare}`;
}

function networkOf({ network }: RunSpec): string {
  return network === undefined || network === '' || network === 'default' ? 'bridge' : network;
}

function securityOf({ noNewPrivileges, seccomp }: NonNullable<RunSpec['security']>): readonly string[] | null {
  const options = [
    ...(noNewPrivileges === undefined ? [] : [noNewPrivileges ? 'no-new-privileges' : 'no-new-privileges:false']),
    ...(seccomp === undefined ? [] : [`seccomp=${seccomp === 'unconfined' ? seccomp : JSON.stringify(seccomp)}`]),
  ];
  return orNull(options);
}

function logOptions({ log }: RunSpec): Record<string, string> {
  return {
    ...(log?.maxSize === undefined ? {} : { 'max-size': String(log.maxSize) }),
    ...(log?.maxFiles === undefined ? {} : { 'max-file': String(log.maxFiles) }),
  };
}

/** As Docker's own command line would have asked its daemon. */
function deviceRequestsOf({ deviceNames = [], gpus = [] }: RunSpec): readonly Record<string, unknown>[] | null {
  const byName = { Driver: 'cdi', Count: 0, DeviceIDs: deviceNames, Capabilities: null, Options: null };
  return orNull([
    ...gpus.map(({ driver = '', count, devices, capabilities, options = {} }) => ({
      Driver: driver,
      Count: count,
      DeviceIDs: orNull(devices),
      Capabilities: [capabilities],
      Options: options,
    })),
    ...(deviceNames.length > 0 ? [byName] : []),
  ]);
}

/** A directory of the host or a volume with a name; one without is in `Volumes`. */
function isBind({ type, source }: Mount): boolean {
  return type !== 'tmpfs' && source !== undefined;
}

function bindOf({ source = '', target, readonly, nocopy, propagation }: Mount): string {
  const options = [readonly ? 'ro' : '', nocopy ? 'nocopy' : '', propagation ?? ''].filter(Boolean).join(',');
  return `${source}:${target}${options === '' ? '' : `:${options}`}`;
}

function tmpfsOf({ size, mode, readonly, tmpfs = [] }: Mount): string {
  return [
    ...(readonly ? ['ro'] : []),
    ...tmpfs,
    ...(size === undefined ? [] : [`size=${size}`]),
    ...(mode === undefined ? [] : [`mode=${mode.toString(8)}`]),
  ].join(',');
}

function volumesOf(
  image: Readonly<Record<string, unknown>> | undefined,
  { mounts = [] }: RunSpec,
): Readonly<Record<string, unknown>> | null {
  const anonymous = mounts.filter(({ type, source }) => type === 'volume' && source === undefined);
  const all = { ...image, ...Object.fromEntries(anonymous.map(({ target }) => [target, {}])) };
  return Object.keys(all).length > 0 ? all : null;
}

function orNull<T>(list: readonly T[] | undefined): readonly T[] | null {
  return list && list.length > 0 ? list : null;
}

/** As `--device-cgroup-rule` takes it. */
function ruleOf({ type, major, minor, access }: NonNullable<RunSpec['deviceRules']>[number]): string {
  return `${type} ${major ?? '*'}:${minor ?? '*'} ${access}`;
}
