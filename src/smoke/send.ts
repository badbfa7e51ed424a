import type { TestContainer } from './container.ts';
import { endSignal } from './end-signal.ts';
import { HttpFailure, sendHttp, type HttpAnswer } from './http.ts';
import type { HttpRequest } from './spec.ts';

/** Bounds of a request of a test. */
const LIMITS = { total: 60_000, idle: 30_000, maxBody: 10 << 20 };

/** Sends a request to the container, once. A failure is a value; the end of the process is one too. @throws the signal's reason */
export async function sendOnce(
  request: HttpRequest,
  {
    container,
    port,
    signal,
  }: { readonly container: TestContainer; readonly port: number; readonly signal?: AbortSignal | undefined },
): Promise<HttpAnswer | HttpFailure> {
  const target = container.ports.get(port);
  if (target === undefined) throw new Error(`port ${port} of the container is not published`);
  const ended = endSignal(container, signal);
  try {
    return await sendHttp(target, request, { ...LIMITS, signal: ended.signal });
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof HttpFailure) return error;
    if (container.ended() === undefined) throw error;
    return new HttpFailure('down', 'the process has ended', { milliseconds: 0, cause: error });
  } finally {
    ended.dispose();
  }
}
