import { EngineError, type CredentialSource } from '../../engine/index.ts';
import type { ActionInputs } from './inputs.ts';

type LoginInputs = Pick<ActionInputs, 'registry' | 'username' | 'password' | 'tags'>;

/**
 * `username` and `password` for exactly one registry, in memory alone; anything else is asked of `others` (an existing Docker configuration,
 * read-only).
 *
 * @throws `INPUT_INVALID` when the tags name several registries and `registry` does not choose
 */
export function createCredentials(inputs: LoginInputs, others: CredentialSource | undefined): CredentialSource {
  if (inputs.password === '') return async (registry) => await others?.(registry);
  const own = canonical(registryOf(inputs));
  return async (registry) =>
    canonical(registry) === own ? { username: inputs.username, password: inputs.password } : await others?.(registry);
}

function registryOf({ registry, tags }: LoginInputs): string {
  if (registry !== undefined) return registry.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
  const found = [...new Set(tags.map(domainOf))];
  if (found.length <= 1) return found[0] ?? 'docker.io';
  throw new EngineError(
    'INPUT_INVALID',
    `Cannot use input 'password': the tags name ${found.length} registries (${found.join(', ')})`,
    { hint: 'Write registry: with the one that the password is for; for the others run docker/login-action before' },
  );
}

/** Docker's rule: the part before the first slash is a registry when it has a dot or a colon, or is localhost. */
function domainOf(name: string): string {
  const [first = '', ...rest] = name.split('/');
  return rest.length > 0 && /[.:]|^localhost$/.test(first) ? first : 'docker.io';
}

function canonical(registry: string): string {
  const host = registry.toLowerCase();
  return ['index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com'].includes(host) ? 'docker.io' : host;
}
