import { collect } from '../base/collect.ts';
import { protocolError, type RegistryError } from './errors.ts';
import { type Operation, refusalError } from './failure.ts';
import { paced } from './pace.ts';
import type { HttpRequest, Transport } from './transport.ts';
import type { Credentials, Timing } from './types.ts';

/** A bearer token, for the heap only. */
export interface Token {
  readonly value: string;
  /** On the clock of `performance.now()`, so that a wall clock that jumps changes nothing. */
  readonly expires: number;
}

export interface TokenRequest {
  readonly realm: URL;
  /** Whose credentials they are. */
  readonly registry: string;
  readonly service: string | undefined;
  readonly scopes: readonly string[];
  readonly credentials: Credentials | undefined;
  readonly operation: Operation;
  readonly timing: Timing;
  readonly signal?: AbortSignal | undefined;
}

const MAX_BODY = 1024 * 1024;
const MIN_SECONDS = 60;
/** A registry's idea of for ever is not ours; a 401 ends a token earlier anyway. */
const MAX_SECONDS = 3600;
const CLIENT_ID = 'berth';
const VISIBLE = /^[\x21-\x7e]{1,65536}$/;

/**
 * Asks a token server, by GET with basic authentication or, for a refresh token, by POST. Sources: distribution's token and oauth2 specs.
 *
 * @throws `REGISTRY_UNAUTHORIZED` and its like when refused; `REGISTRY_PROTOCOL` for a redirect or an answer that isn't a token
 */
export async function fetchToken(transport: Transport, request: TokenRequest): Promise<Token> {
  const { operation, realm } = request;
  const started = performance.now();
  const answer = await transport.send(operation, toHttp(request));
  const { status, headers, body } = answer;
  if (status >= 300 && status < 400) {
    body.on('error', () => undefined).destroy();
    throw protocolError(operation.act, `the token server ${realm.host} redirected, which is never followed`);
  }
  if (status !== 200) {
    const retryAfter = headers['retry-after'];
    const sentCredentials = request.credentials !== undefined;
    const host = `the token server ${realm.host}`;
    throw await refusalError(operation, {
      status,
      host,
      registry: request.registry,
      retryAfter,
      body,
      sentCredentials,
    });
  }
  const what = `the answer of the token server ${realm.host}`;
  const content = await collect(paced(answer, operation, request.timing, request.signal), what, MAX_BODY);
  return readToken(content.toString('utf8'), started, request);
}

function toHttp({ realm, service, scopes, credentials, signal }: TokenRequest): HttpRequest {
  const params = new URLSearchParams();
  if (service !== undefined) params.append('service', service);
  if (credentials?.identityToken !== undefined) {
    params.append('client_id', CLIENT_ID);
    params.append('grant_type', 'refresh_token');
    params.append('refresh_token', credentials.identityToken);
    params.append('scope', scopes.join(' '));
    const content = Buffer.from(params.toString());
    return {
      method: 'POST',
      url: realm,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: () => content,
      signal,
    };
  }
  for (const scope of scopes) params.append('scope', scope);
  if (credentials !== undefined) params.append('account', credentials.username);
  const url = new URL(realm);
  for (const [name, value] of params) url.searchParams.append(name, value);
  return {
    method: 'GET',
    url,
    headers: credentials === undefined ? {} : { authorization: basic(credentials) },
    followRedirects: false,
    signal,
  };
}

/** `Basic` with the exact bytes of name and password. Source: RFC 7617. */
export function basic({ username, password }: Credentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`, 'utf8').toString('base64')}`;
}

function readToken(text: string, started: number, { operation, realm, scopes }: TokenRequest): Token {
  const answer = parseAnswer(text);
  const refuse = (why: string): RegistryError => protocolError(operation.act, `the token server ${realm.host} ${why}`);
  if (answer === undefined) throw refuse("answered something that isn't JSON");
  const { token, access_token: accessToken } = answer;
  if (token !== undefined && accessToken !== undefined && token !== accessToken)
    throw refuse('answered with two different tokens');
  const value = token ?? accessToken;
  if (typeof value !== 'string' || !VISIBLE.test(value)) throw refuse(`gave no token for ${scopes.join(' ')}`);
  return { value, expires: started + lifetime(answer.expires_in) * 1000 };
}

/** Seconds. Absent, zero, negative or odd counts as a minute, as the token spec says; what `issued_at` claims is not looked at. */
function lifetime(expiresIn: unknown): number {
  const seconds = typeof expiresIn === 'number' && Number.isFinite(expiresIn) ? expiresIn : MIN_SECONDS;
  return Math.min(Math.max(seconds, MIN_SECONDS), MAX_SECONDS);
}

function parseAnswer(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
