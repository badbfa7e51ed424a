import type { Context, Selected } from '../../context/index.ts';
import type { CopyFileAction } from '../../graph/types.ts';
import type { ExecutorParts } from '../executor.ts';

/** Files outside of stages that a copy takes, and the context that they lie in. */
export interface Selection {
  readonly context: Context;
  readonly selected: readonly Selected[];
}

/** Finds what a copy takes: asked for when its key is made, and again when it is done. */
export type Select = (action: CopyFileAction) => Promise<Selection>;

/** A {@link Select} that remembers, so that key and layer are made from one list. */
export function createSelect(parts: Pick<ExecutorParts, 'context' | 'source'>): Select {
  const known = new WeakMap<CopyFileAction, Promise<Selection>>();
  return (action) => {
    const found = known.get(action) ?? selectIn(parts, action);
    known.set(action, found);
    return found;
  };
}

async function selectIn(
  parts: Pick<ExecutorParts, 'context' | 'source'>,
  { from, sources, ...how }: CopyFileAction,
): Promise<Selection> {
  if (typeof from === 'number') throw new Error('A copy from a stage selects in its snapshots');
  const context = from === 'context' ? await parts.context() : await parts.source(from);
  return { context, selected: await context.select(sources, how) };
}
