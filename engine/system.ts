import type { Parts } from './connect.ts';
import type { Containers, Engine } from './engine.ts';
import { fsck, measure, measureEach, prune } from './store/index.ts';

/** `berth system`: what the store takes, whether it is sound, and what can go. */
export function createSystem({ store, machine }: Parts, containers: Pick<Containers, 'list'>): Engine['system'] {
  // What belongs to a scope takes room like all else.
  const whole = { ...store, records: store.records.all };
  return {
    df: async () => {
      const { helper } = await machine();
      const used = (await containers.list({ all: true })).map(({ imageId, status, mounts }) => ({
        imageId,
        isRunning: status === 'running',
        volumes: mounts.map(({ source }) => source),
      }));
      return await store.locks.with('store', 'shared', () => measure(whole, helper, used));
    },
    usage: async () => {
      const { helper } = await machine();
      return await store.locks.with('store', 'shared', () => measureEach(whole, helper));
    },
    fsck: async ({ repair = false } = {}) => fsck(whole, (await machine()).helper, { repair }),
    prune: async ({ all = false, cache = all, ...options } = {}) => {
      const { helper } = await machine(options);
      const used = (await containers.list({ all: true })).map(({ imageId }) => imageId);
      return await prune(whole, helper, { all, cache, used, ...options });
    },
  };
}
