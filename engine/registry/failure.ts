import { messageOf } from '../base/errors.ts';
import { escapeControl } from '../base/escape.ts';
import { ProxyError, RegistryError } from './errors.ts';
import type { RegistryDiagnostic } from './types.ts';

/** Bytes of an error's body that are read; the rest is not waited for. */
const MAX_ERROR_BODY = 1024 * 1024;
const MAX_TEXT = 1000;
const TEMPORARY = new Set([408, 425, 429, 500, 502, 503, 504]);
/** The client was closed; nothing that is tried again will work. */
const CLOSED = new Set(['UND_ERR_DESTROYED', 'UND_ERR_CLOSED']);
const RESOLVING = new Set(['ENOTFOUND', 'EAI_NONAME', 'EAI_NODATA']);
const TIMEOUTS = new Set(['UND_ERR_CONNECT_TIMEOUT', 'ETIMEDOUT', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT']);
const TLS_CODE = /^(?:CERT_|ERR_TLS_|ERR_SSL_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|INVALID_CA|HOSTNAME_MISMATCH|EPROTO)/;

/** What was asked, for errors. */
export interface Operation {
  /** Completes "Cannot": `pull ghcr.io/org/app:1`. */
  readonly act: string;
  /** Whether a 404 speaks of an image. */
  readonly isImage?: boolean | undefined;
}

/** An answer that is not what was expected. */
export interface Refusal {
  readonly status: number;
  /** Who answered, for people. */
  readonly host: string;
  /** The name that credentials are kept under. */
  readonly registry: string;
  readonly retryAfter: string | undefined;
  readonly body: AsyncIterable<Uint8Array>;
  /** Whether a name and password (or a token made of them) had been sent. */
  readonly sentCredentials: boolean;
}

/** A refusal as an error with status, the registry's own words and what to do next. Reads the body. */
export async function refusalError(operation: Operation, refusal: Refusal): Promise<RegistryError> {
  // Loaded here: Node's HTTP takes as long to load as Node itself, and most commands speak to no registry.
  const { STATUS_CODES } = await import('node:http');
  const { status, host } = refusal;
  const errors = readDiagnostics(await readSome(refusal.body));
  const words = errors.map(({ code, message }) => (message === '' ? code : `${code}: ${message}`)).join('; ');
  const phrase = `${host} answered ${status} ${STATUS_CODES[status] ?? ''}`.trimEnd();
  return new RegistryError(
    codeOf(status, operation),
    `Cannot ${operation.act}: ${phrase}${words === '' ? '' : ` (${words})`}`,
    {
      status,
      errors,
      temporary: TEMPORARY.has(status),
      retryAfter: parseRetryAfter(refusal.retryAfter),
      hint: hintOf(refusal),
    },
  );
}

/**
 * A request that got no answer, or whose answer broke off.
 *
 * @param isKnown the host has answered before, so that a refused connection may be a restart
 */
export function networkError(operation: Operation, url: URL, cause: unknown, isKnown: boolean): RegistryError {
  if (cause instanceof ProxyError) return proxyFailure(operation, cause);
  const code = codeOfCause(cause);
  const host = url.host;
  if (TLS_CODE.test(code)) {
    const hint = /WRONG_VERSION|PACKET_LENGTH|EPROTO/.test(code)
      ? `If ${host} speaks plain http, list it as an insecure registry`
      : 'Name a bundle with its authority as ca-file';
    return new RegistryError(
      'REGISTRY_TLS',
      `Cannot ${operation.act}: the TLS connection to ${host} failed (${code})`,
      { cause, hint },
    );
  }
  const temporary = !CLOSED.has(code) && !RESOLVING.has(code) && (code !== 'ECONNREFUSED' || isKnown);
  return new RegistryError(
    TIMEOUTS.has(code) ? 'REGISTRY_TIMEOUT' : 'REGISTRY_UNREACHABLE',
    `Cannot ${operation.act}: ${stateOf(code, host, cause)}`,
    {
      cause,
      temporary,
      hint: hintOfNetwork(code, host),
    },
  );
}

function hintOfNetwork(code: string, host: string): string | undefined {
  if (code === 'ECONNREFUSED') return `Is the registry running at ${host}?`;
  return RESOLVING.has(code) ? `Check the name ${host}, the network and its name servers, or name a mirror` : undefined;
}

function proxyFailure(operation: Operation, cause: ProxyError): RegistryError {
  return new RegistryError('REGISTRY_UNREACHABLE', `Cannot ${operation.act}: ${cause.message}`, {
    cause,
    temporary: cause.temporary,
    hint:
      cause.status === 407
        ? 'Put name and password into its URL: http://user:password@host:port'
        : 'HTTP_PROXY and HTTPS_PROXY name the proxy, and NO_PROXY the hosts that need none',
  });
}

/** `Retry-After` in milliseconds: seconds or a date. */
export function parseRetryAfter(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  if (/^\s*\d{1,9}\s*$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now());
}

function stateOf(code: string, host: string, cause: unknown): string {
  if (code === 'ECONNREFUSED') return `the connection to ${host} was refused`;
  if (RESOLVING.has(code)) return `the host ${host} isn't known (${code})`;
  if (TIMEOUTS.has(code)) return `${host} kept silent too long (${code})`;
  const reason = code === '' ? messageOf(cause) : code === 'UND_ERR_SOCKET' ? messageOf(cause) : code;
  return `the connection to ${host} broke (${escapeControl(reason).slice(0, MAX_TEXT)})`;
}

/** The innermost code: undici and happy eyeballs wrap the reason. By its fields, since an error may come from another realm. */
export function codeOfCause(cause: unknown, depth = 0): string {
  if (typeof cause !== 'object' || cause === null || depth > 4) return '';
  const {
    code,
    cause: inner,
    errors,
  } = cause as { readonly code?: unknown; readonly cause?: unknown; readonly errors?: unknown };
  const own = typeof code === 'string' ? code : '';
  const first: unknown = Array.isArray(errors) ? errors[0] : inner;
  const isWrapper = own === '' || own === 'UND_ERR_SOCKET' || Array.isArray(errors);
  return isWrapper ? codeOfCause(first, depth + 1) || own : own;
}

function codeOf(status: number, { isImage }: Operation): string {
  if (status === 401) return 'REGISTRY_UNAUTHORIZED';
  if (status === 403) return 'REGISTRY_DENIED';
  if (status === 404) return isImage ? 'IMAGE_NOT_FOUND' : 'REGISTRY_NOT_FOUND';
  if (status === 429) return 'REGISTRY_RATE_LIMITED';
  return TEMPORARY.has(status) || status >= 500 ? 'REGISTRY_UNAVAILABLE' : 'REGISTRY_REJECTED';
}

function hintOf({ status, registry, sentCredentials }: Refusal): string | undefined {
  if (status === 429)
    return sentCredentials
      ? 'Wait, or ask the registry for a higher limit'
      : `Log in to ${registry}: known users have a higher limit`;
  if (status === 403 && sentCredentials) {
    return registry === 'ghcr.io'
      ? 'The token may not do this: give the job `permissions: packages: write`, and the package access to this repository'
      : 'The credentials were accepted and may not do this: check the rights of the account on the repository';
  }
  if (status === 401 && sentCredentials) return 'The credentials were sent and refused: check username and password';
  if (status === 401 || status === 403)
    return `No credentials were sent: run \`berth login ${registry}\`, or set username and password`;
  if (status === 404)
    return sentCredentials
      ? 'Check the name; a registry also says this of what the account may not see'
      : 'Check the name; a registry also says this of what needs a login';
  return undefined;
}

/** `{"errors":[{code,message,detail}]}`; anything else tells nothing. */
function readDiagnostics(text: string): RegistryDiagnostic[] {
  try {
    const { errors } = JSON.parse(text) as { readonly errors?: unknown };
    if (!Array.isArray(errors)) return [];
    return errors.slice(0, 10).map((error: unknown) => {
      const { code, message } = (error ?? {}) as { readonly code?: unknown; readonly message?: unknown };
      return { code: wordsOf(code) || 'UNKNOWN', message: wordsOf(message) };
    });
  } catch {
    return [];
  }
}

function wordsOf(value: unknown): string {
  return typeof value === 'string' ? escapeControl(value).replace(/\s+/g, ' ').slice(0, MAX_TEXT) : '';
}

async function readSome(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of body) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > MAX_ERROR_BODY) break;
    }
  } catch {
    // The status tells enough when the words broke off.
  }
  return Buffer.concat(chunks).toString('utf8');
}
