import type { CacheRecords } from '../store/types.ts';

/**
 * The records that a run may use, in a store that several use: those that belong to all, and those of its own scope. What it makes is of its
 * scope, unless all have it already.
 *
 * @param scope undefined: what the run makes belongs to all, and of what scopes have made it sees nothing
 */
export function scopeRecords(records: CacheRecords, scope: string | undefined): CacheRecords {
  const isSeen = (record: { readonly scope?: string | undefined }): boolean =>
    record.scope === undefined || record.scope === scope;
  return {
    ...records,
    get: async (key) => {
      const record = await records.get(key);
      if (!record || !isSeen(record)) return undefined;
      const { scope: _, ...seen } = record;
      return seen;
    },
    put: async (record) => {
      if (scope === undefined) return await records.put(record);
      const known = await records.get(record.key);
      // A stranger adds to what all have, and changes nothing of it.
      if (known && known.scope === undefined) return;
      await records.put({ ...record, scope });
    },
    list: async () => (await records.list()).filter(isSeen).map(({ scope: _, ...seen }) => seen),
  };
}
