import { setTimeout as delay } from 'node:timers/promises';
import { waitFor } from './errors.ts';
import type { Timing } from './types.ts';

/**
 * Waits before the next try inside an operation that goes on where it broke: as long as the registry asked, else longer with each failure in
 * a row, with full jitter.
 *
 * @throws the signal's reason
 */
export async function pause(
  timing: Timing,
  failures: number,
  error: unknown,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { minRetry, maxRetry } = timing;
  const wait = waitFor(error) ?? Math.random() * minRetry * 2 ** (failures - 1);
  try {
    await delay(Math.min(maxRetry, wait), undefined, signal === undefined ? {} : { signal });
  } catch (aborted) {
    signal?.throwIfAborted();
    throw aborted;
  }
}
