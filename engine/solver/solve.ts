import type { ActOptions } from '../base/progress.ts';
import type { Graph, Vertex, VertexId } from '../graph/types.ts';
import { createMemory } from './memory.ts';
import { announce, finish } from './progress.ts';
import { NOTHING } from './ref.ts';
import { createRun } from './run.ts';
import type { Solved, SolvedAll, SolveParts } from './types.ts';

/**
 * Solves the graph from its target backwards and stops at cache hits (DESIGN.md 2, step 6; spec/engine.md 4c): a vertex is only looked at
 * when something needs its key or its files, so a stage that is copied from is not built when the copy is found by its definition.
 *
 * Independent vertices run in parallel, and nothing is begun that may turn out not to be needed. The first failure cancels what runs, and is
 * thrown when all of it has ended.
 */
export async function solve(
  { vertices, target }: Pick<Graph, 'vertices' | 'target'>,
  parts: SolveParts,
  options: ActOptions = {},
): Promise<Solved> {
  const { targets, ...solved } = await solveAll({ vertices, targets: [target] }, parts, options);
  const [ref = NOTHING] = targets;
  return { target: ref, ...solved };
}

/** {@link solve} of several targets at once; what they have in common is done once. */
export async function solveAll(
  { vertices, targets }: { readonly vertices: readonly Vertex[]; readonly targets: readonly VertexId[] },
  parts: SolveParts,
  options: ActOptions = {},
): Promise<SolvedAll> {
  const failed = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, failed.signal]) : failed.signal;
  const memory = createMemory();
  announce(vertices, options);
  for (;;) {
    const run = createRun(vertices, parts, memory, { ...options, signal }, (error) => failed.abort(error));
    try {
      const refs = await Promise.all(targets.map((id) => run.refOf(id)));
      await run.idle();
      const torn = run.torn();
      if (torn.length === 0) {
        const steps = finish(vertices, { solved: run.refs, executed: memory.executed }, options);
        return { targets: refs, refs: run.refs, keys: run.keys, steps };
      }
      for (const id of torn) memory.mistrusted.add(id);
    } catch (error) {
      failed.abort(error);
      await run.idle();
      // The first failure, not the cancellation that it caused elsewhere.
      throw options.signal?.aborted ? options.signal.reason : failed.signal.reason;
    }
  }
}
