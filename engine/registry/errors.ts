import { EngineError, type ErrorDetails } from '../base/errors.ts';
import type { RegistryDiagnostic } from './types.ts';

export interface RegistryErrorDetails extends ErrorDetails {
  /** HTTP status; undefined when there was no answer. */
  readonly status?: number | undefined;
  readonly errors?: readonly RegistryDiagnostic[] | undefined;
  /** It may go away by itself. */
  readonly temporary?: boolean | undefined;
  /** Milliseconds that the registry asked us to wait. */
  readonly retryAfter?: number | undefined;
}

/**
 * A registry (or its token server) refused, failed or could not be reached. Codes: `REGISTRY_UNAUTHORIZED`, `REGISTRY_DENIED`,
 * `REGISTRY_NOT_FOUND` (`IMAGE_NOT_FOUND` for manifests), `REGISTRY_RATE_LIMITED`, `REGISTRY_UNAVAILABLE`, `REGISTRY_UNREACHABLE`,
 * `REGISTRY_TIMEOUT`, `REGISTRY_TLS`, `REGISTRY_REJECTED` (any other refusal), `REGISTRY_PROTOCOL` (an answer that breaks the protocol or our trust).
 */
export class RegistryError extends EngineError {
  readonly status: number | undefined;
  readonly errors: readonly RegistryDiagnostic[];
  readonly temporary: boolean;
  readonly retryAfter: number | undefined;

  constructor(code: string, message: string, details: RegistryErrorDetails = {}) {
    super(code, message, details);
    this.name = 'RegistryError';
    this.status = details.status;
    this.errors = details.errors ?? [];
    this.temporary = details.temporary ?? false;
    this.retryAfter = details.retryAfter;
  }
}

/** An answer that breaks the protocol or our trust in it. `act` completes "Cannot". */
export function protocolError(act: string, state: string, hint?: string): RegistryError {
  return new RegistryError('REGISTRY_PROTOCOL', `Cannot ${act}: ${state}`, { hint });
}

/** True for a failure that may go away by itself. */
export function isTemporary(error: unknown): boolean {
  return error instanceof RegistryError && error.temporary;
}

/** How long the registry asked us to wait, in milliseconds, and up to a tenth more, so that not all come back at once. */
export function waitFor(error: unknown): number | undefined {
  if (!(error instanceof RegistryError) || error.retryAfter === undefined) return undefined;
  return error.retryAfter * (1 + Math.random() / 10);
}

/** The same error, saying how often it was tried. */
export function afterAttempts(error: unknown, attempts: number): unknown {
  if (!(error instanceof RegistryError) || attempts < 2) return error;
  return new RegistryError(error.code, `${error.message} (after ${attempts} attempts)`, {
    hint: error.hint,
    cause: error.cause,
    status: error.status,
    errors: error.errors,
    temporary: error.temporary,
    retryAfter: error.retryAfter,
  });
}

/** A proxy that gave no way to the registry. */
export class ProxyError extends Error {
  /** False where the same would come again. */
  readonly temporary: boolean;
  /** What it answered. */
  readonly status: number | undefined;

  constructor(
    message: string,
    details: { readonly temporary: boolean; readonly status?: number | undefined; readonly cause?: unknown },
  ) {
    super(message, { cause: details.cause });
    this.name = 'ProxyError';
    this.temporary = details.temporary;
    this.status = details.status;
  }
}
