import type { ActOptions } from '../base/progress.ts';
import type { Vertex, VertexId } from '../graph/types.ts';
import { createAliases } from './aliases.ts';
import { createExecution } from './execution.ts';
import { createInputs } from './inputs.ts';
import { createLineages } from './lineage.ts';
import { createMemos } from './memo.ts';
import type { Memory } from './memory.ts';
import { tellCached } from './progress.ts';
import { extend, NOTHING, refOfImage } from './ref.ts';
import { recordKeysOf, type FileStep, type Step, type StepKey } from './step.ts';
import { createStepKeys } from './step-keys.ts';
import { createStepRecords } from './step-records.ts';
import { createTraces } from './traces.ts';
import { createTracked } from './tracked.ts';
import type { RecordKeys, Ref, SolveParts } from './types.ts';
import { createVertexIndex } from './vertex-index.ts';

/** One walk through the graph: what its vertices give, each solved once and only when it is asked for. */
export interface Run {
  refOf(id: VertexId): Promise<Ref>;
  /** Resolves when nothing is asked for, done or remembered any more. */
  idle(): Promise<void>;
  readonly refs: ReadonlyMap<VertexId, Ref>;
  readonly keys: ReadonlyMap<VertexId, RecordKeys>;
  /** Steps that were found by their definition, and do not fit the rest. To be asked when all is done. */
  torn(): readonly VertexId[];
}

/** Joins the parts of a run. `fail` hears of the failure of a step, and is to abort the signal. */
export function createRun(
  all: readonly Vertex[],
  parts: SolveParts,
  memory: Memory,
  options: ActOptions & { readonly signal: AbortSignal },
  fail: (error: unknown) => void,
): Run {
  const { executor, cache, now, concurrency, onMiss } = parts;
  const vertices = createVertexIndex(all);
  const refs = new Map<VertexId, Ref>();
  const keys = new Map<VertexId, RecordKeys>();
  const memos = createMemos();
  const { memo } = memos;

  const refOf = memo(async (id: VertexId): Promise<Ref> => {
    const vertex = vertices.get(id);
    const ref = await solveVertex(vertex);
    refs.set(id, ref);
    if (!vertex.internal) parts.onRef?.(id, ref);
    return ref;
  });

  const tracked = createTracked(options.signal, fail);
  const lineages = createLineages(vertices, { refs, keys });
  const aliases = createAliases(cache, lineages, memo);
  const onHit = (vertex: Vertex): void => tellCached(vertex, memory, options);
  const records = createStepRecords({ vertices, executor, cache, aliases, memory, now, onHit });
  const inputs = createInputs({ vertices, executor, tracked, options, refOf });
  const execution = createExecution({ executor, inputs, records, memory, tracked, options, concurrency, onMiss });
  const traces = createTraces({ vertices, cache, memory, memo, keyOf: (id) => stepKeys.of(id) });
  const stepKeys = createStepKeys({ vertices, cache, inputs, traces, aliases, execution, memo, refOf, keys });

  async function solveVertex(vertex: Vertex): Promise<Ref> {
    const { op } = vertex;
    if (op.type === 'scratch') return NOTHING;
    if (op.type === 'image') {
      onHit(vertex);
      return refOfImage(op);
    }
    if (op.type === 'file' && op.link) return await solveLink({ ...vertex, op });
    const [base, key] = await Promise.all([refOf(vertices.inputOf(vertex, 0)), stepKeys.of(vertex.id)]);
    return await solveStep({ ...vertex, op }, base, key);
  }

  /** The layer on nothing, and at the same time the state below; nothing is done to put one on the other. */
  async function solveLink(vertex: FileStep): Promise<Ref> {
    const onNothing = async (): Promise<Ref> => solveStep(vertex, NOTHING, await stepKeys.ofLayer(vertex.id));
    const [base, { own = null, createdAt = '' }] = await Promise.all([refOf(vertices.inputOf(vertex, 0)), onNothing()]);
    return extend(base, own, createdAt);
  }

  async function solveStep(vertex: Step, base: Ref, key: StepKey): Promise<Ref> {
    return key.made ?? (await records.recall(vertex, base, key)) ?? (await renew(vertex, base, key));
  }

  /**
   * Does a step of which nothing can be had. Where its key is only told by its definition, its stages may have been done again and give other files
   * than that key stands for: then it has the key of those, and so has its definition from now on.
   */
  async function renew(vertex: Step, base: Ref, told: StepKey): Promise<Ref> {
    const { byContent, ...rest } = told;
    if (!byContent) return await execution.execute(vertex, base, told);
    const key: StepKey = { ...rest, ...(await byContent()) };
    lineages.forget(vertex.id);
    if (key.key === told.key) return await execution.execute(vertex, base, key);
    records.stray(vertex.id);
    keys.set(vertex.id, recordKeysOf(key));
    return (await records.recall(vertex, base, key)) ?? (await execution.execute(vertex, base, key));
  }

  return { refOf, refs, keys, idle: () => memos.idle(), torn: () => lineages.torn() };
}
