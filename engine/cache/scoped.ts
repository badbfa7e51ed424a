import type { CacheRecords } from '../store/types.ts';

/**
 * The records that a run may use, in a store that several use: those of its own scope, and those that belong to all. What it makes is of its scope,
 * and lies beside what the others have for the same key.
 *
 * @param scope undefined: what the run makes belongs to all, and of what scopes have made it sees nothing
 */
export function scopeRecords(records: CacheRecords, scope: string | undefined): CacheRecords {
  const hasOwn = async (key: string): Promise<boolean> =>
    scope !== undefined && (await records.usedAt(key, scope)) !== undefined;
  const ownerOf = async (key: string): Promise<string | undefined> => ((await hasOwn(key)) ? scope : undefined);
  return {
    get: async (key) => {
      const own = scope === undefined ? undefined : await records.get(key, scope);
      const record = own ?? (await records.get(key));
      if (!record) return undefined;
      const { scope: _, ...seen } = record;
      return seen;
    },
    put: async ({ scope: _, ...record }) => await records.put(scope === undefined ? record : { ...record, scope }),
    list: async () => {
      const seen = (await records.list()).filter((record) => record.scope === undefined || record.scope === scope);
      const own = new Set(seen.filter((record) => record.scope !== undefined).map(({ key }) => key));
      return seen
        .filter((record) => record.scope !== undefined || !own.has(record.key))
        .map(({ scope: _, ...record }) => record);
    },
    touch: async (key) => await records.touch(key, await ownerOf(key)),
    usedAt: async (key) => await records.usedAt(key, await ownerOf(key)),
    // What belongs to all is not this scope's to take.
    remove: async (key) => await records.remove(key, scope),
  };
}
