import { EngineError } from '../base/errors.ts';
import type { Found } from '../native/protocol.ts';

/** A value that must not be in a layer, in one of its forms. */
export interface ForbiddenValue {
  /** Unique; what is told is `secret` and `form`. */
  readonly id: string;
  readonly value: Uint8Array;
  /** Name of the secret. */
  readonly secret: string;
  /** `as it is`, `in base64`. */
  readonly form: string;
}

/** Their ids, as a request names them. */
export function namesOf(forbidden: readonly ForbiddenValue[]): { readonly forbidden?: string[] } {
  return forbidden.length > 0 ? { forbidden: forbidden.map(({ id }) => id) } : {};
}

/** The error of a layer in which the helper found some of them. */
export function secretInLayer(found: readonly Found[], forbidden: readonly ForbiddenValue[]): EngineError {
  const places = found.map(({ path, secret }) => {
    const value = forbidden.find(({ id }) => id === secret);
    return `${path} holds the secret "${value?.secret ?? secret}" ${value?.form ?? ''}`.trimEnd();
  });
  return new EngineError('SECRET_IN_LAYER', `Cannot keep the files of this step: ${places.join(', ')}`, {
    hint: 'Remove the file in the same RUN, or read the secret from its mount; --allow-secret-in-layer keeps it all the same',
  });
}
