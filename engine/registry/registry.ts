import { escapeControl } from '../base/escape.ts';
import { parseReference } from '../image/reference.ts';
import { type Client, createClient } from './client.ts';
import { createDispatchers } from './dispatcher.ts';
import { mirrorOf, originOf, registryName } from './endpoint.ts';
import { createRepository } from './repository.ts';
import { createTransport, discard } from './transport.ts';
import type { Endpoint, Registry, RegistryOptions, Timing } from './types.ts';

/** How long things may take, unless the caller says otherwise. */
export const TIMING: Timing = {
  connect: 30_000,
  idle: 60_000,
  commit: 600_000,
  minRetry: 500,
  maxRetry: 60_000,
  deadline: 1_800_000,
};
const CHUNK_SIZE = 64 * 1024 * 1024;
const MAX_WARNING = 4096;
const MAX_WARNINGS = 20;

/**
 * A client for every registry that speaks the distribution API. It keeps connections, tokens and what it learned of a registry for as long
 * as it lives. Source: distribution-spec 1.1.
 */
export function createRegistry(options: RegistryOptions = {}): Registry {
  const timing = { ...TIMING, ...options.timing };
  const dispatchers = createDispatchers(options, timing);
  const transport = createTransport(dispatchers, options.userAgent ?? 'berth', timing);
  const clients = new Map<string, Client>();
  const onWarning = createWarner(options);
  const { credentials, onSecret } = options;

  const clientOf = (endpoint: Endpoint): Client => {
    const key = endpoint.isMirror ? `mirror ${endpoint.origin ?? ''}/${endpoint.prefix}` : endpoint.registry;
    const known = clients.get(key);
    if (known) return known;
    const made = createClient(transport, endpoint, { credentials, onSecret, timing, onWarning });
    clients.set(key, made);
    return made;
  };

  const repository: Registry['repository'] = (name) => {
    const reference = parseReference(name);
    const mirror = mirrorOf(reference.domain, options.mirrors);
    return createRepository({
      reference: { domain: registryName(reference.domain), path: reference.path },
      origin: clientOf(originOf(reference.domain, options.insecureRegistries)),
      mirror: mirror === undefined ? undefined : clientOf(mirror),
      chunkSize: options.chunkSize ?? CHUNK_SIZE,
      signal: options.signal,
    });
  };

  const logIn: Registry['logIn'] = async (name, given, how) => {
    const endpoint = originOf(name, options.insecureRegistries);
    // A client of its own: no token of other credentials may answer for these.
    const client = createClient(transport, endpoint, { credentials: async () => given, onSecret, timing, onWarning });
    const call = { method: 'GET' as const, target: '', scopes: [], expect: [200], signal: how?.signal };
    await discard(await client.send({ act: `log in to ${endpoint.registry}` }, call));
  };

  return { repository, logIn, close: () => dispatchers.close() };
}

/** Passes on what registries warn of, each once, escaped and bounded; nothing is ever done because of it. Source: distribution-spec, "Warnings". */
function createWarner({ onEvent }: RegistryOptions): (host: string, header: string) => void {
  const said = new Set<string>();
  return (host, header) => {
    const text = /^\s*299\s+\S+\s+"((?:[^"\\]|\\.)*)"/.exec(header.slice(0, MAX_WARNING))?.[1]?.replace(/\\(.)/g, '$1');
    const message = `${host} warns: ${escapeControl(text ?? '').replace(/\n/g, ' ')}`;
    if (text === undefined || said.has(message) || said.size >= MAX_WARNINGS) return;
    said.add(message);
    onEvent?.({ type: 'warning', message });
  };
}
