import { readFile } from 'node:fs/promises';
import * as tls from 'node:tls';
import { Agent, type Dispatcher, EnvHttpProxyAgent } from 'undici';
import { EngineError } from '../base/errors.ts';
import { isLoopback } from './host.ts';
import type { RegistryOptions, Timing } from './types.ts';

/** Chooses the connection for a URL: through the proxy, or direct to loopback, as Go's clients do. */
export interface Dispatchers {
  for(url: URL): Promise<Dispatcher>;
  close(): Promise<void>;
}

/** Connections are made on first use, since the CA file is read then. */
export function createDispatchers(options: RegistryOptions, timing: Timing): Dispatchers {
  let made: Promise<{ readonly direct: Dispatcher; readonly proxied: Dispatcher }> | undefined;
  const make = async (): Promise<{ readonly direct: Dispatcher; readonly proxied: Dispatcher }> => {
    const ca = options.caFile === undefined ? undefined : await readAuthorities(options.caFile);
    const direct = createDirect(timing, ca);
    return { direct, proxied: createProxied(options, timing, ca) ?? direct };
  };
  return {
    for: async (url) => {
      const { direct, proxied } = await (made ??= make());
      return isLoopback(url.hostname) ? direct : proxied;
    },
    close: async () => {
      const dispatchers = await made?.catch(() => undefined);
      await Promise.all([...new Set(Object.values(dispatchers ?? {}))].map((dispatcher) => dispatcher.destroy()));
    },
  };
}

function createDirect(timing: Timing, ca: string[] | undefined): Dispatcher {
  return new Agent(agentOptions(timing, ca));
}

/** undici looks into the environment for what isn't given, so the empty string is given. */
function createProxied(options: RegistryOptions, timing: Timing, ca: string[] | undefined): Dispatcher | undefined {
  const { httpProxy = '', httpsProxy = '', noProxy = '' } = options;
  if (httpProxy === '' && httpsProxy === '') return undefined;
  const tlsOptions = ca === undefined ? {} : { requestTls: { ca }, proxyTls: { ca } };
  return new EnvHttpProxyAgent({ ...agentOptions(timing, ca), ...tlsOptions, httpProxy, httpsProxy, noProxy });
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
  return [...trusted(), pem];
}

/** Node's own authorities with those of NODE_EXTRA_CA_CERTS; Node 20 can only name the former. */
function trusted(): readonly string[] {
  const get = tls.getCACertificates as typeof tls.getCACertificates | undefined;
  return get?.('default') ?? tls.rootCertificates;
}
