import { randomBytes } from 'node:crypto';
import { hostname as hostName } from 'node:os';
import { EngineError } from '../base/errors.ts';
import type { ActOptions } from '../base/progress.ts';
import type { ContainerHandle, OutputOptions, RunSpec } from '../engine.ts';
import type { ContainerConfig } from '../image/types.ts';
import type { Ended, Network, PublishedPort, StartArgs } from '../native/protocol.ts';
import type { Session } from '../native/types.ts';
import type { StoredImage } from '../store/types.ts';
import { createReadAccounts } from './accounts.ts';
import { freeAddress } from './address.ts';
import { networkFiles } from './bound-files.ts';
import { adjustCapabilities, RUN_CAPABILITIES } from './capabilities.ts';
import type { Connection, ContainersDependencies } from './dependencies.ts';
import { mergeEnvironment } from './environment.ts';
import { boundPorts, collectStart, createHandle } from './handle.ts';
import { readHostFacts } from './host.ts';
import { listContainers, type Found } from './list.ts';
import { resolveMounts } from './mounts.ts';
import { checkName, randomName } from './names.ts';
import { publishedPorts } from './ports.ts';
import { MASKED_PATHS, RUN_PROFILE } from './profile.ts';
import { type ContainerRecord, encodeRecord } from './record.ts';
import { toRlimits } from './rlimits.ts';
import { argsOf, createSpec } from './spec.ts';
import { stopContainer } from './stop.ts';
import { lookupUser } from './user.ts';

/** Seconds between the stop signal and SIGKILL; Docker's default. */
export const STOP_SECONDS = 10;

/** Starts a container of an image and waits until its process runs and its ports listen. */
export async function runContainer(
  dependencies: ContainersDependencies,
  spec: RunSpec,
  options: ActOptions & OutputOptions,
): Promise<ContainerHandle> {
  const { store, connect, ensureImage, ensureSnapshots } = dependencies;
  const image = await ensureImage(spec.image, spec.pull ?? 'missing', options);
  const connection = await connect();
  const lowers = await ensureSnapshots(image, options);
  const plan = await planContainer(connection, { image, lowers, spec }, options);
  if (plan.warning) options.onEvent?.({ type: 'warning', message: plan.warning });
  // The name is ours from the moment the helper has made the container: until then, nobody else may choose one.
  return await store.locks.with('containers', 'exclusive', async () => {
    const identity = chooseName(await listContainers(connection), spec, plan.id);
    return await start(connection, { ...plan, ...identity, spec }, options);
  });
}

/** All of a container that does not depend on the other containers. */
interface Plan {
  readonly id: string;
  readonly record: Omit<ContainerRecord, 'name' | 'address'>;
  readonly ports: readonly PublishedPort[];
  readonly anonymous: readonly string[];
  readonly config: StartArgs['config'];
  readonly warning?: string | undefined;
}

async function planContainer(
  { helper, probe }: Connection,
  { image, lowers, spec }: { readonly image: StoredImage; readonly lowers: readonly string[]; readonly spec: RunSpec },
  options: ActOptions,
): Promise<Plan> {
  const id = randomBytes(32).toString('hex');
  const config = mergeConfig(image.config.config ?? {}, spec);
  const args = argsOf(config, spec);
  if (args.length === 0) {
    throw new EngineError('NO_COMMAND', `Cannot run ${spec.image}: no command specified, and the image has none`, {
      hint: `berth run ${spec.image} COMMAND`,
    });
  }
  const network = spec.network ?? 'private';
  const hostname = spec.hostname ?? (network === 'host' ? hostName() : id.slice(0, 12));
  const [accounts, host, { mounts, anonymous }] = await Promise.all([
    createReadAccounts(helper)(lowers, options),
    readHostFacts(MASKED_PATHS),
    resolveMounts(spec.mounts ?? [], config, { readonly: spec.readonly ?? false }),
  ]);
  const ports = publishedPorts(spec, config);
  const oci = createSpec(
    RUN_PROFILE,
    {
      args,
      env: [config.Env ?? []],
      cwd: config.WorkingDir ?? '',
      identity: lookupUser(config.User ?? '', accounts, spec.groupAdd),
      hostname,
      network: network === 'host' ? 'host' : 'own',
      tty: spec.tty,
      readonly: spec.readonly,
      mounts,
      shmSize: spec.shmSize,
      capabilities: adjustCapabilities(RUN_CAPABILITIES, spec.capAdd, spec.capDrop),
      rlimits: toRlimits(spec.ulimits ?? []),
    },
    { idMap: helper.idMap, probe, host },
  );
  const rootfs = { lowers: [...lowers], upper: randomBytes(16).toString('hex') };
  const stopSignal = spec.stopSignal ?? config.StopSignal ?? 'SIGTERM';
  return {
    id,
    record: { v: 1, image: spec.image, imageId: image.id, rootfs, args, hostname, config, spec, stopSignal },
    ports: network === 'private' ? ports : [],
    anonymous,
    config: oci,
    ...(network !== 'private' && ports.length > 0
      ? { warning: `Published ports are discarded when using ${network} network mode` }
      : {}),
  };
}

