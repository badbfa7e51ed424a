import { randomBytes } from 'node:crypto';
import { hostname as hostName } from 'node:os';
import { EngineError } from '../base/errors.ts';
import type { ActOptions } from '../base/progress.ts';
import type { Mount, RunSpec } from '../engine.ts';
import type { ContainerConfig } from '../image/types.ts';
import type { PublishedPort, StartArgs } from '../native/protocol.ts';
import type { StoredImage } from '../store/types.ts';
import { createReadAccounts } from './accounts.ts';
import { adjustCapabilities, RUN_CAPABILITIES } from './capabilities.ts';
import type { Connection } from './dependencies.ts';
import { mergeEnvironment } from './environment.ts';
import { readHostFacts } from './host.ts';
import { findContainer } from './list.ts';
import { mountsFrom, resolveMounts } from './mounts.ts';
import type { NetworkMode } from './network/kinds.ts';
import { modeOf } from './network/plan.ts';
import { publishedPorts } from './ports.ts';
import { MASKED_PATHS, RUN_PROFILE } from './profile.ts';
import type { ContainerRecord } from './record.ts';
import { toRlimits } from './rlimits.ts';
import { argsOf, createSpec } from './spec.ts';
import { lookupUser } from './user.ts';
import type { VolumeUse } from './volumes.ts';

/** All of a container that does not depend on the other containers. */
export interface Plan {
  readonly id: string;
  readonly record: Omit<ContainerRecord, 'name' | 'address' | 'memberships'>;
  readonly ports: readonly PublishedPort[];
  readonly config: StartArgs['config'];
  readonly warning?: string | undefined;
}

/** Works out everything about a container that can be known before its name. @throws `NO_COMMAND`, `USER_NOT_FOUND`, `MOUNT_REFUSED` and more */
export async function planContainer(
  connection: Connection,
  { image, lowers, spec }: { readonly image: StoredImage; readonly lowers: readonly string[]; readonly spec: RunSpec },
  options: ActOptions,
): Promise<Plan> {
  const { helper, probe, root } = connection;
  const id = randomBytes(32).toString('hex');
  const config = mergeConfig(image.config.config ?? {}, spec);
  const args = argsOf(config, spec);
  if (args.length === 0) {
    throw new EngineError('NO_COMMAND', `Cannot run ${spec.image}: no command specified, and the image has none`, {
      hint: `berth run ${spec.image} COMMAND`,
    });
  }
  const network = modeOf(spec).kind;
  const hostname = spec.hostname ?? (network === 'host' ? hostName() : id.slice(0, 12));
  const [accounts, host, { mounts, volumes }] = await Promise.all([
    createReadAccounts(helper)(lowers, options),
    readHostFacts(MASKED_PATHS),
    mountsOf(connection, spec).then((asked) => resolveMounts(asked, config, { root, idMapName: helper.idMapName })),
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
    record: { v: 1, image: spec.image, imageId: image.id, rootfs, args, hostname, config, volumes, spec, stopSignal },
    ports: hasPorts(network) ? ports : [],
    config: spec.rm ? { ...oci, annotations: { ...oci.annotations, ...ownVolumes(volumes) } } : oci,
    ...(!hasPorts(network) && ports.length > 0
      ? { warning: `Published ports are discarded when using ${network} network mode` }
      : {}),
  };
}

function hasPorts(network: NetworkMode['kind']): boolean {
  return network === 'bridge' || network === 'private';
}

/** What is asked for, and what other containers have mounted. */
async function mountsOf(connection: Connection, { mounts = [], volumesFrom = [] }: RunSpec): Promise<readonly Mount[]> {
  const all = [...mounts];
  const taken = new Set(all.map(({ target }) => target));
  for (const { container, readonly } of volumesFrom) {
    for (const mount of mountsFrom(await findContainer(connection, container), readonly)) {
      if (!taken.has(mount.target)) all.push(mount);
      taken.add(mount.target);
    }
  }
  return all;
}

/** Tells the helper which volumes end with a container that is not kept. */
function ownVolumes(volumes: readonly VolumeUse[]): Record<string, string> {
  const names = volumes.filter(({ anonymous }) => anonymous).map(({ name }) => name);
  return names.length > 0 ? { 'berth.volumes': names.join(',') } : {};
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
