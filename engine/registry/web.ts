import type { Dispatcher } from 'undici';
import { EngineError, messageOf } from '../base/errors.ts';
import { redact } from '../base/redact.ts';
import { createDispatchers, loadClient } from './dispatcher.ts';
import { TIMING } from './registry.ts';
import type { RegistryOptions } from './types.ts';

/** An answer of a web server. The body must be read or discarded. */
export interface WebResponse {
  readonly status: number;
  /** The header's first value; names in lower case. */
  header(name: string): string | undefined;
  readonly body: AsyncIterable<Uint8Array>;
  /** Frees the connection. */
  discard(): Promise<void>;
}

/** Reads URLs that are no registry's: sources of ADD and build contexts. */
export interface Web {
  /**
   * Follows redirects. Credentials go to the scheme, host and port that were asked, and to no other.
   *
   * @throws `DOWNLOAD_FAILED` when there is no answer
   */
  get(
    url: URL,
    options: { readonly headers: Readonly<Record<string, string>>; readonly signal?: AbortSignal | undefined },
  ): Promise<WebResponse>;
  close(): Promise<void>;
}

const MAX_REDIRECTS = 10;
const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];

/** A {@link Web} with the proxies and the authorities of the registry client. */
export function createWeb(options: RegistryOptions): Web {
  const dispatchers = createDispatchers(options, { ...TIMING, ...options.timing });
  return {
    async get(url, { headers, signal }) {
      let at = url;
      for (let count = 0; ; count += 1) {
        const sent = at.origin === url.origin ? headers : withoutCredentials(headers);
        const answer = await ask(await dispatchers.for(at), at, sent, signal);
        const location = REDIRECTS.includes(answer.status) ? answer.header('location') : undefined;
        if (location === undefined) return answer;
        await answer.discard();
        at = redirected(at, location, count);
      }
    },
    close: () => dispatchers.close(),
  };
}

async function ask(
  dispatcher: Dispatcher,
  url: URL,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal | undefined,
): Promise<WebResponse> {
  try {
    const { request } = await loadClient();
    const {
      statusCode,
      headers: found,
      body,
    } = await request(url, {
      dispatcher,
      headers: { ...headers },
      ...(signal ? { signal } : {}),
    });
    const header = (name: string): string | undefined => [found[name]].flat()[0];
    const discard = async (): Promise<void> => {
      // Its error would be that of a body that nobody wants.
      await body.dump().catch(() => undefined);
    };
    return { status: statusCode, header, body, discard };
  } catch (cause) {
    signal?.throwIfAborted();
    const message = `Cannot read ${redact(url.href)}: ${messageOf(cause)}`;
    throw new EngineError('DOWNLOAD_FAILED', message, { cause, hint: 'Check the address, the proxy and --ca-file' });
  }
}

function withoutCredentials(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'authorization'));
}

function redirected(from: URL, location: string, count: number): URL {
  const refuse = (state: string): EngineError =>
    new EngineError('DOWNLOAD_FAILED', `Cannot read ${redact(from.href)}: ${state}`);
  if (count >= MAX_REDIRECTS) throw refuse(`it redirects more than ${MAX_REDIRECTS} times`);
  const to = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  if (!to || !/^https?:$/.test(to.protocol)) throw refuse('it redirects to an address that is none of the web');
  if (from.protocol === 'https:' && to.protocol === 'http:') throw refuse('it redirects from https to http');
  return to;
}
