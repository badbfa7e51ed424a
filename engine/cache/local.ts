import type { RungName } from '../native/protocol.ts';
import type { CacheRecord, CacheRecords } from '../store/types.ts';
import { satisfies } from './isolation.ts';

/** Remembered steps, for one rung. A cache never fails a build: what cannot be read or written is a miss with a warning. */
export interface StepCache {
  find(key: string): Promise<CacheRecord | undefined>;
  put(record: Omit<CacheRecord, 'v' | 'isolation'>): Promise<void>;
}

/** The cache in the store's `records/`. */
export function createLocalCache(
  records: Pick<CacheRecords, 'get' | 'put' | 'touch'>,
  { isolation, warn }: { readonly isolation: RungName; readonly warn: (message: string) => void },
): StepCache {
  const safely = async <T>(verb: string, key: string, act: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await act();
    } catch (error) {
      warn(`The cache record ${key} could not be ${verb}: ${error instanceof Error ? error.message : String(error)}`);
      return undefined;
    }
  };
  return {
    find: async (key) => {
      const record = await safely('read', key, () => records.get(key));
      if (!record || !satisfies(record.isolation, isolation)) return undefined;
      await records.touch(key);
      return record;
    },
    put: async (record) => {
      await safely('written', record.key, () => records.put({ v: 1, ...record, isolation }));
    },
  };
}
