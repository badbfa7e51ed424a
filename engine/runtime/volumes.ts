import { EngineError, isEngineError } from '../base/errors.ts';
import type { ActOptions } from '../base/progress.ts';
import type { PruneReport, VolumeSpec, Volumes, VolumeSummary } from '../engine.ts';
import type { VolumeState } from '../native/protocol.ts';
import type { Store } from '../store/types.ts';
import type { Connection } from './dependencies.ts';
import { type Found, isAlive, listContainers } from './list.ts';
import { anonymousName, checkVolumeName } from './volume-names.ts';
import { originOf, type VolumeOrigin } from './volume-options.ts';

/** A volume of a container. */
export interface VolumeUse {
  readonly name: string;
  readonly target: string;
  /** Made for this container; goes with it when it is removed with `-v` or `--rm`. */
  readonly anonymous: boolean;
  /** Its name was made up for this container: it is no volume that another one brought. */
  readonly invented?: boolean | undefined;
  readonly readonly?: boolean | undefined;
  /** Do not give an empty volume what the image has there. */
  readonly nocopy?: boolean | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** What it is mounted from, where that is no folder of the store. */
  readonly origin?: VolumeOrigin | undefined;
}

/** What the engine keeps beside a volume. */
interface VolumeRecord {
  readonly v: 1;
  readonly createdAt: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly anonymous: boolean;
  readonly options?: Readonly<Record<string, string>> | undefined;
}

/** {@link Volumes} on the helper, which keeps them; each id map has its own. */
export function createVolumes(store: Pick<Store, 'locks'>, connect: () => Promise<Connection>): Volumes {
  // The lock of containers: what one is about to use is not removed under it.
  const exclusive = <T>(act: () => Promise<T>): Promise<T> => store.locks.with('containers', 'exclusive', act);
  return {
    list: async ({ measure = false } = {}) => await listVolumes(await connect(), measure),
    create: async (spec = {}) => {
      const connection = await connect();
      return await exclusive(async () => await makeVolume(connection, spec));
    },
    resolve: async (name) => await findVolume(await connect(), name),
    remove: async (name) => {
      const connection = await connect();
      await exclusive(async () => await removeVolume(connection, await findVolume(connection, name)));
    },
    prune: async ({ all = false, keep = () => false } = {}) => {
      const connection = await connect();
      return await exclusive(async () => await pruneVolumes(connection, all, keep));
    },
  };
}

/** Makes the volumes of a container that are not there yet, and fills those that are empty with what its image has at their targets. */
export async function ensureVolumes(
  { helper }: Connection,
  uses: readonly VolumeUse[],
  lowers: readonly string[],
  { signal }: ActOptions,
): Promise<void> {
  for (const { name, target, anonymous, nocopy, labels, origin } of uses) {
    const record = newRecord({ labels, anonymous });
    await helper.call('volume', { action: { kind: 'create', name, record } }, { signal });
    // What lies elsewhere is not ours to fill, and a tmpfs is empty at each start.
    if (nocopy || origin) continue;
    await helper.call('volume', { action: { kind: 'fill', name, snapshots: [...lowers], path: target } }, { signal });
  }
}

/**
 * Removes the anonymous volumes of a container that is gone, but those that another container uses.
 *
 * @returns what could not be removed, with the reasons
 */
export async function removeAnonymous(connection: Connection, uses: readonly VolumeUse[]): Promise<readonly string[]> {
  const names = uses.filter(({ anonymous }) => anonymous).map(({ name }) => name);
  if (names.length === 0) return [];
  const used = usersByVolume(await listContainers(connection));
  const unused = names.filter((name) => !used.has(name));
  return (await connection.helper.call('volume', { action: { kind: 'remove', names: unused } })).warnings;
}

/** What the named volumes of a container are mounted from, where that is no folder of the store. */
export async function readOrigins(
  { helper }: Pick<Connection, 'helper'>,
  names: readonly string[],
): Promise<ReadonlyMap<string, VolumeOrigin>> {
  if (names.length === 0) return new Map();
  const { volumes } = await helper.call('volume', { action: { kind: 'list', measure: false } });
  return new Map(
    volumes
      .filter(({ name }) => names.includes(name))
      .flatMap(({ name, record }) => {
        const origin = originOf(name, readRecord(record).options);
        return origin ? [[name, origin] as const] : [];
      }),
  );
}

/**
 * A tmpfs lives in its container: without a daemon nobody could hold one for several.
 *
 * @throws `VOLUME_IN_USE` naming the container that runs with it
 */
