import { EngineError } from '../base/errors.ts';
import type { ActOptions } from '../base/progress.ts';
import type { ContainerHandle, KeepOptions, OutputOptions, RunSpec } from '../engine.ts';
import { NativeError } from '../native/index.ts';
import type { Ended, StartArgs } from '../native/protocol.ts';
import type { Session } from '../native/types.ts';
import type { Connection, ContainersDependencies } from './dependencies.ts';
import { boundPorts, collectStart, createHandle } from './handle.ts';
import { lifeOf } from './life.ts';
import { listContainers, type Found } from './list.ts';
import { intendVolumes } from './intended.ts';
import { checkName, randomName } from './names.ts';
import { readHostNetwork } from './network/host.ts';
import { checkLinksRun } from './network/links.ts';
import { addressesOn, type NetworkPlan, planNetwork } from './network/plan.ts';
import { createNetworkRecords } from './network/records.ts';
import { findPasta } from './network/way-out.ts';
import { type Plan, planContainer } from './plan.ts';
import { type ContainerRecord, encodeRecord } from './record.ts';
import { stopContainer } from './stop.ts';
import { ensureVolumes, refuseSharedTmpfs, removeAnonymous } from './volumes.ts';

/** Seconds between the stop signal and SIGKILL; Docker's default. */
export const STOP_SECONDS = 10;

/** Starts a container of an image and waits until its process runs and its ports listen. */
export async function runContainer(
  dependencies: ContainersDependencies,
  spec: RunSpec,
  options: ActOptions & OutputOptions & KeepOptions,
): Promise<ContainerHandle> {
  const { locks } = dependencies.store;
  begin(dependencies);
  // Shared: a prune must not take snapshots away between their unpacking and the start.
  return await locks.with('store', 'shared', () => startLocked(dependencies, spec, options), options);
}

/** Makes a container that waits to be started. */
export async function createContainer(
  dependencies: ContainersDependencies,
  spec: RunSpec,
  options: ActOptions,
): Promise<{ readonly id: string; readonly name: string }> {
  const { locks } = dependencies.store;
  begin(dependencies);
  return await locks.with(
    'store',
    'shared',
    () =>
      withPlan(dependencies, spec, options, async (connection, plan) => {
        const settled = await intendVolumes(connection, plan.id, plan.record.volumes ?? []);
        await ensureVolumes(connection, plan.record.volumes ?? [], plan.record.rootfs.lowers, options);
        await connection.helper.call('create', startArgs(plan), { signal: options.signal });
        await settled();
        return { id: plan.id, name: plan.name };
      }),
    options,
  );
}

/** Probes the machine while the lock is waited for; what it cannot is thrown when it is asked for. */
function begin({ connect }: ContainersDependencies): void {
  connect().catch(() => undefined);
}

async function startLocked(
  dependencies: ContainersDependencies,
  spec: RunSpec,
  options: ActOptions & OutputOptions & KeepOptions,
): Promise<ContainerHandle> {
  return await withPlan(dependencies, spec, options, (connection, plan) => start(connection, plan, options));
}

/** Works out everything about a new container, and calls `act` while nobody else may choose a name or an address. */
async function withPlan<T>(
  { store, connect, ensureImage, ensureSnapshots }: ContainersDependencies,
  spec: RunSpec,
  options: ActOptions,
  act: (connection: Connection, plan: NamedPlan) => Promise<T>,
): Promise<T> {
  const image = await ensureImage(spec.image, spec.pull ?? 'missing', { ...options, platform: spec.platform });
  const connection = await connect();
  const lowers = await ensureSnapshots(image, options);
  const plan = await planContainer(connection, { image, lowers, spec }, options);
  for (const message of plan.warnings) options.onEvent?.({ type: 'warning', message });
  // The name is ours from the moment the helper has made the container: until then, nobody else may choose one.
  return await store.locks.with('containers', 'exclusive', async () => {
    const existing = await listContainers(connection);
    const name = chooseName(existing, spec, plan.id);
    const net = await chooseNetwork(store.root, connection, { plan, spec, name, existing });
    if (net.warning) options.onEvent?.({ type: 'warning', message: net.warning });
    return await act(connection, { ...plan, name, net, spec });
  });
}

/** The network, with addresses that no other container of the store has. */
async function chooseNetwork(
  root: string,
  { helper, probe }: Connection,
  parts: { readonly plan: Plan; readonly spec: RunSpec; readonly name: string; readonly existing: readonly Found[] },
): Promise<NetworkPlan> {
  const { plan, spec, name, existing } = parts;
  const records = createNetworkRecords(root);
  const host = readHostNetwork();
  const [networks, pasta] = await Promise.all([records.list(), findPasta(helper.idMap)]);
  return await planNetwork(spec, {
    id: plan.id,
    name,
    hostname: plan.record.hostname,
    ports: plan.ports,
    records,
    around: { host, networks, addresses: addressesOf(existing) },
    existing,
    probe: probe.network,
    pasta,
  });
}

/** Every address that a container has. */
export function addressesOf(existing: readonly Found[]): readonly string[] {
  return existing.flatMap(({ record }) => [
    ...(record.address === undefined ? [] : [record.address]),
    ...(record.memberships ?? []).flatMap(addressesOn),
  ]);
}

