import { announced, type Announce, announceByName, createAnnounce } from './announce.ts';
import { createCacheExchange } from './cache/index.ts';
import { createMountExchange } from './cache-mounts.ts';
import { findServed } from './cache-served.ts';
import { formatPlatform, isSameMachine } from './image/platform.ts';
import { complete } from './complete.ts';
import { connect, type Machine, type Parts } from './connect.ts';
import { createContainerFiles } from './container-files.ts';
import { EngineError, isEngineError } from './base/errors.ts';
import type { ActOptions } from './base/progress.ts';
import type { Engine, EngineInfo, EngineOptions } from './engine.ts';
import { fallWarning } from './fall.ts';
import { historyOf } from './history.ts';
import type { Isolation } from './native/index.ts';
import { hostPlatform } from './host-platform.ts';
import { readImageFiles } from './image-files.ts';
import { inspectImage, removeImage } from './images.ts';
import { nameOf, parseReference } from './image/reference.ts';
import { requireTag } from './names.ts';
import { resolveImage } from './resolve-image.ts';
import {
  collectIntended,
  type Connection,
  type ContainersDependencies,
  createContainers,
  createEvents,
  createNetworks,
  createVolumes,
  chooseStepNetwork,
  findPasta,
  hasTun,
} from './runtime/index.ts';
import { createSystem } from './system.ts';
import { pull, push } from './transfer.ts';
import type { StoredImage } from './store/index.ts';

/** See {@link createEngine}. What builds, archives and serves is loaded by the first act that does so: most commands do none of it. */
export async function assembleEngine(options: EngineOptions): Promise<Engine> {
  const parts = await connect(options);
  const { store } = parts;
  const announce = createAnnounce(parts.userHelper);
  const ensureImage = createEnsureImage(parts, announce);
  const connectRuntime = async (): Promise<Connection> => {
    const { helper, isolation } = await parts.machine();
    const connection = { helper, probe: isolation.probe, root: options.root, cdi: options.cdiFolders };
    // What cannot be collected now waits for the next command.
    await collectIntended(connection, store.locks).catch(() => undefined);
    return connection;
  };
  const connectToLook = async (): Promise<Connection> => {
    try {
      return await connectRuntime();
    } catch (error) {
      if (!isEngineError(error, 'ISOLATION_IMPOSSIBLE')) throw error;
      const helper = await parts.helperToLook();
      return { helper, probe: await helper.call('probe', { sub: null }), root: options.root, cdi: options.cdiFolders };
    }
  };
  const containers = createContainers({
    store,
    connect: connectRuntime,
    connectToLook,
    hostHelper: parts.hostHelper,
    ensureImage,
    ensureSnapshots: async (image, act) => (await parts.snapshots(act)).ensure(image.config.rootfs.diff_ids, act),
  });
  const describe = async (): Promise<Engine['dockerfile']> => (await import('./acts.ts')).createDescriptions(parts);
  return {
    root: options.root,
    info: (act) => info(parts, act),
    build: async (request, act) => (await import('./acts.ts')).build(parts, request, act),
    dockerfile: {
      check: async (request, act) => (await describe()).check(request, act),
      outline: async (request, act) => (await describe()).outline(request, act),
      targets: async (request, act) => (await describe()).targets(request, act),
    },
    pull: async (name, act) => {
      const image = await pull(parts, name, act?.platform ?? hostPlatform(), act);
      await announceByName(announce, 'pull', name);
      return image;
    },
    tags: async (repository, act = {}) =>
      await parts.registry.repository(nameOf(parseReference(repository))).tags({ signal: act.signal }),
    push: async (image, name, act) => {
      const result = await push(parts, image, name, act);
      await announceByName(announce, 'push', name);
      return result;
    },
    images: announced(
      {
        list: () => store.images.list(),
        resolve: (nameOrId) => store.images.resolve(nameOrId),
        tag: async (source, target) => {
          const { id, index } = await store.images.resolve(source);
          await store.images.tag(index?.descriptor.digest ?? id, requireTag(target));
        },
        remove: (nameOrId, how) => removeImage(parts, containers, nameOrId, how),
        complete: (nameOrId, act) =>
          store.locks.with(
            'store',
            'shared',
            async () => {
              const image = await store.images.resolve(nameOrId);
              if (!image.index) return await complete(parts, image, act);
              return (await (await import('./acts.ts')).completeIndex(parts, image.index, act ?? {})).descriptor;
            },
            act,
          ),
        inspect: (nameOrId, how) => inspectImage(parts, nameOrId, how),
        save: async (names, how) => (await import('./acts.ts')).saveImages(parts, names, how),
        load: async (source, act) => (await import('./acts.ts')).loadImages(parts, source, act),
        import: async (source, how) => (await import('./acts.ts')).importImage(parts, source, how),
        history: (nameOrId) => historyOf(parts, nameOrId),
        files: (nameOrId, use, act) => readImageFiles(parts, nameOrId, use, act),
      },
      announce,
    ),
    containers: {
      ...containers,
      run: runOn(parts, (spec, act) => containers.run(spec, act)),
      ...createContainerFiles(parts),
    },
    networks: createNetworks({ store, connect: connectRuntime, connectToLook, announce }),
    logins: {
      find: async (registry) => await parts.options.credentials?.(registry),
      check: (registry, credentials, act) => parts.registry.logIn(registry, credentials, act),
      keep: (registry, credentials) => parts.keyring.keep(registry, credentials),
      forget: (registry) => parts.keyring.forget(registry),
    },
    volumes: createVolumes(store, connectRuntime),
    events: createEvents(connectRuntime, announce),
    cache: {
      ...createCacheExchange(store, store.records),
      mounts: createMountExchange(parts),
      served: (layers, name, act) => findServed(parts, layers, name, act),
    },
    system: createSystem(parts, containers),
    serveRegistry: async (how) => (await import('./acts.ts')).serveRegistry(parts, how),
    close: parts.close,
  };
}

