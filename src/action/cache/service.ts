import { setTimeout as delay } from 'node:timers/promises';
import { EngineError, messageOf } from '../../../engine/index.ts';
import type { CacheHttp } from './http.ts';

/** The cache service of this job. */
export interface CacheEndpoint {
  /** ACTIONS_RESULTS_URL. */
  readonly url: string;
  /** ACTIONS_RUNTIME_TOKEN. */
  readonly token: string;
}

/** An entry that is there. */
export interface FoundEntry {
  readonly key: string;
  /** Signed; whoever has it can read the entry. */
  readonly url: string;
}

/** The one call that a restore needs. */
export interface CacheService {
  /**
   * Newest entry with exactly this key, else with this prefix, in the scopes that the token can read.
   *
   * @throws `CACHE_RATE_LIMITED`, `CACHE_DENIED`, `CACHE_UNAVAILABLE`
   */
  find(
    query: { readonly key: string; readonly prefix?: boolean; readonly version: string },
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<FoundEntry | undefined>;
}

const METHOD = 'twirp/github.actions.results.api.v1.CacheService/GetCacheEntryDownloadURL';
const ATTEMPTS = 2;
const MAX_ANSWER = 64 * 1024;

/** @param onSecret takes what must be masked before anything else is printed: signed URLs and their signatures */
export function createCacheService(
  http: CacheHttp,
  { url, token }: CacheEndpoint,
  onSecret: (values: readonly string[]) => void,
): CacheService {
  const target = new URL(METHOD, url.endsWith('/') ? url : `${url}/`);
  return {
    find: async ({ key, prefix = false, version }, { signal } = {}) => {
      const body = JSON.stringify({ key, restore_keys: prefix ? [key] : [], version });
      const answer = await withRetries(signal, () => ask(http, target, token, body, signal));
      const found = readAnswer(answer);
      if (!found) return undefined;
      onSecret(secretsOf(found.url));
      // The service may match a prefix where an exact key was meant, and nothing outside what was asked for is ours.
      return (prefix ? found.key.startsWith(key) : found.key === key) ? found : undefined;
    },
  };
}

/** Another try after faults that may pass by themselves; never after 429, which asks us to stop. */
async function withRetries<T>(signal: AbortSignal | undefined, act: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await act();
    } catch (error) {
      const passing = error instanceof EngineError && error.code === 'CACHE_UNAVAILABLE';
      if (!passing || attempt === ATTEMPTS || signal?.aborted) throw error;
      await delay(200 * 2 ** attempt * (0.5 + Math.random()), undefined, signal ? { signal } : {});
    }
  }
}

async function ask(
  http: CacheHttp,
  target: URL,
  token: string,
  body: string,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json', accept: 'application/json' };
  const { status, text } = await http
    .call(target, { method: 'POST', headers, body, limit: MAX_ANSWER, signal })
    .catch((error: unknown) => {
      signal?.throwIfAborted();
      throw new EngineError('CACHE_UNAVAILABLE', `Cannot ask the cache service: ${messageOf(error)}`, { cause: error });
    });
  if (status === 200) return parseJson(text);
  const said = messageIn(text);
  if (status === 404) return { ok: false };
  if (status === 429)
    throw new EngineError('CACHE_RATE_LIMITED', 'Cannot ask the cache service: it limits requests (429)');
  if (status === 401 || status === 403)
    throw new EngineError('CACHE_DENIED', `Cannot read the cache: ${said || status}`);
  throw new EngineError('CACHE_UNAVAILABLE', `Cannot ask the cache service: it answered ${status} ${said}`.trimEnd());
}

function readAnswer(value: unknown): FoundEntry | undefined {
  if (typeof value !== 'object' || value === null || !('ok' in value) || value.ok !== true) return undefined;
  const url = 'signed_download_url' in value ? value.signed_download_url : undefined;
  const key = 'matched_key' in value ? value.matched_key : undefined;
  if (typeof url === 'string' && URL.canParse(url) && typeof key === 'string') return { key, url };
  throw new EngineError('CACHE_UNAVAILABLE', 'Cannot use the answer of the cache service: it names no entry');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new EngineError('CACHE_UNAVAILABLE', 'Cannot use the answer of the cache service: it is not JSON', {
      cause: error,
    });
  }
}

/** The service's own sentence, kept short; empty when it gave none. */
function messageIn(text: string): string {
  try {
    const value: unknown = JSON.parse(text);
    const said = typeof value === 'object' && value !== null && 'msg' in value ? value.msg : '';
    return typeof said === 'string' ? said.slice(0, 200) : '';
  } catch {
    return '';
  }
}

/** The URL as a whole, and its signature in both spellings. */
function secretsOf(url: string): readonly string[] {
  const raw = /[?&]sig=([^&]*)/.exec(url)?.[1];
  return [url, ...(raw ? [raw, new URL(url).searchParams.get('sig') ?? ''] : [])].filter((value) => value !== '');
}
