/** The command line itself is wrong: exit code 125 and nothing was done. */
export class UsageError extends Error {
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.name = 'UsageError';
    this.hint = hint;
  }
}

/** A place on this machine that a flag names is not there: 127 for `run`, as Docker, else 1. */
export class MissingPathError extends UsageError {}

/** Too few or too many operands, a command or filter that is not known, no terminal for `-it`: Docker's exit code is 1 then. */
export class OperandsError extends UsageError {}