/** A program of another machine that does not start gets the reason, and what to install. */
function runOn({ store, machine }: Parts, run: Engine['containers']['run']): Engine['containers']['run'] {
  let hasWarned = false;
  const warn = ({ isolation }: Machine, { onEvent }: ActOptions): void => {
    const message = fallWarning(isolation);
    if (message !== undefined && !hasWarned) onEvent?.({ type: 'warning', message });
    hasWarned = true;
  };
  return async (spec, options = {}) => {
    // Where nothing is possible the run itself says so.
    machine(options).then(
      (found) => warn(found, options),
      () => undefined,
    );
    try {
      return await run(spec, options);
    } catch (error) {
      if (!isEngineError(error, 'NATIVE_COMMAND_NOT_EXECUTABLE')) throw error;
      const image = await store.images.find(spec.image);
      const { EMULATOR_HINT, runsHere } = await import('./emulation.ts');
      if (!image || runsHere(image.config, hostPlatform())) throw error;
      const message = `${error.message}; ${spec.image} is for ${formatPlatform(image.config)}`;
      throw new EngineError(error.code, message, { hint: EMULATOR_HINT, cause: error });
    }
  };
}

async function info(parts: Parts, act?: ActOptions): Promise<EngineInfo> {
  const { options, keyring } = parts;
  const { probe, rung, elevation, idMap, impossible } = await isolationOf(parts, act);
  const { readRegistry } = await import('./runtime/cdi/index.ts');
  const registry = await readRegistry(options.cdiFolders);
  const devices = { names: [...registry.devices.keys()].sort(), problems: registry.problems };
  const pasta = idMap && (await findPasta(idMap))?.program;
  const found = { root: options.root, probe, rung, elevation, devices, keyring: await keyring.works() };
  return {
    ...found,
    ...(impossible ? { impossible } : {}),
    ...(pasta === undefined ? {} : { pasta }),
    hasTun: hasTun(),
    showsProcesses: idMap !== undefined && idMap.kind !== 'root' && !probe.ownProc,
    ...(idMap ? { buildNetwork: await chooseStepNetwork(idMap, probe.network) } : {}),
  };
}

type Isolated = Pick<EngineInfo, 'probe' | 'rung' | 'elevation' | 'impossible'> & {
  readonly idMap?: Isolation['idMap'];
};

/** What is possible here; where that is nothing, what the probe found and why. */
async function isolationOf({ probe, userHelper }: Parts, act: ActOptions = {}): Promise<Isolated> {
  try {
    return await probe(act);
  } catch (error) {
    if (!isEngineError(error, 'ISOLATION_IMPOSSIBLE')) throw error;
    const found = await userHelper.call('probe', { sub: null }, { signal: act.signal });
    return { probe: found, rung: 'none', elevation: 'direct', impossible: error };
  }
}

/** The image that a container is started from, by docker's pull policies. One of another platform than asked for is pulled again. */
function createEnsureImage(parts: Parts, announce: Announce): ContainersDependencies['ensureImage'] {
  return async (name, policy, { platform, ...act } = {}) => {
    const { images } = parts.store;
    const find = async (): Promise<StoredImage | undefined> =>
      platform ? await images.findFor(name, platform) : await images.find(name);
    const found = policy === 'always' ? undefined : await find();
    if (found && (!platform || isSameMachine(found.config, platform))) return found;
    if (policy === 'never') {
      const local = await images.find(name);
      if (local) {
        throw new EngineError(
          'PLATFORM_MISMATCH',
          `Cannot use ${name}: the image is for ${local.config.os}/${local.config.architecture}, and was asked for ${platform?.os}/${platform?.architecture}`,
          { hint: 'leave out --pull never, or --platform' },
        );
      }
      return await images.resolve(name);
    }
    const { id } = await resolveImage(parts, name, platform ?? hostPlatform(), { ...act, pull: true });
    await announceByName(announce, 'pull', name);
    return await images.resolve(id);
  };
}
