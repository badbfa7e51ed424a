import { EngineError, isEngineError } from '../base/errors.ts';
import type { Connection } from './dependencies.ts';
import { findContainer, type Found, isAlive } from './list.ts';
import { wasStarted } from './meanwhile.ts';
import { findUnreadable, removeUnreadable, type Unreadable } from './unreadable.ts';
import { removeAnonymous } from './volumes.ts';

/**
 * Removes a container with its writable layer; with `volumes`, also the anonymous volumes that no other container uses.
 *
 * @throws `CONTAINER_RUNNING` unless `force`, which kills it first
 */
export async function removeContainer(
  connection: Connection,
  nameOrId: string,
  { force = false, volumes = false }: { readonly force?: boolean | undefined; readonly volumes?: boolean | undefined },
): Promise<void> {
  const found = await findContainer(connection, nameOrId).catch(async (error: unknown) => {
    const unreadable = isEngineError(error, 'CONTAINER_NOT_FOUND')
      ? await findUnreadable(connection, nameOrId)
      : undefined;
    if (!unreadable) throw error;
    await removeBroken(connection, unreadable, force);
    return undefined;
  });
  if (!found) return;
  const remove = async (): Promise<void> => await removeFound(connection, found, { force, volumes });
  await remove().catch(async (error: unknown) => {
    if (!(await wasStarted(connection, found.state.id, error))) throw error;
    if (!force) throw stillRuns(await findContainer(connection, found.state.id));
    // Once more: two of the same mind would go on for ever.
    await remove();
  });
}

async function removeBroken(connection: Connection, { id, isAlive: runs }: Unreadable, force: boolean): Promise<void> {
  if (runs && !force) {
    throw new EngineError(
      'CONTAINER_RUNNING',
      `Cannot remove container ${id}: it is running, and its record cannot be read`,
      { hint: `berth rm -f ${id.slice(0, 12)}` },
    );
  }
  const [warning] = await removeUnreadable(connection, [id]);
  if (warning !== undefined) {
    throw new EngineError('REMOVE_INCOMPLETE', `Cannot remove all of container ${id}: ${warning}`);
  }
}

async function removeFound(
  connection: Connection,
  { state, record }: Found,
  { force, volumes }: { readonly force: boolean; readonly volumes: boolean },
): Promise<void> {
  if (isAlive(state.status) && !force) throw stillRuns({ state, record });
  const { helper } = connection;
  const args = { containers: [state.id], snapshots: [record.rootfs.upper], force, garbage: false };
  const { warnings } = await helper.call('remove', args);
  if (warnings[0] !== undefined) {
    throw new EngineError(
      'REMOVE_INCOMPLETE',
      `Cannot remove all of container "/${record.name}": ${warnings.join('; ')}`,
    );
  }
  // One that would have removed itself takes its volumes with it in any case.
  if (volumes || record.spec.rm) await removeAnonymous(connection, record.volumes ?? []);
}

function stillRuns({ state, record }: Found): EngineError {
  return new EngineError(
    'CONTAINER_RUNNING',
    `Cannot remove container "/${record.name}": container is ${state.status}: stop the container before removing or force remove`,
    { hint: `berth rm -f ${record.name}` },
  );
}
