import type { Containers } from '../engine.ts';
import type { ContainersDependencies } from './dependencies.ts';
import { copyFiles } from './copy.ts';
import { execInContainer } from './exec.ts';
import { inspectContainer } from './inspect.ts';
import { findContainer, findRunning, listContainers, toSummary } from './list.ts';
import { sendLogs } from './logs.ts';
import { removeContainer } from './remove.ts';
import { runContainer, STOP_SECONDS } from './run.ts';
import { stopContainer, waitContainer } from './stop.ts';

/** {@link Containers} on the helper, which keeps them; nothing is remembered here. */
export function createContainers(dependencies: ContainersDependencies): Containers {
  const { connect } = dependencies;
  return {
    run: async (spec, options = {}) => await runContainer(dependencies, spec, options),
    list: async ({ all = false } = {}) =>
      (await listContainers(await connect()))
        .filter(({ state }) => all || state.status === 'running')
        .map((found) => toSummary(found)),
    resolve: async (nameOrId) => toSummary(await findContainer(await connect(), nameOrId)),
    inspect: async (nameOrId) => {
      const connection = await connect();
      const place = { root: connection.root, idMapName: connection.helper.idMapName };
      return inspectContainer(await findContainer(connection, nameOrId), place);
    },
    logs: async (nameOrId, options) => {
      const connection = await connect();
      const { state } = await findContainer(connection, nameOrId);
      await sendLogs(connection.helper, state.id, options);
    },
    exec: async (nameOrId, spec, options = {}) => await execInContainer(await connect(), nameOrId, spec, options),
    stop: async (nameOrId, options = {}) => {
      const connection = await connect();
      const { state, record } = await findContainer(connection, nameOrId);
      if (state.status !== 'running') return;
      const seconds = options.seconds ?? record.spec.stopTimeout ?? STOP_SECONDS;
      await stopContainer(connection, state.id, options.signal ?? record.stopSignal, seconds);
    },
    kill: async (nameOrId, signal = 'SIGKILL') => {
      const connection = await connect();
      const { state } = await findRunning(connection, nameOrId);
      await connection.helper.call('kill', { container: state.id, signal, waitSeconds: null });
    },
    wait: async (nameOrId) => {
      const connection = await connect();
      const { state } = await findContainer(connection, nameOrId);
      const ended = state.ended ?? (await waitContainer(connection, state.id));
      return ended.exitCode ?? 0;
    },
    remove: async (nameOrId, how = {}) => await removeContainer(await connect(), nameOrId, how),
    copy: async (source, target, options = {}) => await copyFiles(dependencies, source, target, options),
  };
}
