import { EngineError } from '../base/errors.ts';
import { isSet, member, objectOf, rootField, stringOf, type Field } from '../image/fields.ts';
import { readJson } from '../image/json.ts';
import { registryName } from './endpoint.ts';
import type { Credentials } from './types.ts';

/** What a Docker `config.json` says about credentials. Nothing is run and nothing is written. */
export interface DockerConfig {
  /** By registry, as {@link registryName} writes it. */
  readonly auths: ReadonlyMap<string, Credentials>;
  /** Suffix of `docker-credential-<name>`, by registry. */
  readonly credHelpers: ReadonlyMap<string, string>;
  /** The helper for all other registries. */
  readonly credsStore: string | undefined;
}

const HELPER = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/**
 * Reads the text of a Docker `config.json`.
 *
 * @throws `DOCKER_CONFIG_INVALID`; no secret is ever part of the message
 */
export function credentialsFromDockerConfig(text: string): DockerConfig {
  const field = rootOf(text);
  const auths = new Map<string, Credentials>();
  for (const [name, entry] of membersOf(member(field, 'auths'))) {
    const credentials = credentialsOf(entry, name);
    const registry = registryOfKey(name);
    // The exact name wins over the same one in another spelling.
    if (credentials && (!auths.has(registry) || name === registry)) auths.set(registry, credentials);
  }
  const helpers = membersOf(member(field, 'credHelpers')).map(
    ([name, entry]) => [registryOfKey(name), helperOf(entry)] as const,
  );
  const store = member(field, 'credsStore');
  return {
    auths,
    credHelpers: new Map(helpers),
    credsStore: isSet(store) && store.value !== '' ? helperOf(store) : undefined,
  };
}

/** How to get the credentials for a registry: Docker asks its helper first, then the store, then the file. */
export function lookupDockerConfig(
  config: DockerConfig,
  registry: string,
): { readonly helper: string } | { readonly credentials: Credentials } | undefined {
  const name = registryName(registry);
  const helper = config.credHelpers.get(name) ?? config.credsStore;
  if (helper !== undefined) return { helper };
  const credentials = config.auths.get(name);
  return credentials === undefined ? undefined : { credentials };
}

/** What a credential helper is asked for: Docker Hub goes by its old URL there. */
export function helperServerUrl(registry: string): string {
  const name = registryName(registry);
  return name === 'docker.io' ? 'https://index.docker.io/v1/' : name;
}

/** Keys are hosts, or URLs of old: `https://index.docker.io/v1/`. Only the host counts, and all of it. */
function registryOfKey(key: string): string {
  const host = key.replace(/^https?:\/\//, '').split('/', 1)[0] ?? '';
  return registryName(host);
}

function rootOf(text: string): Field {
  const what = "Docker's config.json";
  try {
    const field = rootField(readJson(text, what), what);
    objectOf(field, []);
    return field;
  } catch (cause) {
    throw new EngineError('DOCKER_CONFIG_INVALID', `Cannot read ${what}: it isn't a JSON object`, {
      cause: withoutText(cause),
    });
  }
}

/** The reader's message may quote a part of the file. */
function withoutText(cause: unknown): string {
  return cause instanceof EngineError ? cause.code : 'unknown';
}

function membersOf(field: Field): (readonly [string, Field])[] {
  if (!isSet(field)) return [];
  return Object.keys(objectOf(field, [])).map((key) => [key, member(field, key)] as const);
}

/** `auth` is base64 of `user:password`; Docker also takes the two on their own. An empty entry is a mark that a helper has the rest. */
function credentialsOf(entry: Field, registry: string): Credentials | undefined {
  if (!isSet(entry)) return undefined;
  objectOf(entry, []);
  const token = textOf(member(entry, 'identitytoken'));
  const pair = textOf(member(entry, 'auth'));
  const [username, password] =
    pair === '' ? [textOf(member(entry, 'username')), textOf(member(entry, 'password'))] : decodePair(pair, registry);
  if (token !== '') return { username, password, identityToken: token };
  return username === '' ? undefined : { username, password };
}

function decodePair(auth: string, registry: string): readonly [string, string] {
  const text = Buffer.from(auth, 'base64').toString('utf8').replace(/\0+$/, '');
  const colon = text.indexOf(':');
  if (colon > 0) return [text.slice(0, colon), text.slice(colon + 1)];
  throw new EngineError(
    'DOCKER_CONFIG_INVALID',
    `Cannot use Docker's config.json: auth of ${registry} isn't base64 of user:password`,
    {
      hint: `Run \`berth login ${registry}\` again`,
    },
  );
}

function helperOf(field: Field): string {
  const name = textOf(field);
  if (HELPER.test(name)) return name;
  throw new EngineError(
    'DOCKER_CONFIG_INVALID',
    `Cannot use Docker's config.json: ${field.path} isn't the name of a credential helper`,
  );
}

function textOf(field: Field): string {
  if (!isSet(field)) return '';
  if (typeof field.value === 'string') return stringOf(field);
  throw new EngineError(
    'DOCKER_CONFIG_INVALID',
    `Cannot use Docker's config.json: ${field.path.replace(/\.(?:auth|password|identitytoken)$/, '')} must hold strings`,
  );
}
