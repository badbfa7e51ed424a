import { protocolError, type RegistryError } from './errors.ts';
import { isLinkLocal, isLoopback, isSameOrigin } from './host.ts';

/** Registries whose tokens come from another host that belongs to the same operator. */
const KNOWN_REALMS: ReadonlyMap<string, string> = new Map([
  ['https://registry-1.docker.io', 'https://auth.docker.io'],
  ['https://registry.gitlab.com', 'https://gitlab.com'],
  ['https://registry.digitalocean.com', 'https://api.digitalocean.com'],
]);

/**
 * The URL of the token server, if it may be asked. With credentials it must be the registry itself or the known partner of it; without, any
 * https host that isn't a local address. A registry on loopback may name a realm on loopback.
 *
 * @throws `REGISTRY_PROTOCOL` naming the realm
 */
export function trustedRealm(realm: string | undefined, origin: URL, act: string, withCredentials: boolean): URL {
  const refuse = (why: string): RegistryError =>
    protocolError(
      act,
      `${origin.host} asks for a token from ${(realm ?? 'nowhere').slice(0, 200)}: ${why}`,
      'Credentials were not sent there',
    );
  if (realm === undefined || !URL.canParse(realm)) throw refuse("that isn't a URL");
  const url = new URL(realm);
  if (url.username !== '' || url.password !== '') throw refuse('it carries credentials');
  if (isSameOrigin(url, origin)) return url;
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw refuse("that isn't an http(s) URL");
  if (isLoopback(origin.hostname) && isLoopback(url.hostname)) return url;
  if (url.protocol !== 'https:') throw refuse("that isn't https");
  if (KNOWN_REALMS.get(origin.origin) === url.origin) return url;
  if (isLoopback(url.hostname) || isLinkLocal(url.hostname)) throw refuse('that is a local address');
  if (withCredentials) throw refuse("that isn't the registry's own host");
  return url;
}
