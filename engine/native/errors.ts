import { EngineError } from '../base/errors.ts';
import type { Failure } from './protocol.ts';

/** A failure of the helper, with the step and the error number that it reported. `code` is `NATIVE_` and the failure's code. */
export class NativeError extends EngineError {
  readonly failure: Failure;

  constructor(action: string, failure: Failure, details: { readonly cause?: unknown } = {}) {
    const place = [failure.subject, failure.errno].filter(Boolean).join(', ');
    super(
      `NATIVE_${failure.code.replaceAll('-', '_').toUpperCase()}`,
      `Cannot ${action}: ${failure.step}: ${failure.message}${place ? ` (${place})` : ''}`,
      { ...details, hint: failure.hint },
    );
    this.name = 'NativeError';
    this.failure = failure;
  }
}
