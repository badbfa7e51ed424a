import { escapeControl, isEngineError, messageOf, StepError } from '../../engine/index.ts';
import type { Writer } from './output.ts';
import { TemplateError } from './template/error.ts';
import { OperandsError, UsageError } from './usage-error.ts';

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

/**
 * Docker's exit codes of errors: 127 and 126 for a command that cannot be found or started, 125 for a wrong command line, but for a template
 * that is wrong.
 */
export function exitCodeOf(error: unknown, fallback: number): number {
  if (error instanceof OperandsError) return 1;
  if (error instanceof TemplateError) return fallback;
  if (error instanceof UsageError) return 125;
  if (isEngineError(error, 'NATIVE_COMMAND_NOT_FOUND')) return 127;
  if (isEngineError(error, 'NATIVE_COMMAND_NOT_EXECUTABLE')) return 126;
  return fallback;
}
