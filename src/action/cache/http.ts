import { Agent, EnvHttpProxyAgent, Pool, request, type Dispatcher } from 'undici';
import { EngineError, hasProxy, proxiesOf, tunnels } from '../../../engine/index.ts';

/** Proxies as the job's environment names them. */
export interface ProxySettings {
  readonly httpProxy?: string | undefined;
  readonly httpsProxy?: string | undefined;
  readonly noProxy?: string | undefined;
}

/** How long the service may be silent, in milliseconds, and how slow it may be. */
export interface HttpLimits {
  /** To connect, to answer, and between two pieces of a body. */
  readonly idle: number;
  /** After this time a download must have reached `minimumRate`. */
  readonly grace: number;
  /** Bytes a second. */
  readonly minimumRate: number;
}

export const HTTP_LIMITS: HttpLimits = { idle: 10_000, grace: 20_000, minimumRate: 128 * 1024 };

interface Call {
  readonly method?: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal | undefined;
}

/** The cache's own client: it follows no redirect, so a token goes to no other host. */
export interface CacheHttp {
  readonly limits: HttpLimits;
  /** A short exchange; the answer is cut off after `limit` bytes, with an error. */
  call(url: URL, call: Call & { readonly limit: number }): Promise<{ readonly status: number; readonly text: string }>;
  /** A body as a stream. */
  stream(
    url: URL,
    call: Call,
  ): Promise<{
    readonly status: number;
    readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
    readonly body: AsyncIterable<Uint8Array>;
    /** Ends the exchange without reading the body. */
    readonly discard: () => void;
  }>;
  close(): Promise<void>;
}

/** A client with connections of its own, which `close` ends. @throws `PROXY_INVALID` */
export function createCacheHttp(proxies: ProxySettings = {}, limits: HttpLimits = HTTP_LIMITS): CacheHttp {
  const timing = { connect: { timeout: limits.idle }, headersTimeout: limits.idle, bodyTimeout: limits.idle };
  const given = proxiesOf(proxies);
  const direct: Dispatcher = new Agent(timing);
  const proxied: Dispatcher | undefined =
    given && new EnvHttpProxyAgent({ ...timing, ...given, clientFactory: tunnels({ Pool }, { connect: limits.idle }) });
  const send = (url: URL, { method = 'GET', headers, body, signal }: Call) =>
    request(url, {
      dispatcher: (hasProxy(url, proxies) ? proxied : undefined) ?? direct,
      method,
      headers,
      body: body ?? null,
      ...(signal ? { signal } : {}),
    });
  return {
    limits,
    call: async (url, call) => {
      const { statusCode, body } = await send(url, call);
      const chunks: Buffer[] = [];
      let size = 0;
      for await (const chunk of body as AsyncIterable<Buffer>) {
        size += chunk.length;
        if (size > call.limit)
          throw new EngineError('CACHE_UNAVAILABLE', 'Cannot read an answer of the cache service: it is too long');
        chunks.push(chunk);
      }
      return { status: statusCode, text: Buffer.concat(chunks).toString('utf8') };
    },
    stream: async (url, call) => {
      const { statusCode, headers, body } = await send(url, call);
      const discard = (): void => {
        // Ending it early is an error to the client, and one that nobody waits for would end the process.
        body.on('error', () => undefined);
        body.destroy();
      };
      return { status: statusCode, headers, body, discard };
    },
    close: async () => void (await Promise.all([direct.destroy(), proxied?.destroy()])),
  };
}
