import { EngineError, type ErrorDetails } from '../base/errors.ts';

/** A RUN that did not end well. `code` is `RUN_FAILED`. */
export class StepError extends EngineError {
  /** 128 + n when signal n ended it. */
  readonly exitCode: number;
  /** The last lines that the step printed, oldest first; as it printed them. */
  readonly log: readonly string[];
  /** Id of an image without name that holds the state before the step. */
  readonly stateImage: string | undefined;

  constructor(
    message: string,
    outcome: { readonly exitCode: number; readonly log: readonly string[]; readonly stateImage?: string | undefined },
    details: ErrorDetails,
  ) {
    super('RUN_FAILED', message, details);
    this.name = 'StepError';
    this.exitCode = outcome.exitCode;
    this.log = outcome.log;
    this.stateImage = outcome.stateImage;
  }
}
