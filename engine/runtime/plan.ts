import { randomBytes } from 'node:crypto';
import { availableParallelism, hostname as hostName } from 'node:os';
import { EngineError } from '../base/errors.ts';
import { asJsonList } from '../base/single-quotes.ts';
import type { ActOptions } from '../base/progress.ts';
import type { Mount, RunSpec } from '../engine.ts';
import type { IdMap, Join, PublishedPort, StartArgs } from '../native/protocol.ts';
import type { Platform } from '../image/types.ts';
import type { StoredImage } from '../store/types.ts';
import { createReadAccounts } from './accounts.ts';
import { blockIoOf } from './block-io.ts';
import { cgroupBelow } from './cgroup-parent.ts';
import { checkAnnotations } from './annotations.ts';
import type { Connection } from './dependencies.ts';
import { readHostFacts } from './host.ts';
import { findContainer } from './list.ts';
import { mountsFrom, resolveMounts } from './mounts.ts';
import { toResources } from './limits.ts';
import { mergeConfig } from './merge-config.ts';
import type { NetworkMode } from './network/kinds.ts';
import { checkSpec, modeOf } from './network/plan.ts';
import { sharedNamespaces } from './namespaces.ts';
import { planDevices } from './plan-devices.ts';
import { publishedPorts } from './ports.ts';
import { MASKED_PATHS, RUN_PROFILE } from './profile.ts';
import type { ContainerRecord } from './record.ts';
import { rightsOf } from './rights.ts';
import { rootHint } from './root-hint.ts';
import { toRlimits } from './rlimits.ts';
import { argsOf, createSpec, type MachineProbe } from './spec.ts';
import { withSwap } from './swap.ts';
import { lookupUser } from './user.ts';
import { readOrigins, type VolumeUse } from './volumes.ts';
import { checkWorkdir } from './workdir.ts';

/** All of a container that does not depend on the other containers. */
export interface Plan {
  readonly id: string;
  readonly record: Omit<ContainerRecord, 'name' | 'address' | 'memberships'>;
  readonly ports: readonly PublishedPort[];
  readonly config: StartArgs['config'];
  /** Namespaces of other containers that it lives in. */
  readonly joins: readonly Join[];
  readonly warnings: readonly string[];
}