function chooseName(existing: readonly Found[], spec: RunSpec, id: string): string {
  if (spec.name === undefined) return randomName(new Set(existing.map(({ record }) => record.name)));
  return freeName(existing, spec.name, `create container ${id.slice(0, 12)}`);
}

/** @throws `NAME_IN_USE` when another container has it, `INVALID_NAME` */
export function freeName(existing: readonly Found[], asked: string, action: string): string {
  const name = checkName(asked);
  const holder = existing.find(({ record }) => record.name === name);
  if (!holder) return name;
  throw new EngineError(
    'NAME_IN_USE',
    `Cannot ${action}: Conflict. The container name "/${name}" is already in use by container "${holder.state.id}". ` +
      'You have to remove (or rename) that container to be able to reuse that name',
    { hint: `berth rm -f ${name}` },
  );
}

async function start(
  connection: Connection,
  plan: NamedPlan,
  options: ActOptions & OutputOptions & KeepOptions,
): Promise<ContainerHandle> {
  const { helper } = connection;
  const { spec, record, name } = plan;
  await checkLinks(connection, { ...record, name, memberships: plan.net.memberships });
  await refuseSharedTmpfs(connection, plan.id, record.volumes ?? []);
  const settled = await intendVolumes(connection, plan.id, record.volumes ?? []);
  await ensureVolumes(connection, record.volumes ?? [], record.rootfs.lowers, options);
  const events = collectStart((event) => {
    if (event.type === 'warning') options.onEvent?.({ type: 'warning', message: event.message });
  });
  const session = helper.open(
    'start',
    { ...startArgs(plan), ...(options.onKept ? { keepFailed: true } : {}) },
    {
      signal: options.signal,
      onEvent: events.onEvent,
      onData: options.onStdout,
      onErrorData: options.onStderr,
    },
  );
  try {
    await untilRunning(session, events.running());
    await settled();
  } catch (error) {
    // Where the helper kept nothing of the container, nobody will ever ask for its anonymous volumes.
    if (await isKept(connection, plan.id, options)) await settled();
    else
      await removeAnonymous(connection, record.volumes ?? []).then(
        (left) => (left.length === 0 ? settled() : undefined),
        () => undefined,
      );
    throw error;
  }
  return createHandle(session, {
    id: plan.id,
    name,
    ports: boundPorts(events),
    stopSignal: record.stopSignal,
    stopSeconds: spec.stopTimeout ?? STOP_SECONDS,
    ...(spec.detach
      ? { stop: (seconds: number): Promise<Ended> => stopContainer(connection, plan.id, record.stopSignal, seconds) }
      : {}),
  });
}

/** Those that a container is linked with must run. */
export async function checkLinks(connection: Connection, record: ContainerRecord): Promise<void> {
  if (record.spec.links?.length) checkLinksRun(record, await listContainers(connection));
}

/** Whether a container that could not be started stays; tells of it. */
async function isKept(connection: Connection, id: string, { onKept }: KeepOptions): Promise<boolean> {
  if (!onKept) return false;
  const existing = await listContainers(connection).catch(() => []);
  const kept = existing.some(({ state }) => state.id === id && state.status === 'created');
  if (kept) onKept(id);
  return kept;
}

/** A plan with what depends on the other containers. */
type NamedPlan = Plan & { readonly name: string; readonly net: NetworkPlan; readonly spec: RunSpec };

function startArgs(plan: NamedPlan): StartArgs {
  const { spec, net } = plan;
  const { address, memberships, env = [] } = net;
  // A variable of its own comes before that of a link, as exec has it too.
  const own = new Set(plan.config.process.env.map(nameOf));
  const linked = env.filter((variable) => !own.has(nameOf(variable)));
  const record =
    linked.length > 0 ? { ...plan.record, deviceEnv: [...(plan.record.deviceEnv ?? []), ...linked] } : plan.record;
  return {
    container: plan.id,
    config: { ...plan.config, process: { ...plan.config.process, env: [...plan.config.process.env, ...linked] } },
    rootfs: record.rootfs,
    detach: spec.detach ?? false,
    keep: !(spec.rm ?? false),
    stdin: spec.interactive ?? false,
    log: spec.log?.driver !== 'none',
    network: net.network,
    files: [...net.files],
    init: spec.init ?? false,
    record: encodeRecord({ ...record, name: plan.name, ...(address ? { address } : {}), memberships }),
    stopSignal: record.stopSignal,
    owner: spec.owner ? { ...spec.owner } : null,
    life: lifeOf(spec, { name: plan.name, image: record.image, config: record.config, joins: plan.joins }),
  };
}

function nameOf(variable: string): string {
  return variable.slice(0, variable.indexOf('='));
}

/** Waits for the first of: it runs, it has failed to start, it has ended already. */
export async function untilRunning(
  session: Session<'start'> | Session<'resume'>,
  running: Promise<void>,
): Promise<void> {
  await Promise.race([running, session.result]).catch((error: unknown) => {
    throw asMissingParameter(error) ?? error;
  });
}

/** A kernel parameter that is not there has a code of its own: `run` ends with 127 then, as Docker does. */
function asMissingParameter(error: unknown): EngineError | undefined {
  if (!(error instanceof NativeError) || error.failure.step !== 'open sysctl') return undefined;
  if (error.failure.code !== 'not-found') return undefined;
  return new EngineError('SYSCTL_NOT_FOUND', error.message, { hint: error.hint, cause: error });
}
