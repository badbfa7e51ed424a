import { createLimit } from '../base/limit.ts';
import { withVertex, type ActOptions } from '../base/progress.ts';
import type { Vertex } from '../graph/types.ts';
import type { Digest } from '../image/types.ts';
import type { Miss } from './explain.ts';
import type { Inputs } from './inputs.ts';
import { contentKey, type Key } from './key.ts';
import { placeOf, type Memory } from './memory.ts';
import { chainOf, diffIdsOf } from './ref.ts';
import type { FileStep, Step, StepKey } from './step.ts';
import type { StepRecords } from './step-records.ts';
import type { Tracked } from './tracked.ts';
import type { Executor, FileResult, Ref } from './types.ts';

export interface ExecutionParts {
  readonly executor: Pick<Executor, 'run' | 'file'>;
  readonly inputs: Pick<Inputs, 'layers'>;
  readonly records: Pick<StepRecords, 'remember'>;
  readonly memory: Pick<Memory, 'executed' | 'firsts'>;
  readonly tracked: Tracked;
  readonly options: ActOptions & { readonly signal: AbortSignal };
  /** How many steps may run at a time. */
  readonly concurrency: number;
  readonly onMiss?: ((vertex: Vertex, miss: Miss) => void) | undefined;
}

/** Does steps of which nothing can be had, and keeps what they give. */
export interface Execution {
  execute(vertex: Step, base: Ref, key: StepKey): Promise<Ref>;
  /**
   * Does a COPY that nothing is remembered of: its key comes out of the one pass over the bytes that makes the layer. `below` is the key of the
   * state below.
   */
  executeFirst(vertex: FileStep, base: Ref, told: { readonly below: string; readonly shape: Key }): Promise<StepKey>;
}

export function createExecution(parts: ExecutionParts): Execution {
  const { executor, inputs, records, memory, tracked, options } = parts;
  const limit = createLimit(parts.concurrency);
  const act = async (vertex: Step, base: Ref, stages: ReadonlyMap<number, readonly Digest[]>): Promise<FileResult> => {
    const { op } = vertex;
    const below = { layers: diffIdsOf(base), createdAt: base.createdAt };
    if (op.type === 'file') return await executor.file(vertex, op, below, stages, options);
    return { layer: await executor.run(vertex, op, below.layers, stages, options), digests: [] };
  };
  const perform = async (vertex: Step, base: Ref, { key, op }: Key): Promise<FileResult> => {
    parts.onMiss?.(vertex, { key, op, base: chainOf(base), ignoreCache: vertex.ignoreCache });
    // Before it takes one of the places for steps that run: what it waits for needs one too.
    const stages = await inputs.layers(vertex);
    const work = limit(async () => {
      options.signal.throwIfAborted();
      memory.executed.add(vertex.id);
      const { id, name } = vertex;
      return await withVertex({ id, name }, options.onEvent, () => act(vertex, base, stages), options);
    });
    return await tracked(vertex, work);
  };
  return {
    execute: async (vertex, base, key) => {
      const { layer } = await perform(vertex, base, key);
      return await records.remember(vertex, base, key, layer);
    },
    executeFirst: async (vertex, base, { below, shape }) => {
      const place = placeOf(vertex, shape, base);
      const before = memory.firsts.get(place);
      if (before) return before;
      const { layer, digests } = await perform(vertex, base, shape);
      const key = { ...contentKey(vertex.op, digests, below), shape };
      const first = { ...key, made: await records.remember(vertex, base, key, layer) };
      memory.firsts.set(place, first);
      return first;
    },
  };
}
