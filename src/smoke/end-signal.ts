import { setTimeout as delay } from 'node:timers/promises';
import type { TestContainer } from './container.ts';

/** A signal that also fires when the container's process ends. */
export function endSignal(
  container: TestContainer,
  signal: AbortSignal | undefined,
): { readonly signal: AbortSignal; dispose(): void } {
  const controller = new AbortController();
  const abort = (): void => controller.abort(signal?.aborted ? signal.reason : new Error('the process has ended'));
  signal?.addEventListener('abort', abort, { once: true });
  if (signal?.aborted) abort();
  let live = true;
  void container.whenEnded.then(
    () => live && abort(),
    (error: unknown) => live && controller.abort(error),
  );
  return {
    signal: controller.signal,
    dispose: () => {
      live = false;
      signal?.removeEventListener('abort', abort);
    },
  };
}

/** Waits, but not longer than the container lives. @throws the signal's reason */
export async function waitWhileAlive(
  milliseconds: number,
  container: TestContainer,
  signal: AbortSignal | undefined,
): Promise<void> {
  const ended = endSignal(container, signal);
  try {
    await delay(milliseconds, undefined, { signal: ended.signal });
  } catch (error) {
    signal?.throwIfAborted();
    if (!ended.signal.aborted) throw error;
  } finally {
    ended.dispose();
  }
}
