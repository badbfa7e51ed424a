import { EngineError, messageOf } from '../../../engine/index.ts';
import type { CacheHttp } from './http.ts';

/** Where an archive is, and how to ask for a new address when the old one has expired. */
export interface Archive {
  readonly url: string;
  /** undefined: the entry is gone. */
  refresh(): Promise<string | undefined>;
}

const ATTEMPTS = 4;

/**
 * Bytes of an archive. A connection that breaks is continued where it broke; an address that has expired is asked for again once.
 *
 * @throws `CACHE_UNAVAILABLE` when the service is silent, too slow, or gives up; the signal's reason
 */
export async function* download(
  http: CacheHttp,
  archive: Archive,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  let { url } = archive;
  let refreshed = false;
  let received = 0;
  let before = -1;
  const pace = createPace(http);
  for (let attempt = 1; ; attempt += 1) {
    signal.throwIfAborted();
    try {
      const body = await open(http, url, received, signal);
      if (body === 'expired') {
        const next: string | undefined = refreshed ? undefined : await archive.refresh();
        if (next === undefined)
          throw new EngineError('CACHE_GONE', 'Cannot read a cache entry: its address is refused');
        [url, refreshed] = [next, true];
        continue;
      }
      for await (const chunk of body) {
        received += chunk.length;
        pace(received);
        yield chunk;
      }
      return;
    } catch (error) {
      signal.throwIfAborted();
      // Twice nothing at all, and the storage is not only slow.
      if (error instanceof EngineError || attempt === ATTEMPTS || before === received) throw asFault(error);
      before = received;
    }
  }
}

type Body = AsyncIterable<Uint8Array>;

/** The rest of the archive from `start` on. */
async function open(http: CacheHttp, url: string, start: number, signal: AbortSignal): Promise<Body | 'expired'> {
  // Azure's own header counts before the standard one, and other servers know only that.
  const range = start === 0 ? undefined : `bytes=${start}-`;
  const headers: Record<string, string> = range === undefined ? {} : { range, 'x-ms-range': range };
  const { status, headers: answered, body, discard } = await http.stream(new URL(url), { headers, signal });
  if (status === (start === 0 ? 200 : 206) && (start === 0 || startOf(answered['content-range']) === start))
    return body;
  discard();
  if (status === 401 || status === 403) return 'expired';
  if (status === 404 || status === 410) throw new EngineError('CACHE_GONE', 'Cannot read a cache entry: it is gone');
  if (status === 429)
    throw new EngineError('CACHE_RATE_LIMITED', 'Cannot read a cache entry: requests are limited (429)');
  // Outside EngineError, so that the caller tries again.
  throw new Error(`the storage answered ${status}`);
}

function startOf(header: string | readonly string[] | undefined): number | undefined {
  const match = typeof header === 'string' ? /^bytes (\d+)-/.exec(header) : null;
  return match?.[1] === undefined ? undefined : Number(match[1]);
}

/** Ends a download that would take longer than making the layer again. */
function createPace({ limits }: CacheHttp): (received: number) => void {
  const start = performance.now();
  return (received) => {
    const elapsed = performance.now() - start;
    if (elapsed < limits.grace || (received / elapsed) * 1000 >= limits.minimumRate) return;
    throw new EngineError(
      'CACHE_UNAVAILABLE',
      `Cannot read a cache entry: ${received} bytes came in ${Math.round(elapsed / 1000)} s, which is too slow`,
    );
  };
}

function asFault(error: unknown): EngineError {
  if (error instanceof EngineError) return error;
  return new EngineError('CACHE_UNAVAILABLE', `Cannot read a cache entry: ${messageOf(error)}`, { cause: error });
}
