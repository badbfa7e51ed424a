import { SyntaxMistake } from '../errors.ts';
import { parseBool } from '../instructions/bool.ts';
import { trimSpace } from '../../base/space.ts';

/** What `# check=` or the build argument BUILDKIT_DOCKERFILE_CHECK says. */
export interface CheckOptions {
  readonly skipAll: boolean;
  /** Names of rules, as written. */
  readonly skip: readonly string[];
  readonly experimentalAll: boolean;
  readonly experimental: readonly string[];
  /** Findings end the build. */
  readonly isError: boolean;
}

/** Nothing said. */
export const NO_CHECK_OPTIONS: CheckOptions = {
  skipAll: false,
  skip: [],
  experimentalAll: false,
  experimental: [],
  isError: false,
};

const HINT = 'Write # check=skip=RuleName,OtherRule;error=true, or # check=skip=all';

/**
 * Reads `skip=A,B;experimental=all;error=true`.
 *
 * @throws SyntaxMistake naming the part that is no option
 */
export function parseCheckOptions(text: string | undefined): CheckOptions {
  if (text === undefined || text === '') return NO_CHECK_OPTIONS;
  return cut(text).reduce<CheckOptions>((options, part) => ({ ...options, ...readOption(part) }), NO_CHECK_OPTIONS);
}

/** At most three parts: the last one keeps its semicolons, as in BuildKit. */
function cut(text: string): readonly string[] {
  const parts = text.split(';');
  return parts.length <= 3 ? parts : [...parts.slice(0, 2), parts.slice(2).join(';')];
}

function readOption(part: string): Partial<CheckOptions> {
  const equals = part.indexOf('=');
  const key = trimSpace(equals < 0 ? part : part.slice(0, equals));
  const value = trimSpace(part.slice(equals + 1));
  if (equals < 0) throw unknown(key);
  if (key === 'skip') return value === 'all' ? { skipAll: true } : { skip: namesOf(value) };
  if (key === 'experimental') return value === 'all' ? { experimentalAll: true } : { experimental: namesOf(value) };
  if (key !== 'error') throw unknown(key);
  const isError = parseBool(value);
  if (isError === undefined) {
    throw new SyntaxMistake('bad-value', `the check option "error" takes true or false, not "${value}"`, HINT);
  }
  return { isError };
}

function namesOf(value: string): readonly string[] {
  return value.split(',').map(trimSpace);
}

function unknown(key: string): SyntaxMistake {
  return new SyntaxMistake('bad-value', `there is no check option "${key}"`, HINT);
}
