import type { Mount } from '../engine.ts';
import type { HealthState } from '../native/protocol.ts';
import { containerConfigOf, hostConfigOf, portBindings } from './inspect-config.ts';
import { type Found, isAlive } from './list.ts';
import { inspectMemberships, ONLINE, sixOf } from './network/inspect.ts';
import type { VolumePlace } from './mounts.ts';
import { volumeData } from './volume-names.ts';
import type { VolumeUse } from './volumes.ts';

/** A container in the shape of `docker inspect`: the part that holds here, under Docker's names. */
export function inspectContainer({ state, record }: Found, place: VolumePlace): Record<string, unknown> {
  const { spec } = record;
  const [path = '', ...args] = record.args;
  return {
    Id: state.id,
    Created: state.createdAt,
    Path: path,
    Args: args,
    State: stateOf({ state, record }),
    Image: record.imageId,
    ...filesOf(state.id, place),
    Name: `/${record.name}`,
    Driver: 'overlay',
    Platform: 'linux',
    MountLabel: '',
    ProcessLabel: '',
    AppArmorProfile: '',
    ExecIDs: null,
    GraphDriver: { Name: 'overlay', Data: null },
    Mounts: [
      ...(spec.mounts ?? []).filter(({ type }) => type !== 'volume').map(mountOf),
      ...(record.volumes ?? []).map((use) => volumeOf(use, place)),
    ],
    RestartCount: state.restarts,
    HostConfig: { ...hostConfigOf(record.spec), Links: linksOf(record) },
    Config: containerConfigOf({ record }),
    NetworkSettings: networkSettings({ state, record }),
  };
}

/** Where the files of a container are that programs on this machine read. */
function filesOf(id: string, { root }: VolumePlace): Record<string, string> {
  const folder = `${root}/containers/${id}`;
  return {
    // In the order in which they are bound (bound-files.ts).
    HostsPath: `${folder}/files/0`,
    ResolvConfPath: `${folder}/files/1`,
    HostnamePath: `${folder}/files/2`,
    LogPath: `${folder}/log.json`,
  };
}

function networkSettings({ state, record }: Found): Record<string, unknown> {
  const memberships = record.memberships ?? [];
  const running = ONLINE.has(state.status);
  const [first] = memberships.filter(({ name }) => name === 'bridge');
  return {
    Bridge: '',
    SandboxID: '',
    SandboxKey: running && state.process ? `/proc/${state.process.pid}/ns/net` : '',
    Ports: portBindings(state.ports),
    HairpinMode: false,
    LinkLocalIPv6Address: '',
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID: '',
    ...sixOf(first, running),
    Gateway: running ? (first?.gateway ?? '') : '',
    IPAddress: running ? (first?.address ?? (memberships.length > 0 ? '' : (record.address ?? ''))) : '',
    IPPrefixLen: running ? (first?.prefix ?? 0) : 0,
    MacAddress: running ? (first?.mac ?? '') : '',
    Networks: inspectMemberships(memberships, { running, id: state.id, name: record.name }),
  };
}

/** Links of the default network; those of others stand with their network. */
function linksOf({ name, spec, memberships = [] }: Found['record']): readonly string[] | null {
  if (!spec.links?.length || !memberships.some((one) => one.name === 'bridge')) return null;
  return spec.links.map(({ container, alias }) => `/${container.replace(/^\//, '')}:/${name}/${alias}`);
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

function volumeOf({ name, target, readonly, anonymous }: VolumeUse, place: VolumePlace): Record<string, unknown> {
  return {
    Type: 'volume',
    Name: name,
    Source: volumeData(place, name),
    Destination: target,
    Driver: 'local',
    Mode: readonly ? 'ro' : anonymous ? '' : 'z',
    RW: !readonly,
    Propagation: '',
  };
}
