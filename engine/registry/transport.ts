import type { IncomingHttpHeaders } from 'node:http';
import { Readable } from 'node:stream';
import { EngineError } from '../base/errors.ts';
import { type Dispatchers, loadClient } from './dispatcher.ts';
import { protocolError } from './errors.ts';
import { networkError, type Operation } from './failure.ts';
import { isLinkLocal, isLoopback, isSameOrigin } from './host.ts';
import type { Timing } from './types.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Called for each attempt. */
  readonly body?: (() => Uint8Array | AsyncIterable<Uint8Array>) | undefined;
  /** Milliseconds until the answer; default the idle time. */
  readonly answerWithin?: number | undefined;
  /** Default true, for GET and HEAD; other methods never are. */
  readonly followRedirects?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Readable;
  /** Where the answer came from, after redirects. */
  readonly url: URL;
}

/** HTTP with our rules: bounded waits, redirects by hand, errors that name the host. */
export interface Transport {
  send(operation: Operation, request: HttpRequest): Promise<HttpResponse>;
  /** Whether the host has ever answered. */
  isKnown(url: URL): boolean;
}

const MAX_REDIRECTS = 10;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** All that another host gets to see of a request. */
const HARMLESS = new Set(['accept', 'accept-encoding', 'range', 'user-agent']);

export function createTransport(dispatchers: Dispatchers, userAgent: string, timing: Timing): Transport {
  const known = new Set<string>();

  const sendOnce = async (operation: Operation, request: HttpRequest): Promise<HttpResponse> => {
    const { method, url, signal } = request;
    const body = request.body?.();
    try {
      const client = await loadClient();
      const answer = await client.request(url, {
        dispatcher: await dispatchers.for(url),
        method,
        // Bytes as they are stored: a blob is verified as it comes, and never decoded twice.
        headers: { 'user-agent': userAgent, 'accept-encoding': 'identity', ...request.headers },
        body:
          body === undefined ? null : body instanceof Uint8Array ? body : Readable.from(body, { objectMode: false }),
        // undici gives a connection up after HEAD, in case a server sends a body all the same. None of them is worth a new handshake each time.
        reset: false,
        headersTimeout: request.answerWithin ?? timing.idle,
        bodyTimeout: timing.idle,
        ...(signal === undefined ? {} : { signal }),
      });
      known.add(url.host);
      return { status: answer.statusCode, headers: answer.headers, body: answer.body, url };
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof EngineError) throw error; // The source of the body failed, not the connection.
      throw networkError(operation, url, error, known.has(url.host));
    }
  };

  const send = async (operation: Operation, request: HttpRequest): Promise<HttpResponse> => {
    let current = request;
    for (let hops = 0; ; hops += 1) {
      const response = await sendOnce(operation, current);
      const { location } = response.headers;
      const mayFollow = request.followRedirects !== false && /^(?:GET|HEAD)$/.test(request.method);
      if (!mayFollow || !REDIRECTS.has(response.status) || location === undefined) return response;
      await discard(response);
      if (hops >= MAX_REDIRECTS)
        throw protocolError(operation.act, `${request.url.host} redirected more than ${MAX_REDIRECTS} times`);
      current = redirected(operation, current, location);
    }
  };

  return { send, isKnown: (url) => known.has(url.host) };
}

/** Milliseconds that a rest which nobody wants may take. */
const DISCARD_WITHIN = 3_000;

/** Reads a small rest so that the connection can be used again; gives it up when there is more, or when it takes long. */
export async function discard({ body }: HttpResponse): Promise<void> {
  body.on('error', () => undefined);
  const timer = setTimeout(() => body.destroy(), DISCARD_WITHIN).unref();
  let size = 0;
  try {
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      size += chunk.length;
      if (size > 65_536) break;
    }
  } catch {
    // Nobody wants the bytes.
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The request at the place that a registry sent us to. Credentials are bound to scheme, host and port, so that another place gets none of our
 * headers but the harmless ones. Source: distribution-spec, "Pulling blobs": Authorization MUST NOT be forwarded.
 */
function redirected(operation: Operation, request: HttpRequest, location: string): HttpRequest {
  const from = request.url;
  if (!URL.canParse(location, from.href))
    throw protocolError(operation.act, `${from.host} redirected to what isn't a URL`);
  const url = new URL(location, from.href);
  const refuse = (why: string): Error =>
    protocolError(operation.act, `${from.host} redirected to ${url.protocol}//${url.host}: ${why}`);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw refuse('only http(s) is followed');
  if (from.protocol === 'https:' && url.protocol === 'http:') throw refuse('TLS is never left');
  if (url.username !== '' || url.password !== '') throw refuse('a redirect may not carry credentials');
  if (isLinkLocal(url.hostname)) throw refuse('that is a link-local address');
  if (isLoopback(url.hostname) && !isLoopback(from.hostname)) throw refuse('that is this machine');
  if (isSameOrigin(from, url)) return { ...request, url };
  const headers = Object.fromEntries(
    Object.entries(request.headers ?? {}).filter(([name]) => HARMLESS.has(name.toLowerCase())),
  );
  return { ...request, url, headers };
}
