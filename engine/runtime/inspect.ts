import type { Mount, RunSpec } from '../engine.ts';
import type { HealthState, PublishedPort } from '../native/protocol.ts';
import { type Found, isAlive } from './list.ts';
import { inspectMemberships, ONLINE } from './network/inspect.ts';
import type { VolumePlace } from './mounts.ts';
import { volumeData } from './volume-names.ts';
import type { VolumeUse } from './volumes.ts';

/** A container in the shape of `docker inspect`: the part that holds here, under Docker's names. */
export function inspectContainer({ state, record }: Found, place: VolumePlace): Record<string, unknown> {
  const { spec, config } = record;
  const [path = '', ...args] = record.args;
  return {
    Id: state.id,
    Created: state.createdAt,
    Path: path,
    Args: args,
    State: stateOf({ state, record }),
    Image: record.imageId,
    Name: `/${record.name}`,
    Driver: 'overlay',
    Platform: 'linux',
    Mounts: [
      ...(spec.mounts ?? []).filter(({ type }) => type !== 'volume').map(mountOf),
      ...(record.volumes ?? []).map((use) => volumeOf(use, place)),
    ],
    RestartCount: state.restarts,
    HostConfig: {
      AutoRemove: spec.rm ?? false,
      Binds: (spec.mounts ?? []).filter(({ type }) => type === 'bind').map(bindOf),
      NetworkMode: spec.network ?? 'bridge',
      PortBindings: bindings(spec.ports ?? []),
      PublishAllPorts: spec.publishAll ?? false,
      CapAdd: spec.capAdd ?? null,
      CapDrop: spec.capDrop ?? null,
      ExtraHosts: (spec.extraHosts ?? []).map(({ name, address }) => `${name}:${address}`),
      GroupAdd: spec.groupAdd ?? null,
      Init: spec.init ?? false,
      ReadonlyRootfs: spec.readonly ?? false,
      Privileged: false,
      ShmSize: spec.shmSize ?? 64 * 1024 * 1024,
      Ulimits: (spec.ulimits ?? []).map(({ name, soft, hard }) => ({ Name: name, Soft: soft, Hard: hard })),
      LogConfig: { Type: spec.log?.driver ?? 'json-file', Config: logOptions(spec) },
      RestartPolicy: { Name: spec.restart?.policy ?? 'no', MaximumRetryCount: spec.restart?.maxRetries ?? 0 },
    },
    Config: {
      Hostname: record.hostname,
      User: config.User ?? '',
      Tty: spec.tty !== undefined,
      OpenStdin: spec.interactive ?? false,
      Env: config.Env ?? [],
      Cmd: spec.command && spec.command.length > 0 ? spec.command : spec.entrypoint ? null : (config.Cmd ?? null),
      Entrypoint: spec.entrypoint ?? config.Entrypoint ?? null,
      Image: record.image,
      WorkingDir: config.WorkingDir ?? '',
      Labels: config.Labels ?? {},
      ExposedPorts: config.ExposedPorts ?? {},
      Volumes: config.Volumes ?? null,
      StopSignal: record.stopSignal,
      ...(config.Healthcheck ? { Healthcheck: config.Healthcheck } : {}),
    },
    NetworkSettings: networkSettings({ state, record }),
  };
}

function networkSettings({ state, record }: Found): Record<string, unknown> {
  const memberships = record.memberships ?? [];
  const running = ONLINE.has(state.status);
  const [first] = memberships.filter(({ name }) => name === 'bridge');
  return {
    Ports: bindings(state.ports),
    Gateway: running ? (first?.gateway ?? '') : '',
    IPAddress: running ? (first?.address ?? (memberships.length > 0 ? '' : (record.address ?? ''))) : '',
    IPPrefixLen: running ? (first?.prefix ?? 0) : 0,
    MacAddress: running ? (first?.mac ?? '') : '',
    Networks: inspectMemberships(memberships, { running, id: state.id, name: record.name }),
  };
}

/** Docker's value for a time that has not come. */
const NO_TIME = '0001-01-01T00:00:00Z';

function stateOf({ state }: Found): Record<string, unknown> {
  return {
    Status: state.status,
    Running: isAlive(state.status),
    Paused: state.status === 'paused',
    Restarting: state.status === 'restarting',
    OOMKilled: state.ended?.oomKilled ?? false,
    Dead: state.status === 'dead',
    Pid: state.process?.pid ?? 0,
    ExitCode: state.ended?.exitCode ?? 0,
    Error: state.error ?? '',
    StartedAt: state.startedAt ?? NO_TIME,
    FinishedAt: state.finishedAt ?? NO_TIME,
    ...(state.health ? { Health: healthOf(state.health) } : {}),
  };
}

function healthOf({ status, failingStreak, log }: HealthState): Record<string, unknown> {
  return {
    Status: status,
    FailingStreak: failingStreak,
    Log: log.map(({ start, end, exitCode, output }) => ({
      Start: start,
      End: end,
      ExitCode: exitCode,
      Output: output,
    })),
  };
}

function logOptions({ log }: RunSpec): Record<string, string> {
  return {
    ...(log?.maxSize === undefined ? {} : { 'max-size': String(log.maxSize) }),
    ...(log?.maxFiles === undefined ? {} : { 'max-file': String(log.maxFiles) }),
  };
}

function mountOf(mount: Mount): Record<string, unknown> {
  return {
    Type: mount.type,
    Source: mount.source ?? '',
    Destination: mount.target,
    Mode: mount.readonly ? 'ro' : '',
    RW: !mount.readonly,
    Propagation: mount.type === 'bind' ? 'rprivate' : '',
  };
}

function volumeOf({ name, target, readonly }: VolumeUse, place: VolumePlace): Record<string, unknown> {
  return {
    Type: 'volume',
    Name: name,
    Source: volumeData(place, name),
    Destination: target,
    Driver: 'local',
    Mode: readonly ? 'ro' : 'z',
    RW: !readonly,
    Propagation: '',
  };
}

function bindOf({ source = '', target, readonly }: Mount): string {
  return `${source}:${target}${readonly ? ':ro' : ''}`;
}

function bindings(ports: readonly PublishedPort[]): Record<string, { HostIp: string; HostPort: string }[]> {
  const byPort: Record<string, { HostIp: string; HostPort: string }[]> = {};
  for (const port of ports) {
    const key = `${port.containerPort}/${port.protocol}`;
    byPort[key] = [...(byPort[key] ?? []), { HostIp: port.hostAddress, HostPort: String(port.hostPort) }];
  }
  return byPort;
}
