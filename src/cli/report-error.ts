import { escapeControl, isEngineError, messageOf, StepError } from '../../engine/index.ts';
import type { Writer } from './output.ts';
import { TemplateError } from './template/error.ts';
import { MissingPathError, OperandsError, UsageError } from './usage-error.ts';

/** Prints an error as a person needs it: what failed, where in the Dockerfile, what to type next. The one place that does. */
export function reportError(error: unknown, stderr: Writer): void {
  if (error instanceof StepError && error.log.length > 0) stderr.write(excerptOf(error.log));
  stderr.write(`berth: ${escapeControl(messageOf(error))}\n`);
  if (isEngineError(error) && error.location) {
    const { file, startLine, excerpt } = error.location;
    stderr.write(`${escapeControl(file)}:${startLine}\n${excerpt ? `${escapeControl(excerpt.trimEnd())}\n` : ''}`);
  }
  const hint = error instanceof UsageError || isEngineError(error) ? error.hint : undefined;
  if (hint) stderr.write(`hint: ${escapeControl(hint)}\n`);
}

/** The last words of a step that failed, framed as BuildKit does. */
function excerptOf(log: readonly string[]): string {
  return ['------', ...log.map(escapeControl), '------'].map((line) => `${line}\n`).join('');
}

/** What `run` ends with before the container's own code. */
const NOT_RUN = 125;

/** What a command line names is not on this machine. */
const MISSING = ['DEVICE_NOT_FOUND', 'SYSCTL_NOT_FOUND'];

/**
 * Docker's exit codes of errors: 127 and 126 for a command that cannot be found or started, 125 for a wrong command line, but for a template
 * that is wrong. Whatever else `run` does not find on this machine is 127 as well.
 */
export function exitCodeOf(error: unknown, fallback: number): number {
  if (error instanceof MissingPathError || MISSING.some((code) => isEngineError(error, code))) {
    return fallback === NOT_RUN ? 127 : fallback;
  }
  if (error instanceof OperandsError) return 1;
  if (error instanceof TemplateError) return fallback;
  if (error instanceof UsageError) return NOT_RUN;
  if (isEngineError(error, 'NATIVE_COMMAND_NOT_FOUND')) return 127;
  if (isEngineError(error, 'NATIVE_COMMAND_NOT_EXECUTABLE')) return 126;
  return fallback;
}
