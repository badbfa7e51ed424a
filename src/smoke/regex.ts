import { Script } from 'node:vm';
import { codeOf } from './http.ts';

/** Milliseconds that one match may take. */
const LIMIT = 500;
const script = new Script('new RegExp(source, flags).test(text)');

/** A match that was stopped: the pattern backtracks on this text. */
export class SlowRegexError extends Error {
  constructor(source: string) {
    super(`the regular expression /${source}/ took more than ${LIMIT} ms`);
    this.name = 'SlowRegexError';
  }
}

/**
 * Whether `text` holds a match of `source`, in bounded time: the text comes from a container, and `(a+)+$` on it would hang the job.
 *
 * @throws {SlowRegexError} when time is up; `SyntaxError` when the pattern is none
 */
export function testRegex(source: string, text: string, flags = 'u'): boolean {
  try {
    return script.runInNewContext({ source, flags, text }, { timeout: LIMIT }) === true;
  } catch (error) {
    if (codeOf(error) === 'ERR_SCRIPT_EXECUTION_TIMEOUT') {
      throw new SlowRegexError(source);
    }
    throw error;
  }
}

/** Why `source` is no regular expression; undefined when it is one. */
export function regexProblem(source: string): string | undefined {
  try {
    new RegExp(source, 'u');
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
