import type { ActOptions } from '../../base/progress.ts';
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

/**
 * What stands in a key for what a copy takes from outside of stages: the identity of a repository or download, else the content of its files.
 *
 * @throws `COPY_SOURCE_NOT_FOUND`
 */
export async function digestOutside(
  { identify, select }: Pick<ExecutorParts, 'identify'> & { readonly select: Select },
  action: CopyFileAction,
  { signal }: ActOptions,
): Promise<string> {
  const identity = typeof action.from === 'object' ? await identify(action.from) : undefined;
  if (identity !== undefined) return identity;
  const { context, selected } = await select(action);
  return await context.digest(selected, { mode: action.mode, signal });
}

/** What of it can be told without reading a file; undefined where its identity is known, which needs none read either. */
export async function shapeOutside(
  { identify, select }: Pick<ExecutorParts, 'identify'> & { readonly select: Select },
  action: CopyFileAction,
): Promise<string | undefined> {
  if (typeof action.from === 'object' && (await identify(action.from)) !== undefined) return undefined;
  const { context, selected } = await select(action);
  return context.shape(selected, { mode: action.mode });
}
