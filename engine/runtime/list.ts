import { EngineError } from '../base/errors.ts';
import type { ContainerSummary } from '../engine.ts';
import type { ContainerState } from '../native/protocol.ts';
import type { Helper } from '../native/types.ts';
import type { Connection } from './dependencies.ts';
import { type ContainerRecord, decodeRecord } from './record.ts';

/** A container with what the engine remembers of it. */
export interface Found {
  readonly state: ContainerState;
  readonly record: ContainerRecord;
}

/** Every container of the engine, newest first. Those of a RUN carry no record and are not among them. */
export async function listContainers({ helper }: Connection): Promise<readonly Found[]> {
  const { containers } = await helper.call('state', { containers: [] });
  const found = containers.flatMap((state) => {
    const record = decodeRecord(state.record);
    return record ? [{ state, record }] : [];
  });
  const lost = found.filter(isLost);
  const others = lost.length === 0 ? found : found.filter((one) => !isLost(one));
  if (lost.length > 0) await collectLost(helper, lost, others);
  return others.sort((a, b) => (a.state.createdAt < b.state.createdAt ? 1 : -1));
}

/** Nobody keeps it, and its monitor was killed where the helper could not reach its files: outside the user namespace. */
function isLost({ state, record }: Found): boolean {
  return state.status === 'dead' && record.spec.rm === true;
}

async function collectLost(helper: Helper, lost: readonly Found[], others: readonly Found[]): Promise<void> {
  const mounted = new Set(others.flatMap(({ record }) => (record.volumes ?? []).map(({ name }) => name)));
  const volumes = lost.flatMap(({ record }) => (record.volumes ?? []).filter(({ anonymous }) => anonymous));
  const names = volumes.map(({ name }) => name).filter((name) => !mounted.has(name));
  await helper.call('remove', {
    containers: lost.map(({ state }) => state.id),
    snapshots: lost.map(({ record }) => record.rootfs.upper),
    force: false,
    garbage: false,
  });
  if (names.length > 0) await helper.call('volume', { action: { kind: 'remove', names } });
}

/** By name, id or prefix of an id. @throws `CONTAINER_NOT_FOUND`, `AMBIGUOUS` */
export async function findContainer(connection: Connection, nameOrId: string): Promise<Found> {
  const all = await listContainers(connection);
  const exact = all.find(({ state, record }) => state.id === nameOrId || record.name === nameOrId.replace(/^\//, ''));
  if (exact) return exact;
  const [found, ...others] = all.filter(({ state }) => nameOrId !== '' && state.id.startsWith(nameOrId));
  if (!found) {
    const why =
      nameOrId === '' ? 'without a name: the name or id is empty' : `${nameOrId}: No such container: ${nameOrId}`;
    throw new EngineError('CONTAINER_NOT_FOUND', `Cannot find container ${why}`, { hint: 'berth ps -a lists them' });
  }
  if (others.length > 0) {
    throw new EngineError('AMBIGUOUS', `Cannot choose a container: ${others.length + 1} ids start with ${nameOrId}`, {
      hint: 'give more of the id, or the name',
    });
  }
  return found;
}

/** A running container. @throws `CONTAINER_NOT_RUNNING` */
export async function findRunning(connection: Connection, nameOrId: string): Promise<Found> {
  const found = await findContainer(connection, nameOrId);
  if (found.state.status === 'running') {
    // The helper knows of a process where it could read the state.
    if (found.state.process !== null) return found;
    throw new EngineError(
      'CONTAINER_STATE_UNREADABLE',
      `Cannot reach ${nameOrId}: the state of container ${found.state.id} cannot be read; its processes may run`,
      { hint: `berth restart ${found.record.name} ends what runs of it, and starts it anew` },
    );
  }
  if (found.state.status === 'paused') {
    throw new EngineError('CONTAINER_PAUSED', `Cannot reach ${nameOrId}: container ${found.state.id} is paused`, {
      hint: `berth unpause ${found.record.name}`,
    });
  }
  if (found.state.status === 'restarting') {
    throw new EngineError(
      'CONTAINER_NOT_RUNNING',
      `Cannot reach ${nameOrId}: container ${found.state.id} is restarting, wait until the container is running`,
    );
  }
  throw notRunning(nameOrId, found.state.id);
}

/** The error of a command that needs a running container. */
export function notRunning(nameOrId: string, id: string): EngineError {
  return new EngineError('CONTAINER_NOT_RUNNING', `Cannot reach ${nameOrId}: container ${id} is not running`);
}

/** What `ps` shows. */
export function toSummary({ state, record }: Found): ContainerSummary {
  return {
    id: state.id,
    name: record.name,
    image: record.image,
    imageId: record.imageId,
    platform: record.platform,
    command: record.args,
    status: statusOf(state.status),
    exitCode: state.ended?.exitCode ?? null,
    createdAt: state.createdAt,
    startedAt: state.startedAt,
    finishedAt: state.finishedAt,
    ports: state.ports,
    labels: record.config.Labels ?? {},
    pid: state.process?.pid ?? null,
    mounts: [
      ...(record.volumes ?? []).map(({ name, target }) => ({ source: name, target })),
      ...(record.spec.mounts ?? [])
        .filter(({ type }) => type === 'bind')
        .map(({ source = '', target }) => ({ source, target })),
    ],
    networks: networksOf(record),
    exposed: Object.keys(record.config.ExposedPorts ?? {})
      .map((port) => (port.includes('/') ? port : `${port}/tcp`))
      .filter((port) => !state.ports.some((one) => `${one.containerPort}/${one.protocol}` === port)),
    health: state.health?.status,
    tty: record.spec.tty !== undefined,
    interactive: record.spec.interactive ?? false,
  };
}

/** A container on no network of the store has its mode in their place, as Docker shows it. */
function networksOf({ memberships = [], spec }: ContainerRecord): ContainerSummary['networks'] {
  if (memberships.length > 0) return memberships.map(({ name, id }) => ({ name, id }));
  return spec.network === undefined ? [] : [{ name: spec.network }];
}

/** Whether its processes are alive, or will be. */
export function isAlive(status: string): boolean {
  return status === 'running' || status === 'paused' || status === 'restarting';
}

const STATUSES = ['created', 'running', 'paused', 'restarting', 'exited'] as const;

function statusOf(status: string): ContainerSummary['status'] {
  return STATUSES.find((known) => known === status) ?? 'dead';
}
