import { readFile } from 'node:fs/promises';
import type * as Undici from 'undici';
import type { Agent, Dispatcher } from 'undici';
import { EngineError } from '../base/errors.ts';
import { isLoopback } from './host.ts';
import { hasProxy, proxiesOf, tunnels } from './proxy.ts';
import type { RegistryOptions, Timing } from './types.ts';

/** Chooses the connection for a URL: through the proxy, or direct to loopback, as Go's clients do. */
export interface Dispatchers {
  for(url: URL): Promise<Dispatcher>;
  close(): Promise<void>;
}

/** The HTTP client, loaded by the first request: it is a large part of what most commands would have to read for nothing. */
export async function loadClient(): Promise<typeof Undici> {
  // A CommonJS package that is a file of its own in a bundle has its default export alone, which is the package.
  const { default: client } = await import('undici');
  // Type: the default is described as a part of what the package has.
  return client as unknown as typeof Undici;
}

/** Connections are made on first use, since the CA file is read then. */
export function createDispatchers(options: RegistryOptions, timing: Timing): Dispatchers {
  let made: Promise<{ readonly direct: Dispatcher; readonly proxied: Dispatcher }> | undefined;
  const make = async (): Promise<{ readonly direct: Dispatcher; readonly proxied: Dispatcher }> => {
    const ca = options.caFile === undefined ? undefined : await readAuthorities(options.caFile);
    const client = await loadClient();
    const direct = new client.Agent(agentOptions(timing, ca));
    return { direct, proxied: createProxied(client, options, timing, ca) ?? direct };
  };
  return {
    for: async (url) => {
      const { direct, proxied } = await (made ??= make());
      return isLoopback(url.hostname) || !hasProxy(url, options) ? direct : proxied;
    },
    close: async () => {
      const dispatchers = await made?.catch(() => undefined);
      await Promise.all([...new Set(Object.values(dispatchers ?? {}))].map((dispatcher) => dispatcher.destroy()));
    },
  };
}

function createProxied(
  client: typeof Undici,
  options: RegistryOptions,
  timing: Timing,
  ca: string[] | undefined,
): Dispatcher | undefined {
  const proxies = proxiesOf(options);
  if (proxies === undefined) return undefined;
  const tlsOptions = ca === undefined ? {} : { requestTls: { ca }, proxyTls: { ca } };
  const clientFactory = tunnels(client, timing);
  return new client.EnvHttpProxyAgent({ ...agentOptions(timing, ca), ...tlsOptions, ...proxies, clientFactory });
}

function agentOptions(timing: Timing, ca: string[] | undefined): Agent.Options {
  return {
    connect: { timeout: timing.connect, autoSelectFamily: true, ...(ca === undefined ? {} : { ca }) },
    bodyTimeout: timing.idle,
    headersTimeout: timing.idle,
    keepAliveTimeout: 4_000,
    connections: 16,
  };
}

async function readAuthorities(file: string): Promise<string[]> {
  const pem = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new EngineError('CA_FILE', `Cannot read the CA file ${file}`, {
      cause,
      hint: 'ca-file must name a PEM bundle',
    });
  });
  if (!pem.includes('-----BEGIN CERTIFICATE-----')) {
    throw new EngineError('CA_FILE', `Cannot use the CA file ${file}: there is no PEM certificate in it`);
  }
  return [...(await trusted()), pem];
}

/** Node's own authorities with those of NODE_EXTRA_CA_CERTS; Node 20 can only name the former. */
async function trusted(): Promise<readonly string[]> {
  const tls = await import('node:tls');
  const get = tls.getCACertificates as typeof tls.getCACertificates | undefined;
  return get?.('default') ?? tls.rootCertificates;
}
