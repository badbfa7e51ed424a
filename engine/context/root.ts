import { realpathSync, statSync } from 'node:fs';
import { EngineError, messageOf } from '../base/errors.ts';
import { isInside } from '../base/inside.ts';

/**
 * The real path of a context's root.
 *
 * @throws `CONTEXT_INVALID` when it is no directory, is `/`, or holds a forbidden directory (the engine's store)
 */
export function requireRoot(root: string, forbid: readonly string[]): string {
  const real = realDirectory(root);
  if (real === '/') {
    throw new EngineError('CONTEXT_INVALID', 'Cannot use / as build context: it holds the whole system', {
      hint: 'Name the folder of your project',
    });
  }
  for (const path of forbid) {
    if (!isInside(real, realOf(path))) continue;
    throw new EngineError(
      'CONTEXT_INVALID',
      `Cannot use ${root} as build context: it contains the engine store ${path}`,
      {
        hint: 'Move the store with BERTH_ROOT, or use a smaller context',
      },
    );
  }
  return real;
}

function realDirectory(root: string): string {
  let state: string;
  try {
    const real = realpathSync(root);
    if (statSync(real).isDirectory()) return real;
    state = 'it is no directory';
  } catch (cause) {
    throw new EngineError(
      'CONTEXT_INVALID',
      `Cannot use ${root} as build context: ${messageOf(cause).split(',', 1)[0] ?? ''}`,
      { cause },
    );
  }
  throw new EngineError('CONTEXT_INVALID', `Cannot use ${root} as build context: ${state}`, {
    hint: 'Name a folder; the Dockerfile goes with -f',
  });
}

/** A store that isn't there yet has no real path. */
function realOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