export async function refuseSharedTmpfs(connection: Connection, id: string, uses: readonly VolumeUse[]): Promise<void> {
  const names = uses.filter(({ origin }) => origin?.type === 'tmpfs').map(({ name }) => name);
  if (names.length === 0) return;
  const running = (await listContainers(connection)).filter(({ state }) => state.id !== id && isAlive(state.status));
  for (const { record } of running) {
    const shared = record.volumes?.find(({ name }) => names.includes(name));
    if (!shared) continue;
    throw new EngineError(
      'VOLUME_IN_USE',
      `Cannot mount volume ${shared.name}: it is a tmpfs, and container ${record.name} runs with it`,
      { hint: `share a folder instead: -v ${shared.name}-files:${shared.target}` },
    );
  }
}

async function listVolumes(connection: Connection, measure: boolean): Promise<readonly VolumeSummary[]> {
  const [{ volumes }, containers] = await Promise.all([
    connection.helper.call('volume', { action: { kind: 'list', measure } }),
    listContainers(connection),
  ]);
  const users = usersByVolume(containers);
  return volumes.map((state) => toSummary(state, users.get(state.name) ?? []));
}

async function findVolume(connection: Connection, name: string): Promise<VolumeSummary> {
  const found = (await listVolumes(connection, false)).find((volume) => volume.name === name);
  if (found) return found;
  throw new EngineError('VOLUME_NOT_FOUND', `Cannot find volume ${name}: get ${name}: no such volume`, {
    hint: 'berth volume ls lists them',
  });
}

async function makeVolume(connection: Connection, spec: VolumeSpec): Promise<VolumeSummary> {
  const name = spec.name === undefined ? anonymousName() : checkVolumeName(spec.name);
  originOf(name, spec.options);
  const record = newRecord({ labels: spec.labels, options: spec.options, anonymous: spec.name === undefined });
  await connection.helper.call('volume', { action: { kind: 'create', name, record } });
  return await findVolume(connection, name);
}

async function removeVolume({ helper }: Connection, { name, users }: VolumeSummary): Promise<void> {
  if (users.length > 0) {
    throw new EngineError(
      'VOLUME_IN_USE',
      `Cannot remove volume ${name}: remove ${name}: volume is in use - [${users.join(', ')}]`,
      { hint: `berth rm ${users.map((id) => id.slice(0, 12)).join(' ')}` },
    );
  }
  const { warnings } = await helper.call('volume', { action: { kind: 'remove', names: [name] } });
  if (warnings[0] !== undefined) {
    throw new EngineError('REMOVE_INCOMPLETE', `Cannot remove all of volume ${name}: ${warnings.join('; ')}`);
  }
}

async function pruneVolumes(
  connection: Connection,
  all: boolean,
  keep: (volume: VolumeSummary) => boolean,
): Promise<PruneReport> {
  const unused = (await listVolumes(connection, true)).filter(
    (volume) => volume.users.length === 0 && (all || volume.anonymous) && !keep(volume),
  );
  const removed: string[] = [];
  const faults: Error[] = [];
  let bytes = 0;
  for (const volume of unused) {
    try {
      await removeVolume(connection, volume);
    } catch (error) {
      if (!isEngineError(error)) throw error;
      faults.push(error);
      continue;
    }
    removed.push(volume.name);
    bytes += volume.bytes ?? 0;
  }
  return { removed, bytes, faults };
}

function usersByVolume(containers: readonly Found[]): ReadonlyMap<string, readonly string[]> {
  const users = new Map<string, string[]>();
  for (const { state, record } of containers) {
    for (const { name } of record.volumes ?? []) users.set(name, [...(users.get(name) ?? []), state.id]);
  }
  return users;
}

function newRecord({
  labels = {},
  options = {},
  anonymous,
}: {
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly options?: Readonly<Record<string, string>> | undefined;
  readonly anonymous: boolean;
}): string {
  const createdAt = new Date().toISOString();
  const record: VolumeRecord = {
    v: 1,
    createdAt,
    labels,
    anonymous,
    ...(Object.keys(options).length > 0 ? { options } : {}),
  };
  return JSON.stringify(record);
}

function toSummary({ name, record, data, bytes }: VolumeState, users: readonly string[]): VolumeSummary {
  const { createdAt = '', labels = {}, anonymous = false, options } = readRecord(record);
  return { name, createdAt, labels, anonymous, options, mountpoint: data, users, ...(bytes === null ? {} : { bytes }) };
}

/** A record that another version wrote says nothing; the volume is the user's all the same. */
function readRecord(text: string): Partial<VolumeRecord> {
  try {
    const value: unknown = JSON.parse(text);
    // Type: only `newRecord` writes version 1, into a place that only the engine and the helper can write.
    if (typeof value === 'object' && value !== null && 'v' in value && value.v === 1) return value as VolumeRecord;
  } catch {
    // Said below.
  }
  return {};
}
