import { isDeepStrictEqual } from 'node:util';
import type { StepCache } from '../cache/index.ts';
import type { Digest } from '../image/types.ts';
import type { CacheRecord } from '../store/types.ts';
import type { Key } from './key.ts';
import type { Lineages } from './lineage.ts';
import type { Memo } from './memo.ts';
import type { Step, StepKey } from './step.ts';

/** What a record says of a step's result. */
export type StepResult = Pick<CacheRecord, 'diffId' | 'base' | 'createdAt'>;

/** Records that tell a step's key before its files are read: its definition, its shape, its traces. */
export interface Aliases {
  /**
   * The key that the definition of a step tells, where it counts. It does not where what is remembered of a RUN is another making than the one
   * that its files came from: the RUN was done again in the meantime.
   */
  find(vertex: Step, definition: Key): Promise<Key | undefined>;
  /** Keeps them for a step of this result, where they say something new. */
  put(vertex: Step, key: StepKey, result: StepResult): Promise<void>;
}

export function createAliases(cache: StepCache, lineages: Lineages, memo: Memo): Aliases {
  const latestOf = memo(async (key: string) => await cache.find(key));
  const isAsRemembered = async ([key, layer]: readonly [string, Digest | null]): Promise<boolean> => {
    const latest = await latestOf(key);
    return latest === undefined || latest.diffId === layer;
  };
  const put = async (alias: Omit<CacheRecord, 'v' | 'isolation'>): Promise<void> => {
    const before = await cache.find(alias.key);
    if (!before || !isSame(before, alias)) await cache.put(alias);
  };
  return {
    find: async ({ id }, definition) => {
      const { result, op, lineage } = (await cache.find(definition.key)) ?? {};
      if (result === undefined || lineage === undefined) return undefined;
      const isLatest = await Promise.all(Object.entries(lineage).map(isAsRemembered));
      if (isLatest.includes(false)) return undefined;
      lineages.take(id, lineage);
      return { key: result as Digest, op };
    },
    put: async (vertex, { key, definition, shape, traces = [] }, { diffId, base, createdAt }) => {
      // Before the definition, which counts only beside them.
      for (const trace of traces) {
        if (!(await cache.find(trace.key))) await cache.put({ ...trace, diffId: null, base: null, createdAt });
      }
      const known = { diffId, base, createdAt, result: key };
      if (shape) await put({ ...shape, ...known });
      if (!definition) return;
      await put({
        ...definition,
        ...known,
        lineage: lineages.of(vertex),
        traces: traces.map((trace) => trace.key),
      });
    },
  };
}

function isSame(before: CacheRecord, alias: Omit<CacheRecord, 'v' | 'isolation'>): boolean {
  const told = ({ result, diffId, base, createdAt, lineage, traces }: typeof alias): readonly unknown[] => [
    result,
    diffId,
    base,
    createdAt,
    lineage,
    traces,
  ];
  return isDeepStrictEqual(told(before), told(alias));
}
