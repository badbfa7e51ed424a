import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import type { HttpRequest } from './spec.ts';
import type { Arrival } from './sse.ts';

/** An answer, read to its end. */
export interface HttpAnswer {
  readonly status: number;
  /** Names in lower case; repeated ones joined with a comma. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** Milliseconds from the request to the first byte of the answer. */
  readonly firstByteMs: number;
  readonly totalMs: number;
  /** When the pieces of the body came. */
  readonly arrivals: readonly Arrival[];
}

/** How a request may fail without a whole answer. */
export class HttpFailure extends Error {
  /** `down`: nobody listens; `timeout`: too slow; `broken`: what came is no HTTP answer, or too much of one. */
  readonly kind: 'down' | 'timeout' | 'broken';
  /** The status line, if it came. */
  readonly status: number | undefined;
  readonly milliseconds: number;

  constructor(
    kind: HttpFailure['kind'],
    message: string,
    details: { status?: number | undefined; milliseconds: number; cause?: unknown },
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'HttpFailure';
    this.kind = kind;
    this.status = details.status;
    this.milliseconds = details.milliseconds;
  }
}

/** Bounds of one request; the server is foreign. */
export interface HttpLimits {
  /** Milliseconds for all of it. */
  readonly total: number;
  /** Milliseconds without a byte. */
  readonly idle: number;
  readonly maxBody: number;
  readonly signal?: AbortSignal | undefined;
}

const MAX_HEADERS = 64 << 10;

/**
 * Sends one request on a connection of its own. No redirect is followed, no compression is asked for, nothing is retried.
 *
 * @throws {HttpFailure}, or the signal's reason
 */
export async function sendHttp(
  target: { readonly host: string; readonly port: number },
  request: HttpRequest,
  limits: HttpLimits,
): Promise<HttpAnswer> {
  limits.signal?.throwIfAborted();
  const start = performance.now();
  const deadline = AbortSignal.timeout(limits.total);
  let status: number | undefined;
  try {
    const { message, done } = await open(target, request, limits, deadline);
    status = message.statusCode;
    const firstByteMs = performance.now() - start;
    const { body, arrivals } = await readBody(message, limits.maxBody, start);
    done();
    const totalMs = performance.now() - start;
    return { status: status ?? 0, headers: joined(message), body, firstByteMs, totalMs, arrivals };
  } catch (error) {
    limits.signal?.throwIfAborted();
    if (error instanceof HttpFailure) throw error;
    throw toFailure(error, { status, milliseconds: performance.now() - start, late: deadline.aborted, limits });
  }
}

function open(
  target: { readonly host: string; readonly port: number },
  { method, path, headers, body }: HttpRequest,
  limits: HttpLimits,
  deadline: AbortSignal,
): Promise<{ readonly message: IncomingMessage; readonly done: () => void }> {
  return new Promise((resolve, reject) => {
    const agent = new Agent({ keepAlive: false });
    const signal = limits.signal ? AbortSignal.any([limits.signal, deadline]) : deadline;
    const length = body === undefined ? {} : { 'content-length': String(body.length) };
    const outgoing = httpRequest({
      ...target,
      method,
      path,
      agent,
      signal,
      maxHeaderSize: MAX_HEADERS,
      headers: { accept: '*/*', 'user-agent': 'berth-smoke-test', ...length, ...headers },
    });
    outgoing.setTimeout(limits.idle, () => outgoing.destroy(new IdleError(limits.idle)));
    outgoing.once('response', (message) => resolve({ message, done: () => agent.destroy() }));
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

class IdleError extends Error {
  constructor(milliseconds: number) {
    super(`no byte came for ${milliseconds / 1000} s`);
  }
}

/** Pieces whose time is kept; of more, the last one stands for the rest. */
const MAX_ARRIVALS = 10_000;

async function readBody(
  message: IncomingMessage,
  limit: number,
  start: number,
): Promise<Pick<HttpAnswer, 'body' | 'arrivals'>> {
  const chunks: Uint8Array[] = [];
  const arrivals: Arrival[] = [];
  let size = 0;
  for await (const chunk of message as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    if (size > limit) {
      message.destroy();
      throw new HttpFailure('broken', `the answer is over the limit of ${limit} bytes`, {
        status: message.statusCode,
        milliseconds: 0,
      });
    }
    chunks.push(chunk);
    if (arrivals.length >= MAX_ARRIVALS) arrivals.pop();
    arrivals.push({ milliseconds: performance.now() - start, bytes: size });
  }
  return { body: Buffer.concat(chunks), arrivals };
}

function joined(message: IncomingMessage): Readonly<Record<string, string>> {
  const entries = Object.entries(message.headersDistinct).map(([name, values]) => [name, (values ?? []).join(', ')]);
  return Object.fromEntries(entries) as Record<string, string>;
}

function toFailure(
  error: unknown,
  at: { status: number | undefined; milliseconds: number; late: boolean; limits: HttpLimits },
): HttpFailure {
  const details = { status: at.status, milliseconds: at.milliseconds, cause: error };
  const code = codeOf(error);
  if (at.late) return new HttpFailure('timeout', `no whole answer within ${at.limits.total / 1000} s`, details);
  if (error instanceof IdleError) return new HttpFailure('timeout', error.message, details);
  if (code === 'ECONNREFUSED') return new HttpFailure('down', 'the connection was refused', details);
  if (code === 'ECONNRESET' || code === 'EPIPE') {
    const cut =
      at.status === undefined
        ? 'the connection was closed without an answer'
        : 'the connection was closed in the middle of the answer';
    return new HttpFailure(at.status === undefined ? 'down' : 'broken', cut, details);
  }
  if (code === 'HPE_HEADER_OVERFLOW')
    return new HttpFailure('broken', `the headers are over the limit of ${MAX_HEADERS} bytes`, details);
  if (code.startsWith('HPE_')) return new HttpFailure('broken', `the answer is no HTTP: ${messageOf(error)}`, details);
  return new HttpFailure('broken', messageOf(error), details);
}

/** Node's errors may come from another realm than ours, so that `instanceof` does not know them. */
export function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
}

function messageOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'message' in error ? String(error.message) : String(error);
}
