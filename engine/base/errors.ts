import { redact } from './redact.ts';

/** What an {@link EngineError} may carry beside its code and sentence. */
export interface ErrorDetails {
  /** The next thing to type or to change, as a sentence without a final period. */
  readonly hint?: string | undefined;
  readonly cause?: unknown;
  /** Where in the Dockerfile it happened. */
  readonly location?: SourceLocation | undefined;
  /** The id of the vertex that failed. */
  readonly vertex?: string | undefined;
}

/** A place in a text file that a person wrote; lines count from 1. */
export interface SourceLocation {
  readonly file: string;
  readonly startLine: number;
  readonly endLine: number;
  /** Lines of the file around the place, with the guilty ones marked. */
  readonly excerpt?: string | undefined;
}

/**
 * The one error of the engine. Callers match on `code`, never on text.
 *
 * `code` is stable and upper snake case (`REGISTRY_UNAUTHORIZED`). The sentence says the action, a colon, and the current state:
 * "Cannot push ghcr.io/me/model:1: the registry refused the password". Userinfo and signatures in URLs are redacted here, so that no call
 * site can forget.
 */
export class EngineError extends Error {
  readonly code: string;
  readonly hint: string | undefined;
  readonly location: SourceLocation | undefined;
  readonly vertex: string | undefined;

  constructor(code: string, message: string, details: ErrorDetails = {}) {
    super(redact(message), details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'EngineError';
    this.code = code;
    this.hint = details.hint === undefined ? undefined : redact(details.hint);
    this.location = clean(details.location);
    this.vertex = details.vertex;
  }
}

/** A Dockerfile may hold a URL with a password. */
function clean(location: SourceLocation | undefined): SourceLocation | undefined {
  return location?.excerpt === undefined ? location : { ...location, excerpt: redact(location.excerpt) };
}

/** True when `error` is an {@link EngineError}, with that code if one is given. */
export function isEngineError(error: unknown, code?: string): error is EngineError {
  return error instanceof EngineError && (code === undefined || error.code === code);
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
