import type { ActOptions } from './base/progress.ts';
import type { Parts } from './connect.ts';
import type { Containers, Engine } from './engine.ts';
import type { Helper } from './native/index.ts';
import { listUnreadable, removeUnreadable } from './runtime/index.ts';
import { fsck, measure, measureEach, prune } from './store/index.ts';

/** `berth system`: what the store takes, whether it is sound, and what can go. */
export function createSystem({ store, helperToLook }: Parts, containers: Pick<Containers, 'list'>): Engine['system'] {
  // What belongs to a scope takes room like all else.
  const whole = { ...store, records: store.records.all };
  return {
    df: async () => {
      const helper = await helperToLook();
      const used = (await containers.list({ all: true })).map(({ imageId, status, mounts }) => ({
        imageId,
        isRunning: status === 'running',
        volumes: mounts.map(({ source }) => source),
      }));
      return await store.locks.with('store', 'shared', () => measure(whole, helper, used));
    },
    usage: async () => {
      const helper = await helperToLook();
      return await store.locks.with('store', 'shared', () => measureEach(whole, helper));
    },
    fsck: async ({ repair = false } = {}) => {
      const helper = await helperToLook();
      const report = await fsck(whole, helper, { repair });
      const unreadable = await store.locks.with('store', 'exclusive', () => listUnreadable({ helper }));
      const lines = unreadable.map(
        ({ id }) => `container ${id} has no record that can be read: berth rm -f ${id.slice(0, 12)}`,
      );
      return { ...report, problems: [...report.problems, ...lines] };
    },
    prune: async ({ all = false, cache = all, unreadable = false, ...options } = {}) => {
      const helper = await helperToLook(options);
      const broken = unreadable ? await dropUnreadable(store, helper, options) : [];
      const used = (await containers.list({ all: true })).map(({ imageId }) => imageId);
      const pruned = await prune(whole, helper, { all, cache, used, ...options });
      return { ...pruned, removed: [...broken, ...pruned.removed] };
    },
  };
}

/** Ends containers whose record cannot be read. With the lock, none of them is that of a build. */
async function dropUnreadable(
  { locks }: Pick<Parts['store'], 'locks'>,
  helper: Helper,
  { onEvent, signal }: ActOptions,
): Promise<readonly string[]> {
  if ((await listUnreadable({ helper })).length === 0) return [];
  const drop = async (): Promise<readonly string[]> => {
    const ids = (await listUnreadable({ helper })).map(({ id }) => id);
    for (const message of await removeUnreadable({ helper }, ids)) onEvent?.({ type: 'warning', message });
    return ids;
  };
  return await locks.with('store', 'exclusive', drop, { signal });
}
