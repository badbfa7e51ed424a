import { EngineError, messageOf } from '../base/errors.ts';
import type { Digest } from '../image/types.ts';

/** A layer whose only copies cannot be fetched. Code, sentence and hint are those of the failed fetch. */
export class LostLayerError extends EngineError {
  readonly diffId: Digest;

  constructor(diffId: Digest, cause: unknown) {
    const { code, hint } = cause instanceof EngineError ? cause : { code: 'LAYER_LOST', hint: undefined };
    super(code, messageOf(cause), { hint, cause });
    this.name = 'LostLayerError';
    this.diffId = diffId;
  }
}

/** The lost layer that an error, or what caused it, tells of. */
export function lostLayerOf(error: unknown): Digest | undefined {
  for (let one = error; one instanceof Error; one = one.cause) if (one instanceof LostLayerError) return one.diffId;
  return undefined;
}
