import { type Challenge, parseChallenges } from './challenge.ts';
import { RegistryError } from './errors.ts';
import type { Operation } from './failure.ts';
import { trustedRealm } from './realm.ts';
import { basic, fetchToken, type Token } from './token.ts';
import type { Transport } from './transport.ts';
import type { Credentials, CredentialSource, Timing } from './types.ts';

/** What a request may do: `repository:library/python:pull`. Source: distribution's token scope documentation. */
export type Scope = string;

/** Authentication towards one endpoint. Credentials and tokens are bound to its scheme, host and port. */
export interface Authorizer {
  /** The `Authorization` to send, if it is known that one is wanted. */
  header(operation: Operation, scopes: readonly Scope[], signal?: AbortSignal): Promise<Authorization | undefined>;
  /**
   * Learns from a 401.
   *
   * @param refused what had been sent
   * @returns whether {@link header} now gives something that is worth another try
   * @throws `REGISTRY_PROTOCOL` for a realm that can't be trusted
   */
  challenged(
    operation: Operation,
    header: string | readonly string[] | undefined,
    scopes: readonly Scope[],
    refused: Authorization | undefined,
  ): Promise<boolean>;
}

export interface Authorization {
  readonly value: string;
  /** It was made of a name and password, not anonymous. */
  readonly hasCredentials: boolean;
}

/** A token is renewed this many milliseconds before its end. */
const MARGIN = 5_000;

export interface AuthorizerOptions {
  /** Of the endpoint. */
  readonly origin: URL;
  /** The name that its credentials are asked for by. */
  readonly registry: string;
  readonly credentials: CredentialSource | undefined;
  readonly onSecret?: ((value: string) => void) | undefined;
  readonly timing: Timing;
}

export function createAuthorizer(transport: Transport, options: AuthorizerOptions): Authorizer {
  const { origin, registry, credentials: source, timing, onSecret } = options;
  const tokens = new Map<string, Promise<Token>>();
  let credentials: Promise<Credentials | undefined> | undefined;
  let scheme: Challenge | undefined;
  const getCredentials = async (): Promise<Credentials | undefined> => {
    const asked = (credentials ??= heard(source?.(registry)));
    asked.catch(() => credentials === asked && (credentials = undefined));
    return asked;
  };

  const heard = async (given: ReturnType<CredentialSource> | undefined): Promise<Credentials | undefined> => {
    const own = await given;
    for (const value of [own?.password, own?.identityToken]) if (value) onSecret?.(value);
    return own;
  };

  const freshToken = async (operation: Operation, scopes: readonly Scope[], signal?: AbortSignal): Promise<Token> => {
    const key = scopes.join(' ');
    const known = await tokens.get(key)?.catch(() => undefined);
    if (known && known.expires - MARGIN > performance.now()) return known;
    const made = askForToken(operation, scopes, signal);
    tokens.set(key, made);
    made.catch(() => tokens.get(key) === made && tokens.delete(key));
    return made;
  };

  const askForToken = async (operation: Operation, scopes: readonly Scope[], signal?: AbortSignal): Promise<Token> => {
    const own = await getCredentials();
    const realm = trustedRealm(scheme?.params.get('realm'), origin, operation.act, own !== undefined);
    const token = await fetchToken(transport, {
      realm,
      registry,
      service: scheme?.params.get('service'),
      scopes,
      credentials: own,
      operation,
      timing,
      signal,
    });
    onSecret?.(token.value);
    return token;
  };

  const header: Authorizer['header'] = async (operation, scopes, signal) => {
    if (scheme === undefined) return undefined;
    const own = await getCredentials();
    if (scheme.scheme === 'basic')
      return own === undefined ? undefined : { value: basic(checked(own, registry, operation)), hasCredentials: true };
    const token = await freshToken(operation, scopes, signal);
    return { value: `Bearer ${token.value}`, hasCredentials: own !== undefined };
  };

  const challenged: Authorizer['challenged'] = async (operation, line, scopes, refused) => {
    const challenges = parseChallenges(line);
    const next = challenges.find((c) => c.scheme === 'bearer') ?? challenges.find((c) => c.scheme === 'basic');
    if (next === undefined) throw noChallenge(operation, origin, challenges);
    scheme = next;
    if (next.scheme === 'basic')
      return refused?.value.startsWith('Basic ') !== true && (await getCredentials()) !== undefined;
    await forget(tokens, scopes.join(' '), refused);
    return true;
  };

  return { header, challenged };
}

/** Drops the token that was refused, unless another request has renewed it meanwhile. */
async function forget(
  tokens: Map<string, Promise<Token>>,
  key: string,
  refused: Authorization | undefined,
): Promise<void> {
  const known = await tokens.get(key)?.catch(() => undefined);
  if (refused && known && `Bearer ${known.value}` === refused.value) tokens.delete(key);
}

function checked(credentials: Credentials, registry: string, operation: Operation): Credentials {
  if (!credentials.username.includes(':')) return credentials;
  throw new RegistryError(
    'REGISTRY_UNAUTHORIZED',
    `Cannot ${operation.act}: the username for ${registry} holds a colon, which basic authentication can't say`,
  );
}

function noChallenge(operation: Operation, origin: URL, challenges: readonly Challenge[]): RegistryError {
  const offered = [...new Set(challenges.map((c) => c.scheme))].join(', ');
  const state = offered === '' ? "doesn't say how to log in" : `wants ${offered.slice(0, 80)}, which isn't supported`;
  return new RegistryError(
    'REGISTRY_UNAUTHORIZED',
    `Cannot ${operation.act}: ${origin.host} answered 401 Unauthorized and ${state}`,
    {
      status: 401,
      hint: 'Is that host a registry? It should ask for Bearer or Basic authentication',
    },
  );
}