/** The image's configuration with the caller's changes, as `docker inspect` shows it. */
function mergeConfig(config: ContainerConfig, spec: RunSpec): ContainerConfig {
  return {
    ...config,
    Env: mergeEnvironment(config.Env ?? [], spec.env ?? []),
    Labels: { ...config.Labels, ...spec.labels },
    ...(spec.user === undefined ? {} : { User: spec.user }),
    ...(spec.workdir === undefined ? {} : { WorkingDir: spec.workdir }),
  };
}

function chooseName(
  existing: readonly Found[],
  spec: RunSpec,
  id: string,
): { readonly name: string; readonly address: string } {
  const address = freeAddress(new Set(existing.flatMap(({ record }) => record.address ?? [])));
  const taken = new Map(existing.map(({ record, state }) => [record.name, state.id]));
  if (spec.name === undefined) return { name: randomName(new Set(taken.keys())), address };
  const name = checkName(spec.name);
  const holder = taken.get(name);
  if (holder === undefined) return { name, address };
  throw new EngineError(
    'NAME_IN_USE',
    `Cannot create container ${id.slice(0, 12)}: Conflict. The container name "/${name}" is already in use by container "${holder}". ` +
      'You have to remove (or rename) that container to be able to reuse that name',
    { hint: `berth rm -f ${name}` },
  );
}

async function start(
  connection: Connection,
  plan: Plan & { readonly name: string; readonly address: string; readonly spec: RunSpec },
  options: ActOptions & OutputOptions,
): Promise<ContainerHandle> {
  const { helper } = connection;
  const { spec, record, ports, name } = plan;
  await makeVolumes(connection, plan, options);
  const events = collectStart((event) => {
    if (event.type === 'warning') options.onEvent?.({ type: 'warning', message: event.message });
  });
  const session = helper.open('start', await startArgs(plan), {
    signal: options.signal,
    onEvent: events.onEvent,
    onData: options.onStdout,
    onErrorData: options.onStderr,
  });
  await untilRunning(session, events.running(ports.length));
  const bound = boundPorts(ports, events);
  return createHandle(session, {
    id: plan.id,
    name,
    ports: bound,
    stopSignal: record.stopSignal,
    stopSeconds: spec.stopTimeout ?? STOP_SECONDS,
    ...(spec.detach
      ? { stop: (seconds: number): Promise<Ended> => stopContainer(connection, plan.id, record.stopSignal, seconds) }
      : {}),
  });
}

async function startArgs(
  plan: Plan & { readonly name: string; readonly address: string; readonly spec: RunSpec },
): Promise<StartArgs> {
  const { spec, record, ports } = plan;
  const mode = spec.network ?? 'private';
  const network: Network = mode === 'private' ? { mode, address: plan.address, ports: [...ports] } : { mode };
  const address = mode === 'private' ? plan.address : undefined;
  return {
    container: plan.id,
    config: plan.config,
    rootfs: record.rootfs,
    detach: spec.detach ?? false,
    keep: !(spec.rm ?? false),
    stdin: (spec.interactive ?? false) && !(spec.detach ?? false),
    log: true,
    network,
    files: await networkFiles({
      hostname: record.hostname,
      address,
      extraHosts: spec.extraHosts,
      host: mode === 'host',
    }),
    init: spec.init ?? false,
    record: encodeRecord({ ...record, name: plan.name, ...(address ? { address } : {}) }),
    stopSignal: record.stopSignal,
    owner: spec.owner ? { ...spec.owner } : null,
  };
}

/** Makes the mount points of anonymous volumes in the container's own layer, before it starts. */
async function makeVolumes({ helper }: Connection, { anonymous, record }: Plan, options: ActOptions): Promise<void> {
  if (anonymous.length === 0) return;
  const { upper, lowers } = record.rootfs;
  const actions = anonymous.map((path) => ({
    kind: 'mkdir' as const,
    path,
    mode: 0o755,
    owner: { uid: 0, gid: 0 },
    created: null,
  }));
  await helper.call('copy', { name: upper, lowers, actions }, { signal: options.signal });
}

/** Waits for the first of: it runs, it has failed to start, it has ended already. */
async function untilRunning(session: Session<'start'>, running: Promise<void>): Promise<void> {
  await Promise.race([running, session.result]);
}
