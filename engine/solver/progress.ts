import type { ActOptions } from '../base/progress.ts';
import type { Vertex, VertexId } from '../graph/types.ts';
import type { Memory } from './memory.ts';
import { isCounted } from './step.ts';
import type { Solved } from './types.ts';

/** Names the steps that the user wrote, before any of them is begun. */
export function announce(vertices: readonly Vertex[], { onEvent }: ActOptions): void {
  for (const { id, name } of vertices.filter(isCounted)) onEvent?.({ type: 'vertex', id, name });
}

/** Says once in a build that a vertex is cached. */
export function tellCached(vertex: Vertex, { told }: Pick<Memory, 'told'>, options: ActOptions): void {
  if (told.has(vertex.id)) return;
  told.add(vertex.id);
  emitCached(vertex, options);
}

/** Counts the steps; those that nobody needed are cached: what they would give was found behind them. */
export function finish(
  vertices: readonly Vertex[],
  { solved, executed }: { readonly solved: ReadonlyMap<VertexId, unknown>; readonly executed: ReadonlySet<VertexId> },
  options: ActOptions,
): Solved['steps'] {
  const steps = vertices.filter(isCounted);
  for (const step of steps) if (!solved.has(step.id) && !executed.has(step.id)) emitCached(step, options);
  const ran = steps.filter(({ id }) => executed.has(id)).length;
  return { total: steps.length, cached: steps.length - ran, executed: ran };
}

function emitCached({ id, name }: Vertex, { onEvent }: ActOptions): void {
  const at = Date.now();
  onEvent?.({ type: 'vertex', id, name, started: at, completed: at, cached: true });
}
