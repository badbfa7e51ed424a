import { EngineError } from '../base/errors.ts';
import { DOMAIN, PATH } from '../image/grammar.ts';
import { isLoopback } from './host.ts';
import type { Endpoint, RegistryOptions } from './types.ts';

const DOCKER_HUB = 'docker.io';
const DOCKER_HUB_ORIGIN = 'https://registry-1.docker.io';
/** Names under which Docker Hub is known. */
const DOCKER_HUB_ALIASES = new Set([DOCKER_HUB, 'index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com']);

/** One name for a registry, the one that credentials, mirrors and insecure names are looked up by. */
export function registryName(domain: string): string {
  const lower = domain.toLowerCase();
  return DOCKER_HUB_ALIASES.has(lower) ? DOCKER_HUB : lower;
}

/**
 * Where `domain` is served. Plain http only for loopback and for names that the user listed.
 *
 * @throws `REFERENCE_INVALID` for a port that isn't one
 */
export function originOf(domain: string, insecure: readonly string[] = []): Endpoint {
  const registry = registryName(domain);
  if (registry === DOCKER_HUB)
    return { registry, host: DOCKER_HUB, origin: DOCKER_HUB_ORIGIN, isMirror: false, prefix: '' };
  const url = urlOf(registry);
  const mayBePlain = isLoopback(url.hostname) || insecure.some((name) => registryName(name) === registry);
  return { registry, host: registry, origin: mayBePlain ? undefined : url.origin, isMirror: false, prefix: '' };
}

/** The mirror of a registry, if the user named one. @throws `MIRROR_INVALID` */
export function mirrorOf(domain: string, mirrors: RegistryOptions['mirrors'] = {}): Endpoint | undefined {
  const registry = registryName(domain);
  const text = Object.entries(mirrors).find(([name]) => registryName(name) === registry)?.[1];
  if (text === undefined) return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const prefix = url?.pathname.replace(/^\/(?:v2\/?)?|\/+$/g, '') ?? '';
  const isPlainUrl =
    url &&
    /^https?:$/.test(url.protocol) &&
    url.username === '' &&
    url.password === '' &&
    url.search === '' &&
    url.hash === '';
  if (!isPlainUrl || (prefix !== '' && !PATH.test(prefix))) throw invalidMirror(domain, text);
  return {
    registry: url.host,
    host: url.host,
    origin: url.origin,
    isMirror: true,
    prefix: prefix === '' ? '' : `${prefix}/`,
  };
}

function urlOf(registry: string): URL {
  const text = `https://${registry}/`;
  if (DOMAIN.test(registry) && URL.canParse(text)) return new URL(text);
  const port = /:([0-9]+)$/.exec(registry)?.[1];
  const state =
    port !== undefined && Number(port) > 65_535 ? `${port} isn't a port` : "it isn't a host with an optional port";
  throw new EngineError('REFERENCE_INVALID', `Cannot reach the registry ${registry}: ${state}`);
}

function invalidMirror(domain: string, text: string): EngineError {
  return new EngineError(
    'MIRROR_INVALID',
    `Cannot use '${text.slice(0, 120)}' as mirror of ${domain}: it isn't an http(s) URL of a host and an optional path`,
    {
      hint: `Write for example ${domain}=http://127.0.0.1:5000; credentials for it come from berth login, not from the URL`,
    },
  );
}
