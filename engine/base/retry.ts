import { setTimeout as delay } from 'node:timers/promises';

/** How {@link retry} behaves. */
export interface RetryOptions {
  /** How often the act is tried in all. Default 5. */
  readonly maxAttempts?: number;
  /** Milliseconds before the second attempt; doubles each time. Default 500. */
  readonly minTimeout?: number;
  /** The longest wait in milliseconds. Default 60000. */
  readonly maxTimeout?: number;
  /** Milliseconds after the first attempt in which a new one may start. Default 30 minutes. */
  readonly deadline?: number;
  /** Whether the error may go away by itself. Default: never. */
  readonly isRetriable?: (error: unknown) => boolean;
  /** Milliseconds that the other side asked us to wait (Retry-After), if it did. */
  readonly waitFor?: (error: unknown) => number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Calls `act` until it succeeds, with exponential waits and full jitter; a wait that the other side asks for is obeyed up to `maxTimeout`.
 *
 * @throws the last error, or the signal's reason
 */
export async function retry<T>(act: (attempt: number) => Promise<T>, options: RetryOptions = {}): Promise<T> {
  const {
    maxAttempts = 5,
    minTimeout = 500,
    maxTimeout = 60_000,
    deadline = 1_800_000,
    isRetriable,
    waitFor,
    signal,
  } = options;
  const start = performance.now();
  for (let attempt = 1; ; attempt += 1) {
    signal?.throwIfAborted();
    try {
      return await act(attempt);
    } catch (error) {
      if (attempt >= maxAttempts || !isRetriable?.(error) || performance.now() - start > deadline) throw error;
      const jittered = Math.random() * Math.min(maxTimeout, minTimeout * 2 ** (attempt - 1));
      await pause(Math.min(maxTimeout, waitFor?.(error) ?? jittered), signal);
    }
  }
}

/** Waits; rejects with the signal's own reason, where the timer would say AbortError. */
async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  await delay(milliseconds, undefined, signal ? { signal } : {}).catch((error: unknown) => {
    signal?.throwIfAborted();
    throw error;
  });
}
