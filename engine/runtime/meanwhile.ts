import { readFileSync } from 'node:fs';
import { isEngineError } from '../base/errors.ts';
import type { Connection } from './dependencies.ts';
import { findContainer, findRunning, isAlive, notRunning } from './list.ts';

/**
 * Runs `act` on a container. Where the helper fails because another command removed the container meanwhile, or ended it where it must run, the
 * error is the one that a command gets which comes later.
 *
 * @throws `CONTAINER_NOT_FOUND`, with `running` also `CONTAINER_NOT_RUNNING`, and what `act` throws
 */
export async function unlessGone<T>(
  connect: () => Promise<Connection>,
  nameOrId: string,
  act: () => Promise<T>,
  { running = false }: { readonly running?: boolean } = {},
): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!isEngineError(error) || !error.code.startsWith('NATIVE_')) throw error;
    const { state } = await (running ? findRunning : findContainer)(await connect(), nameOrId);
    if (running && !lives(state.process?.pid)) throw notRunning(nameOrId, state.id);
    throw error;
  }
}

/** Its monitor records the end of a process a moment later. */
function lives(pid: number | undefined): boolean {
  try {
    return pid !== undefined && !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** Whether a start or a removal failed because another command has started the container meanwhile. */
export async function wasStarted(connection: Connection, id: string, error: unknown): Promise<boolean> {
  if (!isEngineError(error, 'NATIVE_CONFLICT')) return false;
  return isAlive((await findContainer(connection, id)).state.status);
}
