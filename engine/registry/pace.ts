import { networkError, type Operation } from './failure.ts';
import type { HttpResponse } from './transport.ts';
import type { Timing } from './types.ts';

/** Bytes a second below which a server is as good as silent. */
const MIN_RATE = 256;

/**
 * A body that keeps moving: a server that sends a byte now and then is given up like one that sends none. Only the time that we wait for it
 * counts, not the time that we take to use what came.
 *
 * @throws the signal's reason; `REGISTRY_TIMEOUT`; the errors of the connection, naming its host
 */
export async function* paced(
  { body, url }: Pick<HttpResponse, 'body' | 'url'>,
  operation: Operation,
  timing: Timing,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const iterator = (body as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
  let [waited, bytes] = [0, 0];
  try {
    for (;;) {
      const asked = performance.now();
      const next = await iterator.next().catch((error: unknown) => {
        signal?.throwIfAborted();
        throw networkError(operation, url, error, true);
      });
      if (next.done === true) return;
      waited += performance.now() - asked;
      bytes += next.value.length;
      if (waited > timing.idle) {
        if (bytes < (MIN_RATE * timing.idle) / 1000) throw tooSlow(operation, url, bytes, waited);
        [waited, bytes] = [0, 0];
      }
      yield next.value;
    }
  } finally {
    body.on('error', () => undefined).destroy();
  }
}

function tooSlow(operation: Operation, url: URL, bytes: number, waited: number): Error {
  const reason = new Error(`${bytes} bytes in ${Math.round(waited / 1000)} s`);
  return networkError(operation, url, Object.assign(reason, { code: 'UND_ERR_BODY_TIMEOUT' }), true);
}
