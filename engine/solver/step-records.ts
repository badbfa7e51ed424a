import type { StepCache } from '../cache/index.ts';
import type { Vertex, VertexId } from '../graph/types.ts';
import type { Digest } from '../image/types.ts';
import type { Aliases } from './aliases.ts';
import { placeOf, type Memory } from './memory.ts';
import { chainOf, diffIdsOf, extend } from './ref.ts';
import type { Step, StepKey } from './step.ts';
import type { Executor, Ref } from './types.ts';
import type { VertexIndex } from './vertex-index.ts';

export interface StepRecordParts {
  readonly vertices: VertexIndex;
  readonly executor: Pick<Executor, 'has'>;
  readonly cache: StepCache;
  readonly aliases: Aliases;
  readonly memory: Pick<Memory, 'made'>;
  readonly now: () => Date;
  /** Hears of each vertex whose record was found. */
  readonly onHit: (vertex: Vertex) => void;
}

/** What is remembered of steps by their keys. */
export interface StepRecords {
  /**
   * What a record gives that was made on the same layers and whose own layer can be had. What was found by its content can be found by its
   * definition from now on.
   */
  recall(vertex: Step, base: Ref, key: StepKey): Promise<Ref | undefined>;
  /** Keeps what a step gave. One that gave the layer of its record again, whose bytes were lost, keeps the record's time: the image is the same. */
  remember(vertex: Step, base: Ref, key: StepKey, layer: Digest | null): Promise<Ref>;
  /** The definition of this step told another key than its files have: what is above it has keys that are not to be remembered. */
  stray(id: VertexId): void;
}

export function createStepRecords(parts: StepRecordParts): StepRecords {
  const { vertices, executor, cache, aliases, memory, now, onHit } = parts;
  const strayed = new Set<VertexId>();
  /** Whether the key of a vertex is made from one that turned out to stand for other files. */
  const isAstray = (vertex: Vertex): boolean =>
    strayed.size > 0 && [...vertices.below(vertex)].some((id) => strayed.has(id));
  return {
    recall: async (vertex, base, key) => {
      if (vertex.ignoreCache) return memory.made.get(placeOf(vertex, key, base));
      if (vertex.internal) return undefined;
      const record = await cache.find(key.key);
      if (!record || record.base !== chainOf(base)) return undefined;
      if (record.diffId !== null && !(await executor.has(record.diffId, diffIdsOf(base)))) return undefined;
      onHit(vertex);
      if (!isAstray(vertex)) await aliases.put(vertex, key, record);
      return extend(base, record.diffId, record.createdAt);
    },
    remember: async (vertex, base, key, layer) => {
      const before = vertex.ignoreCache || vertex.internal ? undefined : await cache.find(key.key);
      const isSame = before?.base === chainOf(base) && before.diffId === layer;
      const createdAt = isSame ? before.createdAt : now().toISOString();
      if (!vertex.internal && !isAstray(vertex)) {
        const result = { diffId: layer, base: chainOf(base), createdAt };
        await cache.put({ ...result, key: key.key, op: key.op });
        await aliases.put(vertex, key, result);
      }
      const ref = extend(base, layer, createdAt);
      if (vertex.ignoreCache) memory.made.set(placeOf(vertex, key, base), ref);
      return ref;
    },
    stray: (id) => void strayed.add(id),
  };
}
