import type { Context, Selected } from '../../context/index.ts';
import type { ContextCopy } from '../types.ts';

/** Files of the context that a copy takes: asked for when its key is made, and again when it is done. */
export type Select = (action: ContextCopy) => Promise<readonly Selected[]>;

/** A {@link Select} that remembers, so that key and layer are made from one list. */
export function createSelect(context: () => Promise<Context>): Select {
  const known = new WeakMap<ContextCopy, Promise<readonly Selected[]>>();
  return (action) => {
    const found = known.get(action) ?? selectIn(context, action);
    known.set(action, found);
    return found;
  };
}

async function selectIn(
  context: () => Promise<Context>,
  { sources, destIsDirectory }: ContextCopy,
): Promise<readonly Selected[]> {
  return await (await context()).select(sources, { destIsDirectory });
}
