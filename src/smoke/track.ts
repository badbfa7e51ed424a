import { messageOf, type OnEvent } from '../../engine/index.ts';

/** The vertex that the steps of a smoke test belong to. */
export const SMOKE_VERTEX = 'smoke';

/**
 * Runs `act` as a vertex below {@link SMOKE_VERTEX}. `errorOf` says of a result that it is a failure, which a test is without throwing.
 *
 * @returns what `act` returns; rethrows what it throws
 */
export async function track<T>(
  vertex: { readonly id: string; readonly name: string },
  onEvent: OnEvent | undefined,
  act: () => Promise<T>,
  errorOf: (result: T) => string | undefined = () => undefined,
): Promise<T> {
  const base = { type: 'vertex', ...vertex, parent: SMOKE_VERTEX, started: Date.now() } as const;
  onEvent?.(base);
  try {
    const result = await act();
    const error = errorOf(result);
    onEvent?.({ ...base, completed: Date.now(), ...(error === undefined ? {} : { error }) });
    return result;
  } catch (error) {
    onEvent?.({ ...base, completed: Date.now(), error: messageOf(error) });
    throw error;
  }
}
