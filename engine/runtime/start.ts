import type { ActOptions } from '../base/progress.ts';
import type { ContainerHandle, OutputOptions, StopOptions } from '../engine.ts';
import type { Ended } from '../native/protocol.ts';
import type { Connection, ContainersDependencies } from './dependencies.ts';
import { boundPorts, collectStart, createHandle } from './handle.ts';
import { findContainer, findRunning, type Found, isAlive } from './list.ts';
import { wasStarted } from './meanwhile.ts';
import { checkLinks, STOP_SECONDS, untilRunning } from './run.ts';
import { stopContainer } from './stop.ts';
import { tellOf } from './tell.ts';
import { refuseSharedTmpfs } from './volumes.ts';

/** Starts a container that was created or has ended, by its own order. Undefined when it runs already. */
export async function startContainer(
  dependencies: ContainersDependencies,
  nameOrId: string,
  options: ActOptions & OutputOptions & { readonly attach?: boolean | undefined },
): Promise<ContainerHandle | undefined> {
  const connection = await dependencies.connect();
  const found = await findContainer(connection, nameOrId);
  if (isAlive(found.state.status)) return undefined;
  // Shared: a prune must not take snapshots away meanwhile.
  return await dependencies.store.locks.with(
    'store',
    'shared',
    async () =>
      await resumeLocked(dependencies, connection, found, options).catch(async (error: unknown) => {
        if (await wasStarted(connection, found.state.id, error)) return undefined;
        throw error;
      }),
    options,
  );
}

/** Networks are taken away under the lock `containers`: before, and the start says so, or after, and they are in use. */
async function resumeLocked(
  { store }: Pick<ContainersDependencies, 'store'>,
  ...args: Parameters<typeof resume>
): Promise<ContainerHandle> {
  return await store.locks.with('containers', 'shared', () => resume(...args), args[2]);
}

async function resume(
  connection: Connection,
  { state, record }: Found,
  options: ActOptions & OutputOptions & { readonly attach?: boolean | undefined },
): Promise<ContainerHandle> {
  const attach = options.attach ?? false;
  await checkLinks(connection, record);
  await refuseSharedTmpfs(connection, state.id, record.volumes ?? []);
  const events = collectStart((event) => {
    if (event.type === 'warning') options.onEvent?.({ type: 'warning', message: event.message });
  });
  const session = connection.helper.open(
    'resume',
    { container: state.id, attach, owner: null },
    { signal: options.signal, onEvent: events.onEvent, onData: options.onStdout, onErrorData: options.onStderr },
  );
  await untilRunning(session, events.running());
  if (!attach) await session.result;
  return createHandle(session, {
    id: state.id,
    name: record.name,
    ports: boundPorts(events),
    stopSignal: record.stopSignal,
    stopSeconds: record.spec.stopTimeout ?? STOP_SECONDS,
    ...(attach
      ? {}
      : { stop: (seconds: number): Promise<Ended> => stopContainer(connection, state.id, record.stopSignal, seconds) }),
  });
}

/** Stops a container, when it runs, and starts it again. */
export async function restartContainer(
  dependencies: ContainersDependencies,
  nameOrId: string,
  options: StopOptions,
): Promise<void> {
  const connection = await dependencies.connect();
  const found = await findContainer(connection, nameOrId);
  const { state, record } = found;
  if (isAlive(state.status)) {
    const seconds = options.seconds ?? record.spec.stopTimeout ?? STOP_SECONDS;
    await stopContainer(connection, state.id, options.signal ?? record.stopSignal, seconds);
  }
  await dependencies.store.locks.with('store', 'shared', async () => {
    await resumeLocked(dependencies, connection, found, {}).catch(async (error: unknown) => {
      if (!(await wasStarted(connection, state.id, error))) throw error;
    });
  });
  await tellOf(connection, found, 'restart');
}

/** Joins the streams of a running container. Leaving lets it go on. */
export async function attachContainer(
  connection: Connection,
  nameOrId: string,
  options: ActOptions & OutputOptions,
): Promise<ContainerHandle> {
  const { state, record } = await findRunning(connection, nameOrId);
  const session = connection.helper.open(
    'attach',
    { container: state.id },
    { signal: options.signal, onData: options.onStdout, onErrorData: options.onStderr },
  );
  return createHandle(session, {
    id: state.id,
    name: record.name,
    ports: state.ports,
    stopSignal: record.stopSignal,
    stopSeconds: record.spec.stopTimeout ?? STOP_SECONDS,
    stop: (seconds) => stopContainer(connection, state.id, record.stopSignal, seconds),
    detach: async () => {
      session.close();
      await session.result.catch(() => undefined);
    },
  });
}
