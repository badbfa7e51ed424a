import type { StatsSample } from '../engine.ts';
import type { Connection } from './dependencies.ts';
import { findContainer, findRunning, isAlive, listContainers } from './list.ts';

/** What containers use at this moment; of all that run when none is named. One that has ended is left out. */
export async function readStats(connection: Connection, names: readonly string[]): Promise<StatsSample> {
  const found =
    names.length > 0
      ? await Promise.all(names.map((name) => findContainer(connection, name)))
      : (await listContainers(connection)).filter(({ state }) => isAlive(state.status));
  const named = new Map(found.map(({ state, record }) => [state.id, record.name]));
  const reply = await connection.helper.call('stats', { containers: [...named.keys()] });
  return {
    ...reply,
    containers: reply.containers.map((figures) => ({ ...figures, name: named.get(figures.id) ?? figures.id })),
  };
}

/** Its processes, in the host's numbering. @throws `CONTAINER_NOT_RUNNING` */
export async function readProcesses(connection: Connection, nameOrId: string): Promise<readonly number[]> {
  const { state } = await findRunning(connection, nameOrId);
  return (await connection.helper.call('processes', { container: state.id })).pids;
}
