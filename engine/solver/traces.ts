import type { StepCache } from '../cache/index.ts';
import type { VertexId } from '../graph/types.ts';
import { definitionKey, execDefinitionKey, scratchKey, traceKey, type Key } from './key.ts';
import { createLooseKeys } from './loose-key.ts';
import type { Memo } from './memo.ts';
import type { Memory } from './memory.ts';
import type { Step } from './step.ts';
import type { VertexIndex } from './vertex-index.ts';

export interface TraceParts {
  readonly vertices: VertexIndex;
  readonly cache: Pick<StepCache, 'find'>;
  readonly memory: Pick<Memory, 'mistrusted'>;
  readonly memo: Memo;
  readonly keyOf: (id: VertexId) => Promise<Key>;
}

/**
 * Whether a step was ever done with a stage, which is known before the state below it is: so a stage is begun as soon as it is sure that it is
 * needed. `stages` are indexes of inputs.
 */
export interface Traces {
  /** The records that say it: one a stage. */
  of(vertex: Step, stages: readonly number[]): Promise<readonly Key[]>;
  /** Whether no definition of the step can be found, whatever the state below it comes out as. */
  isUntraced(vertex: Step, stages: readonly number[]): Promise<boolean>;
}

export function createTraces({ vertices, cache, memory, memo, keyOf }: TraceParts): Traces {
  const looseKeyOf = createLooseKeys(vertices);
  const traceOf = async (vertex: Step, index: number): Promise<Key> => {
    const { op, platform } = vertex;
    const below = op.type === 'file' && op.link ? scratchKey().key : looseKeyOf(vertices.inputOf(vertex, 0));
    const inputs = new Map([[index, (await keyOf(vertices.inputOf(vertex, index))).key]]);
    return traceKey(
      op.type === 'exec' ? execDefinitionKey(op, platform, below, inputs) : definitionKey(op, [], below, inputs),
    );
  };
  /** One answer for the whole run: what was begun for it is not found to be of no use. */
  const isTraced = memo(
    async (_place: string, vertex: Step, index: number): Promise<boolean> =>
      (await cache.find((await traceOf(vertex, index)).key)) !== undefined,
  );
  /** Whether the definition of a step says nothing about it. */
  const isUnknown = (vertex: Step, stages: readonly number[]): boolean =>
    vertex.ignoreCache ||
    memory.mistrusted.has(vertex.id) ||
    stages.some((index) => vertices.isVolatile(vertices.inputOf(vertex, index)));
  return {
    of: async (vertex, stages) => await Promise.all(stages.map((index) => traceOf(vertex, index))),
    isUntraced: async (vertex, stages) => {
      if (isUnknown(vertex, stages)) return true;
      const traced = await Promise.all(stages.map((index) => isTraced(`${index} ${vertex.id}`, vertex, index)));
      return traced.includes(false);
    },
  };
}
