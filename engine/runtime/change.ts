import { availableParallelism } from 'node:os';
import { EngineError } from '../base/errors.ts';
import type { Limits } from '../engine.ts';
import type { Restart } from '../native/protocol.ts';
import type { Connection, ContainersDependencies } from './dependencies.ts';
import { attributesOf } from './life.ts';
import { blockIoOf } from './block-io.ts';
import { toResources } from './limits.ts';
import { findContainer, findRunning, listContainers } from './list.ts';
import { namesOn } from './network/endpoints.ts';
import { DEFAULT_NETWORK } from './network/kinds.ts';
import { RUN_PROFILE } from './profile.ts';
import { encodeRecord } from './record.ts';
import { freeName } from './run.ts';
import { limitsOf } from './spec.ts';
import { countsSwap } from './swap.ts';

/** Gives a container another name. @throws `NAME_IN_USE`, also for its own; `INVALID_NAME` */
export async function renameContainer(
  { store, connect }: ContainersDependencies,
  nameOrId: string,
  asked: string,
): Promise<void> {
  const connection = await connect();
  await store.locks.with('containers', 'exclusive', async () => {
    const { state, record } = await findContainer(connection, nameOrId);
    if (asked.replace(/^\//, '') === record.name) throw unchanged(record.name);
    const name = freeName(await listContainers(connection), asked, `rename container ${record.name}`);
    await connection.helper.call('update', {
      container: state.id,
      resources: null,
      restart: null,
      record: encodeRecord({ ...record, name }),
      attributes: attributesOf({ name, image: record.image, labels: record.config.Labels }),
      files: null,
      event: 'rename',
    });
    for (const membership of (record.memberships ?? []).filter((one) => one.name !== DEFAULT_NETWORK)) {
      const names = namesOn(membership, { id: state.id, name, hostname: record.hostname });
      const act = { act: 'names' as const, container: state.id, network: membership.id, names: [...names] };
      await connection.helper.call('network', act);
    }
  });
}

function unchanged(name: string): EngineError {
  return new EngineError(
    'NAME_IN_USE',
    `Cannot rename container ${name}: renaming a container with the same name as its current name`,
  );
}

/** Changes limits and the restart policy; what is not named stays. @throws `LIMIT_INVALID`, `UPDATE_REFUSED` */
export async function updateContainer(
  { store, connect }: ContainersDependencies,
  nameOrId: string,
  { limits, restart }: { readonly limits?: Limits | undefined; readonly restart?: Restart | undefined },
): Promise<void> {
  const connection = await connect();
  await store.locks.with('containers', 'exclusive', async () => {
    const { state, record } = await findContainer(connection, nameOrId);
    if (record.spec.rm && restart && restart.policy !== 'no') {
      throw new EngineError(
        'UPDATE_REFUSED',
        `Cannot update container ${record.name}: Restart policy cannot be updated because AutoRemove is enabled for the container`,
      );
    }
    if (limits) await checkSwap(connection, record.spec.limits ?? {}, limits);
    const merged = { ...record.spec.limits, ...defined(limits ?? {}) };
    const spec = { ...record.spec, limits: merged, ...(restart ? { restart } : {}) };
    const profile = limitsOf(RUN_PROFILE, connection.probe);
    const blockIO = await blockIoOf(merged);
    const resources = { ...profile, ...toResources(merged, availableParallelism()), ...(blockIO ? { blockIO } : {}) };
    await connection.helper.call('update', {
      container: state.id,
      resources: limits ? { ...resources, cpu: { ...profile.cpu, ...resources.cpu } } : null,
      restart: restart ?? null,
      record: encodeRecord({ ...record, spec }),
      attributes: null,
      files: null,
      event: 'update',
    });
  });
}

/** More memory than memory and swap together may be: Docker wants both changed at once. @throws `LIMIT_INVALID` */
async function checkSwap({ probe }: Connection, held: Limits, { memory, memorySwap = 0 }: Limits): Promise<void> {
  const bound = held.memorySwap ?? 0;
  if (memory === undefined || memorySwap !== 0 || bound < 0 || memory <= bound || !(await countsSwap(probe))) return;
  throw new EngineError(
    'LIMIT_INVALID',
    'Cannot limit the container: Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time',
    { hint: 'add --memory-swap, of memory and swap together, or -1 for no limit' },
  );
}

/** Lets a container's processes stand still. @throws `CONTAINER_NOT_RUNNING`, `CONTAINER_PAUSED` */
export async function pauseContainer(connection: Connection, nameOrId: string): Promise<void> {
  const { state } = await findRunning(connection, nameOrId);
  await connection.helper.call('pause', { container: state.id, frozen: true });
}

/** Lets them go on. @throws `CONTAINER_NOT_PAUSED` */
export async function unpauseContainer(connection: Connection, nameOrId: string): Promise<void> {
  const { state } = await findContainer(connection, nameOrId);
  if (state.status !== 'paused') {
    throw new EngineError('CONTAINER_NOT_PAUSED', `Cannot unpause ${nameOrId}: container ${state.id} is not paused`);
  }
  await connection.helper.call('pause', { container: state.id, frozen: false });
}

function defined(limits: Limits): Limits {
  return Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined));
}
