import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import { collect } from '../base/collect.ts';
import { retry } from '../base/retry.ts';
import { type Authorization, type Authorizer, createAuthorizer, type Scope } from './auth.ts';
import { afterAttempts, isTemporary, RegistryError, waitFor } from './errors.ts';
import { type Operation, refusalError } from './failure.ts';
import { isSameOrigin } from './host.ts';
import { paced } from './pace.ts';
import { discard, type HttpRequest, type HttpResponse, type Transport } from './transport.ts';
import type { CredentialSource, Endpoint, Timing } from './types.ts';

/** Talks to one endpoint: finds its scheme, authenticates, retries, and turns refusals into errors. */
export interface Client {
  readonly endpoint: Endpoint;
  readonly timing: Timing;
  /** `/v2/<path>` at the endpoint. */
  url(operation: Operation, path: string, signal?: AbortSignal): Promise<URL>;
  /** @throws {@link RegistryError} when the answer has another status than the expected ones, after all attempts */
  send(operation: Operation, call: Call): Promise<Answer>;
  /** Like `send`, with the whole body; a body that breaks off is asked for again. @throws also `TOO_LARGE` naming `what` */
  read(operation: Operation, call: Call, what: string, limit: number): Promise<Answer & { readonly content: Buffer }>;
}

export interface Call extends Omit<HttpRequest, 'url'> {
  /** Path below `/v2/`, or a URL that the registry gave. */
  readonly target: string | URL;
  readonly scopes: readonly Scope[];
  readonly expect: readonly number[];
  /** Attempts at most; default 5. */
  readonly attempts?: number | undefined;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Readable;
  readonly url: URL;
}

export interface ClientOptions {
  readonly credentials?: CredentialSource | undefined;
  readonly onSecret?: ((value: string) => void) | undefined;
  readonly timing: Timing;
  /** Receives every `Warning` header. */
  readonly onWarning: (host: string, header: string) => void;
}

export function createClient(transport: Transport, endpoint: Endpoint, options: ClientOptions): Client {
  const { timing } = options;
  let connection: Promise<{ readonly origin: URL; readonly authorizer: Authorizer }> | undefined;

  const connect = async (
    operation: Operation,
    signal: AbortSignal | undefined,
  ): Promise<{ origin: URL; authorizer: Authorizer }> => {
    const origin =
      endpoint.origin === undefined
        ? await findOrigin(transport, operation, endpoint.host, signal)
        : new URL(endpoint.origin);
    return {
      origin,
      authorizer: createAuthorizer(transport, {
        origin,
        registry: endpoint.registry,
        credentials: options.credentials,
        onSecret: options.onSecret,
        timing,
      }),
    };
  };
  const connected = async (
    operation: Operation,
    signal: AbortSignal | undefined,
  ): Promise<{ origin: URL; authorizer: Authorizer }> => {
    const made = (connection ??= connect(operation, signal));
    // A registry that was down may be up for the next request.
    made.catch(() => connection === made && (connection = undefined));
    return made;
  };
  const url: Client['url'] = async (operation, path, signal) =>
    new URL(`/v2/${path}`, (await connected(operation, signal)).origin);

  const once = async (operation: Operation, call: Call): Promise<Answer> => {
    const { origin, authorizer } = await connected(operation, call.signal);
    const target = call.target instanceof URL ? call.target : new URL(`/v2/${call.target}`, origin);
    const isOurs = isSameOrigin(target, origin);
    for (let round = 0; ; round += 1) {
      const authorization = isOurs ? await authorizer.header(operation, call.scopes, call.signal) : undefined;
      const response = await transport.send(operation, {
        ...call,
        url: target,
        headers: withAuthorization(call.headers, authorization),
      });
      warn(response, options.onWarning);
      if (call.expect.includes(response.status)) return response;
      // A challenge counts only from the host that the credentials belong to.
      const mayLogIn = response.status === 401 && round < 2 && isSameOrigin(response.url, origin);
      if (!mayLogIn || !(await logIn(authorizer, operation, call, response, authorization))) {
        throw await refused(operation, endpoint, response, authorization);
      }
    }
  };

  const send: Client['send'] = async (operation, call) => {
    const act = async (): Promise<Answer> => once(operation, call);
    return withRetry(act, timing, call.signal, call.attempts);
  };

  const read: Client['read'] = async (operation, call, what, limit) => {
    const act = async (): Promise<Answer & { readonly content: Buffer }> => {
      const answer = await once(operation, call);
      return { ...answer, content: await collect(paced(answer, operation, timing, call.signal), what, limit) };
    };
    return withRetry(act, timing, call.signal, call.attempts);
  };

  return { endpoint, timing, url, send, read };
}

