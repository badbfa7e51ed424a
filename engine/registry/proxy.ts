import type * as Undici from 'undici';
import type { Dispatcher } from 'undici';
import { EngineError, messageOf } from '../base/errors.ts';
import { ProxyError } from './errors.ts';
import { codeOfCause } from './failure.ts';
import type { RegistryOptions, Timing } from './types.ts';

/** The proxies of the options, as undici takes them; undefined when there are none. @throws `PROXY_INVALID` */
export function proxiesOf({
  httpProxy,
  httpsProxy,
  noProxy,
}: Pick<RegistryOptions, 'httpProxy' | 'httpsProxy' | 'noProxy'>):
  { readonly httpProxy: string; readonly httpsProxy: string; readonly noProxy: string } | undefined {
  if (!httpProxy && !httpsProxy) return undefined;
  // undici looks into the environment for what isn't given, so the empty string is given.
  return { httpProxy: proxyUrl(httpProxy), httpsProxy: proxyUrl(httpsProxy), noProxy: noProxy ?? '' };
}

/** Whether requests of the URL's scheme have a proxy: as for Go, that of http is not for https, for which undici would take it. */
export function hasProxy(
  { protocol }: URL,
  { httpProxy, httpsProxy }: Pick<RegistryOptions, 'httpProxy' | 'httpsProxy'>,
): boolean {
  return Boolean(protocol === 'https:' ? httpsProxy : httpProxy);
}

/** `proxy.example:3128` means http, as for curl and Go. Never shown whole: it may hold a password. */
function proxyUrl(text: string | undefined): string {
  if (!text) return '';
  const url = text.includes('://') ? text : `http://${text}`;
  if (URL.canParse(url) && /^(?:https?|socks5):\/\/[^/]/i.test(url)) return url;
  throw new EngineError('PROXY_INVALID', 'Cannot use the proxy: HTTP_PROXY or HTTPS_PROXY is not the URL of one', {
    hint: 'Write http://host:port, or http://user:password@host:port',
  });
}

type Connect = (params: Dispatcher.ConnectOptions) => Promise<Dispatcher.ConnectData>;

/**
 * Makes the connections to a proxy that tunnels are asked for on. undici waits for the answer as long as for that of a server, and asks again
 * for ever when the proxy hangs up; here it has the time of a connection, and every failure is a {@link ProxyError}.
 */
export function tunnels(
  { Pool }: Pick<typeof Undici, 'Pool'>,
  timing: Pick<Timing, 'connect'>,
): (origin: URL, options: object) => Dispatcher {
  return (origin, options) => {
    const pool = new Pool(origin, { ...options, headersTimeout: timing.connect });
    const connect = pool.connect.bind<Connect>(pool);
    const ask: Connect = async (params) => {
      const answer = await connect(params).catch((error: unknown) => {
        throw unreachable(origin.host, error);
      });
      if (answer.statusCode === 200) return answer;
      answer.socket.on('error', () => undefined).destroy();
      const { statusCode: status } = answer;
      throw new ProxyError(`the proxy ${origin.host} answered ${status}`, { temporary: status >= 500, status });
    };
    return Object.assign(pool, { connect: ask });
  };
}

function unreachable(host: string, cause: unknown): ProxyError {
  const code = codeOfCause(cause);
  const isRefused = code === 'ECONNREFUSED';
  const how = isRefused ? 'refused the connection' : `gave no connection (${code || messageOf(cause)})`;
  return new ProxyError(`the proxy ${host} ${how}`, { cause, temporary: !isRefused && code !== 'ENOTFOUND' });
}
