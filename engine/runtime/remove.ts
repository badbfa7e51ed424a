import { EngineError } from '../base/errors.ts';
import type { Connection } from './dependencies.ts';
import { findContainer, isAlive } from './list.ts';
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
  const { state, record } = await findContainer(connection, nameOrId);
  if (isAlive(state.status) && !force) {
    throw new EngineError(
      'CONTAINER_RUNNING',
      `Cannot remove container "/${record.name}": container is ${state.status}: stop the container before removing or force remove`,
      { hint: `berth rm -f ${record.name}` },
    );
  }
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
