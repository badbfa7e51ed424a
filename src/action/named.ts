import { EngineError, isEngineError } from '../../engine/index.ts';

/**
 * Runs a parser of the command line, which names the value, so that its error names the input too.
 *
 * @throws `INPUT_INVALID`
 */
export function named<T>(name: string, act: () => T, hint?: string): T {
  try {
    return act();
  } catch (error) {
    if (isEngineError(error) && error.code.startsWith('INPUT_')) throw error;
    const message = error instanceof Error ? error.message : String(error);
    const own = error instanceof Error && 'hint' in error && typeof error.hint === 'string' ? error.hint : undefined;
    throw new EngineError('INPUT_INVALID', `Cannot read input '${name}': ${message}`, {
      cause: error,
      hint: own ?? hint,
    });
  }
}