/** Works out everything about a container that can be known before its name. @throws `NO_COMMAND`, `USER_NOT_FOUND`, `MOUNT_REFUSED` and more */
export async function planContainer(
  connection: Connection,
  {
    image,
    lowers,
    spec: asked,
  }: { readonly image: StoredImage; readonly lowers: readonly string[]; readonly spec: RunSpec },
  options: ActOptions,
): Promise<Plan> {
  const { helper, probe, root } = connection;
  const limits = asked.limits && (await withSwap(asked.limits, probe));
  const spec = limits ? { ...asked, limits } : asked;
  const id = randomBytes(32).toString('hex');
  const config = mergeConfig(image.config.config ?? {}, spec);
  const args = argsOf(config, spec);
  if (args.length === 0) {
    throw new EngineError('NO_COMMAND', `Cannot run ${spec.image}: no command specified, and the image has none`, {
      hint: `berth run ${spec.image} COMMAND`,
    });
  }
  const mode = modeOf(spec);
  const network = mode.kind;
  checkAnnotations(spec.annotations);
  checkWorkdir('create the container', config.WorkingDir ?? '');
  checkRung(helper.idMap, spec);
  checkSpec(spec, mode);
  const donor = mode.kind === 'container' ? await findContainer(connection, mode.container) : undefined;
  const namesHost = network === 'host' || spec.uts === 'host';
  const hostname = spec.hostname ?? donor?.record.hostname ?? (namesHost ? hostName() : id.slice(0, 12));
  const host = readHostFacts(MASKED_PATHS);
  const [accounts, { mounts, volumes }, shared] = await Promise.all([
    createReadAccounts(helper)(lowers, options),
    mountsOf(connection, spec).then((asked) =>
      resolveMounts(asked, config, { root, idMapName: helper.idMapName }, (names) => readOrigins(connection, names)),
    ),
    sharedNamespaces(connection, spec, donor),
  ]);
  const target = { idMap: helper.idMap, probe, host };
  const blockIO = limits && (await blockIoOf(limits));
  const cgroupsPath = cgroupBelow(spec.cgroupParent, id);
  const rights = rightsOf(spec, target);
  const ports = publishedPorts(spec, config);
  const identity = lookupUser(config.User ?? '', accounts, spec.groupAdd);
  const devices = await planDevices(connection, spec, { identity, env: config.Env ?? [] });
  const taken = new Set(devices.mounts.map(({ destination }) => destination));
  const oci = createSpec(
    RUN_PROFILE,
    {
      args,
      env: [config.Env ?? [], devices.env],
      cwd: config.WorkingDir ?? '',
      identity: { ...identity, additionalGids: [...identity.additionalGids, ...devices.additionalGids] },
      hostname,
      network: network === 'host' || donor ? 'host' : 'own',
      tty: spec.tty,
      readonly: spec.readonly,
      mounts: [...mounts.filter(({ destination }) => !taken.has(destination)), ...devices.mounts],
      shmSize: spec.shmSize,
      capabilities: rights.capabilities,
      noNewPrivileges: rights.noNewPrivileges,
      seccomp: rights.seccomp ?? 'none',
      without: shared.without,
      shm: shared.shm,
      unmasked: spec.privileged === true || spec.security?.systemPathsUnconfined === true,
      writableSystem: spec.privileged,
      devices: devices.nodes,
      deviceRules: devices.rules,
      oomScoreAdj: spec.oomScoreAdj,
      sysctls: parametersOf(spec, { isOwn: network !== 'host' && !donor, idMap: helper.idMap, probe }),
      annotations: spec.annotations,
      rlimits: toRlimits(spec.ulimits ?? []),
      resources: { ...toResources(limits ?? {}, availableParallelism()), ...(blockIO ? { blockIO } : {}) },
    },
    target,
  );
  const rootfs = { lowers: [...lowers], upper: randomBytes(16).toString('hex') };
  const stopSignal = spec.stopSignal ?? config.StopSignal ?? 'SIGTERM';
  return {
    id,
    record: {
      v: 1,
      image: spec.image,
      imageId: image.id,
      platform: platformOf(image),
      rootfs,
      args,
      hostname,
      config,
      ...(devices.env.length > 0 ? { deviceEnv: devices.env } : {}),
      volumes,
      // By id, as a name may be another container's later.
      spec: donor ? { ...spec, network: `container:${donor.state.id}` } : spec,
      stopSignal,
    },
    ports: hasPorts(network) ? ports : [],
    config: {
      ...oci,
      ...(spec.rm ? { annotations: { ...oci.annotations, ...ownVolumes(volumes) } } : {}),
      ...(cgroupsPath === undefined ? {} : { linux: { ...oci.linux, cgroupsPath } }),
    },
    joins: shared.joins,
    warnings: [
      ...devices.warnings,
      ...quotingWarnings(args),
      ...(!hasPorts(network) && ports.length > 0
        ? [`Published ports are discarded when using ${network} network mode`]
        : []),
    ],
  };
}

function platformOf({ config: { os, architecture, variant } }: StoredImage): Platform {
  return { os, architecture, ...(variant ? { variant } : {}) };
}

/** A command that was meant as a list of words, and is one text for a shell, which finds no such program. */
function quotingWarnings(args: readonly string[]): readonly string[] {
  const list = args.at(-2) === '-c' ? asJsonList(args.at(-1) ?? '') : undefined;
  if (list === undefined) return [];
  return [`The command ${args.at(-1)} is a text for ${args[0]}, as single quotes are no JSON: ${list} is meant`];
}

/**
 * Kernel parameters of its namespaces. In a network of its own no port is too low for a user, and everybody may ping, as with Docker; the
 * latter not in a user namespace, which does not know the groups that Docker names. Without a /proc of its own neither can be set, and only its
 * root has ports below 1024.
 */
function parametersOf(
  { sysctls, domainname }: RunSpec,
  { isOwn, idMap, probe }: { readonly isOwn: boolean; readonly idMap: IdMap; readonly probe: MachineProbe },
): Record<string, string> {
  const canSet = idMap.kind === 'root' || probe.ownProc !== false;
  return {
    ...(isOwn && canSet ? { 'net.ipv4.ip_unprivileged_port_start': '0' } : {}),
    ...(isOwn && idMap.kind === 'root' ? { 'net.ipv4.ping_group_range': '0 2147483647' } : {}),
    ...sysctls,
    ...(domainname ? { 'kernel.domainname': domainname } : {}),
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

/** @throws `RUNG_REFUSED` for what a user namespace cannot give */
function checkRung(idMap: IdMap, spec: RunSpec): void {
  if (idMap.kind === 'root') return;
  const flag = [
    { flag: '--privileged', asked: spec.privileged },
    { flag: '--pid container:', asked: spec.pid?.startsWith('container:') },
    { flag: '--network container:', asked: spec.network?.startsWith('container:') },
  ].find(({ asked }) => asked)?.flag;
  if (flag === undefined) return;
  throw new EngineError('RUNG_REFUSED', `Cannot use ${flag}: a container in a user namespace cannot have it`, {
    hint: rootHint(idMap),
  });
}
