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
