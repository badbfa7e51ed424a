import type { ServerResponse } from 'node:http';

/** The error codes of distribution-spec, "Error Codes", with their usual status. */
const STATUS = {
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_INVALID: 400,
  BLOB_UPLOAD_UNKNOWN: 404,
  DENIED: 403,
  DIGEST_INVALID: 400,
  MANIFEST_BLOB_UNKNOWN: 400,
  MANIFEST_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  RANGE_INVALID: 416,
  SIZE_INVALID: 413,
  TOOMANYREQUESTS: 429,
  UNAUTHORIZED: 401,
  UNSUPPORTED: 405,
} as const;

export type ErrorCode = keyof typeof STATUS;

/** Ends a request with an error of the spec. */
export class Refusal extends Error {
  readonly code: ErrorCode;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ErrorCode, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.name = 'Refusal';
    this.code = code;
    this.headers = headers;
  }
}

/** Writes the refusal as the spec's JSON; other errors as a 500 without their text, which may name paths. */
export function sendError(response: ServerResponse, error: unknown, isHead: boolean): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const known = error instanceof Refusal ? error : undefined;
  const body = JSON.stringify({
    errors: [{ code: known?.code ?? 'UNKNOWN', message: known?.message ?? 'internal error', detail: {} }],
  });
  response.writeHead(known ? STATUS[known.code] : 500, {
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
    ...known?.headers,
  });
  response.end(isHead ? undefined : body);
}
