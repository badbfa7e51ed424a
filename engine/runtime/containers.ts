import { EngineError } from '../base/errors.ts';
import type { Containers } from '../engine.ts';
import { pauseContainer, renameContainer, unpauseContainer, updateContainer } from './change.ts';
import type { ContainersDependencies } from './dependencies.ts';
import { copyFiles } from './copy.ts';
import { execInContainer } from './exec.ts';
import { inspectContainer } from './inspect.ts';
import { toldEnd } from './events.ts';
import { findContainer, isAlive, listContainers, toSummary } from './list.ts';
import { sendLogs } from './logs.ts';
import { unlessGone } from './meanwhile.ts';
import { removeContainer } from './remove.ts';
import { createContainer, runContainer, STOP_SECONDS } from './run.ts';
import { attachContainer, restartContainer, startContainer } from './start.ts';
import { readProcesses, readStats } from './stats.ts';
import { readSizes } from './sizes.ts';
import { killContainer, stopContainer, waitContainer } from './stop.ts';

/** {@link Containers} on the helper, which keeps them; nothing is remembered here. */
export function createContainers(dependencies: ContainersDependencies): Containers {
  const { connect, connectToLook } = dependencies;
  const on = async <T>(nameOrId: string, act: () => Promise<T>): Promise<T> => await unlessGone(connect, nameOrId, act);
  const onRunning = async <T>(nameOrId: string, act: () => Promise<T>): Promise<T> =>
    await unlessGone(connect, nameOrId, act, { running: true });
  return {
    run: async (spec, options = {}) => await runContainer(dependencies, spec, options),
    create: async (spec, options = {}) => await createContainer(dependencies, spec, options),
    start: async (nameOrId, options = {}) => await on(nameOrId, () => startContainer(dependencies, nameOrId, options)),
    restart: async (nameOrId, options = {}) =>
      await on(nameOrId, () => restartContainer(dependencies, nameOrId, options)),
    attach: async (nameOrId, options = {}) =>
      await onRunning(nameOrId, async () => await attachContainer(await connect(), nameOrId, options)),
    pause: async (nameOrId) => await onRunning(nameOrId, async () => await pauseContainer(await connect(), nameOrId)),
    unpause: async (nameOrId) => await on(nameOrId, async () => await unpauseContainer(await connect(), nameOrId)),
    rename: async (nameOrId, name) => await on(nameOrId, () => renameContainer(dependencies, nameOrId, name)),
    update: async (nameOrId, changes) => await on(nameOrId, () => updateContainer(dependencies, nameOrId, changes)),
    processes: async (nameOrId) =>
      await onRunning(nameOrId, async () => await readProcesses(await connect(), nameOrId)),
    stats: async (names = []) => await readStats(await connect(), names),
    list: async ({ all = false } = {}) =>
      (await listContainers(await connectToLook()))
        .filter(({ state }) => all || isAlive(state.status))
        .map((found) => toSummary(found)),
    sizes: async () => await readSizes(await connectToLook()),
    resolve: async (nameOrId) => toSummary(await findContainer(await connect(), nameOrId)),
    inspect: async (nameOrId) => {
      const connection = await connect();
      const place = { root: connection.root, idMapName: connection.helper.idMapName };
      return inspectContainer(await findContainer(connection, nameOrId), place);
    },
    logs: async (nameOrId, options) => {
      const connection = await connect();
      const { state, record } = await findContainer(connection, nameOrId);
      if (record.spec.log?.driver === 'none') {
        throw new EngineError(
          'LOG_NOT_KEPT',
          `Cannot read the logs of ${record.name}: configured logging driver does not support reading`,
          { hint: 'start the container without --log-driver none' },
        );
      }
      await on(nameOrId, () => sendLogs(connection.helper, state.id, options));
    },
    exec: async (nameOrId, spec, options = {}) =>
      await onRunning(nameOrId, async () => await execInContainer(await connect(), nameOrId, spec, options)),
    stop: async (nameOrId, options = {}) => {
      const connection = await connect();
      const { state, record } = await findContainer(connection, nameOrId);
      if (!isAlive(state.status)) return;
      const seconds = options.seconds ?? record.spec.stopTimeout ?? STOP_SECONDS;
      await on(nameOrId, () => stopContainer(connection, state.id, options.signal ?? record.stopSignal, seconds));
    },
    kill: async (nameOrId, signal = 'SIGKILL') => {
      const connection = await connect();
      const found = await findContainer(connection, nameOrId);
      await on(nameOrId, () => killContainer(connection, found, signal));
    },
    wait: async (nameOrId) => {
      const connection = await connect();
      const { state } = await findContainer(connection, nameOrId);
      // One that is started again keeps the end of the run before; one that was never started has none, as with Docker.
      if (!isAlive(state.status) && state.ended) return state.ended.exitCode ?? 0;
      const ended = await on(nameOrId, () => waitContainer(connection, state.id));
      if (ended || state.status === 'created') return ended?.exitCode ?? 0;
      // Nobody kept it, and it was taken away before its record was read.
      return (await toldEnd(connection, state.id)) ?? KILLED;
    },
    remove: async (nameOrId, how = {}) => await removeContainer(await connect(), nameOrId, how),
    copy: async (source, target, options = {}) => await copyFiles(dependencies, source, target, options),
  };
}

/** The exit code of a container whose end nobody saw. */
const KILLED = 137;