/**
 * Repeats `act` while its failure may go away; the last error says how often it was tried. A try that the registry itself put off (Retry-After
 * between our shortest wait and our longest) doesn't count: such a registry works, and the deadline ends it.
 */
export async function withRetry<T>(
  act: (attempt: number) => Promise<T>,
  timing: Timing,
  signal: AbortSignal | undefined,
  maxAttempts = 5,
): Promise<T> {
  let [attempts, counted] = [0, 0];
  const isPutOff = (error: unknown): boolean => {
    const wait = error instanceof RegistryError ? (error.retryAfter ?? 0) : 0;
    return wait >= timing.minRetry && wait <= timing.maxRetry;
  };
  const isRetriable = (error: unknown): boolean => {
    if (!isPutOff(error)) counted += 1;
    return isTemporary(error) && counted < maxAttempts;
  };
  const { minRetry: minTimeout, maxRetry: maxTimeout, deadline } = timing;
  const options = { maxAttempts: Infinity, minTimeout, maxTimeout, deadline, isRetriable, waitFor, signal };
  try {
    return await retry((attempt) => act((attempts = attempt)), options);
  } catch (error) {
    signal?.throwIfAborted();
    throw afterAttempts(error, attempts);
  }
}

async function logIn(
  authorizer: Authorizer,
  operation: Operation,
  call: Call,
  response: HttpResponse,
  sent: Authorization | undefined,
): Promise<boolean> {
  const header = response.headers['www-authenticate'];
  const isWorthIt = await authorizer.challenged(operation, header, call.scopes, sent);
  if (isWorthIt) await discard(response);
  return isWorthIt;
}

async function refused(
  operation: Operation,
  endpoint: Endpoint,
  response: HttpResponse,
  sent: Authorization | undefined,
): Promise<RegistryError> {
  const { status, headers, body, url } = response;
  const host = endpoint.origin !== undefined && url.origin === endpoint.origin ? endpoint.host : url.host;
  return refusalError(operation, {
    status,
    host,
    registry: endpoint.registry,
    retryAfter: headers['retry-after'],
    body,
    sentCredentials: sent?.hasCredentials === true,
  });
}

/**
 * Whether a registry that may be spoken to without TLS does so. It is asked in plain text, with no credentials: a server that wants TLS
 * answers 400 or hangs up.
 */
async function findOrigin(
  transport: Transport,
  operation: Operation,
  host: string,
  signal: AbortSignal | undefined,
): Promise<URL> {
  const plain = new URL(`http://${host}/v2/`);
  try {
    const response = await transport.send(operation, { method: 'GET', url: plain, followRedirects: false, signal });
    await discard(response);
    return response.status === 400 ? new URL(`https://${host}/`) : new URL('/', plain);
  } catch (error) {
    const hungUp = error instanceof RegistryError && error.code === 'REGISTRY_UNREACHABLE' && error.temporary;
    if (hungUp && !transport.isKnown(plain)) return new URL(`https://${host}/`);
    throw error;
  }
}

function withAuthorization(headers: Call['headers'], authorization: Authorization | undefined): Record<string, string> {
  return { ...headers, ...(authorization === undefined ? {} : { authorization: authorization.value }) };
}

function warn({ headers, url }: HttpResponse, onWarning: ClientOptions['onWarning']): void {
  const { warning } = headers as { readonly warning?: string | string[] };
  for (const line of warning === undefined ? [] : [warning].flat()) onWarning(url.host, line);
}
