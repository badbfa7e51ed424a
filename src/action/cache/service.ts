import { setTimeout as delay } from 'node:timers/promises';
import { EngineError, messageOf } from '../../../engine/index.ts';
import type { CacheHttp } from './http.ts';

/** The cache service of this job. */
export interface CacheEndpoint {
  /** 1 is that of GitHub Enterprise Server and of older servers for `act`, 2 that of github.com. */
  readonly version: 1 | 2;
  /** ACTIONS_RESULTS_URL; for version 1 ACTIONS_CACHE_URL where there is one. */
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

const ATTEMPTS = 2;
const MAX_ANSWER = 64 * 1024;

/** @param onSecret takes what must be masked before anything else is printed: signed URLs and their signatures */
export function createCacheService(
  http: CacheHttp,
  { url, token, version: protocol }: CacheEndpoint,
  onSecret: (values: readonly string[]) => void,
): CacheService {
  const base = url.endsWith('/') ? url : `${url}/`;
  const { question, read } = PROTOCOLS[protocol];
  return {
    find: async ({ key, prefix = false, version }, { signal } = {}) => {
      const asked = question(base, { key, prefix, version });
      const found = read(await withRetries(signal, () => ask(http, asked, token, signal)));
      if (!found) return undefined;
      onSecret(secretsOf(found.url));
      // The service may match a prefix where an exact key was meant, and nothing outside what was asked for is ours.
      return (prefix ? found.key.startsWith(key) : found.key === key) ? found : undefined;
    },
  };
}

interface Query {
  readonly key: string;
  readonly prefix: boolean;
  readonly version: string;
}

/** One request, without the token. */
interface Question {
  readonly target: URL;
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

interface Protocol {
  readonly question: (base: string, query: Query) => Question;
  readonly read: (answer: unknown) => FoundEntry | undefined;
}

const METHOD = 'twirp/github.actions.results.api.v1.CacheService/GetCacheEntryDownloadURL';

/** Source: @actions/cache, cacheHttpClient.ts and cacheTwirpClient.ts; spec/action.md 4. */
const PROTOCOLS: Readonly<Record<CacheEndpoint['version'], Protocol>> = {
  1: {
    question: (base, { key, version }) => ({
      // The service takes every key for a prefix where none is exactly it.
      target: new URL(`_apis/artifactcache/cache?${new URLSearchParams({ keys: key, version }).toString()}`, base),
      method: 'GET',
      headers: { accept: 'application/json;api-version=6.0-preview.1' },
    }),
    read: (answer) => entryIn(answer, { url: 'archiveLocation', key: 'cacheKey' }),
  },
  2: {
    question: (base, { key, prefix, version }) => ({
      target: new URL(METHOD, base),
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify({ key, restore_keys: prefix ? [key] : [], version }),
    }),
    read: (answer) =>
      isRecord(answer) && answer['ok'] === true
        ? entryIn(answer, { url: 'signed_download_url', key: 'matched_key' })
        : undefined,
  },
};

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
  { target, headers, ...question }: Question,
  token: string,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  const signed = { ...headers, authorization: `Bearer ${token}` };
  const { status, text } = await http
    .call(target, { ...question, headers: signed, limit: MAX_ANSWER, signal })
    .catch((error: unknown) => {
      signal?.throwIfAborted();
      throw new EngineError('CACHE_UNAVAILABLE', `Cannot ask the cache service: ${messageOf(error)}`, { cause: error });
    });
  if (status === 200) return parseJson(text);
  const said = messageIn(text);
  if (status === 404 || status === 204) return undefined;
  if (status === 429)
    throw new EngineError('CACHE_RATE_LIMITED', 'Cannot ask the cache service: it limits requests (429)');
  if (status === 401 || status === 403)
    throw new EngineError('CACHE_DENIED', `Cannot read the cache: ${said || status}`);
  throw new EngineError('CACHE_UNAVAILABLE', `Cannot ask the cache service: it answered ${status} ${said}`.trimEnd());
}

/** What is found where the answer has it under those names; undefined when there was no answer, as for a miss. */
function entryIn(answer: unknown, names: { readonly url: string; readonly key: string }): FoundEntry | undefined {
  if (answer === undefined) return undefined;
  const [url, key] = isRecord(answer) ? [answer[names.url], answer[names.key]] : [];
  if (typeof url === 'string' && URL.canParse(url) && typeof key === 'string') return { key, url };
  throw new EngineError('CACHE_UNAVAILABLE', 'Cannot use the answer of the cache service: it names no entry');
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
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
    const said = isRecord(value) ? (value['msg'] ?? value['message']) : '';
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
