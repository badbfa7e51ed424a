import { OperandsError, UsageError } from './usage-error.ts';
import { parseCount, parseSeconds } from './values/numbers.ts';

/** A flag of a command: what the user types, what help says, and how its words become a value. The one place that knows a flag. */
export interface Flag<T> {
  /** Short form without the dash. */
  readonly short?: string;
  /** Long form without the dashes. */
  readonly long: string;
  /** What stands for the value in help; undefined: a switch. */
  readonly value?: string;
  readonly docs: string;
  /** The value of all words given, in order; of none, the default. `true` and `false` are the words of a switch. */
  readonly parse: (words: readonly string[], context: FlagContext) => T;
}

/** What values may depend on beside their text. */
export interface FlagContext {
  readonly cwd: string;
  /** Variable of the caller, for `-e NAME` and `--env-file`. */
  readonly lookup: (name: string) => string | undefined;
}

/** Flags of a command by the names of their values. */
export type FlagTable = Readonly<Record<string, Flag<unknown>>>;
/** Values of a table. */
export type Values<F extends FlagTable> = { readonly [K in keyof F]: F[K] extends Flag<infer T> ? T : never };

/** `-x, --name` as a switch. `fallback` is its value when it is not given. */
export function toggle(names: string, docs: string, fallback = false): Flag<boolean> {
  return { ...split(names), docs, parse: (words) => (words.length === 0 ? fallback : words.at(-1) === 'true') };
}

/** A switch that has no value of its own when it is not given. */
export function maybe(names: string, docs: string): Flag<boolean | undefined> {
  return { ...split(names), docs, parse: (words) => (words.length === 0 ? undefined : words.at(-1) === 'true') };
}

/** A flag with one value; the last one given counts. */
export function single<T>(
  names: string,
  docs: string,
  parse: (word: string, context: FlagContext) => T,
): Flag<T | undefined> {
  const flag = split(names);
  return {
    ...flag,
    docs,
    parse: (words, context) => {
      const word = words.at(-1);
      return word === undefined ? undefined : attempt(word, flag, (text) => parse(text, context));
    },
  };
}

/** A flag that may be given several times. */
export function list<T>(
  names: string,
  docs: string,
  parse: (word: string, context: FlagContext) => T,
): Flag<readonly T[]> {
  const flag = split(names);
  return {
    ...flag,
    docs,
    parse: (words, context) => words.map((word) => attempt(word, flag, (text) => parse(text, context))),
  };
}

/**
 * A flag with one value, of which an empty one counts as none, as with Docker: what a script makes of a variable that is not set.
 */
export function orNothing<T>(flag: Flag<T>): Flag<T> {
  return {
    ...flag,
    parse: (words, context) => flag.parse(words.at(-1) === '' ? [] : words, context),
  };
}

/** {@link single} of any text. */
export function text(names: string, docs: string): Flag<string | undefined> {
  return single(names, docs, (word) => word);
}

/** {@link list} of any text. */
export function texts(names: string, docs: string): Flag<readonly string[]> {
  return list(names, docs, (word) => word);
}

/** {@link single} of a whole number. */
export function count(names: string, docs: string): Flag<number | undefined> {
  return single(names, docs, parseCount);
}

/** {@link single} of a time to wait, in seconds; below 0 without end. */
export function patience(names: string, docs: string): Flag<number | undefined> {
  return single(names, docs, parseSeconds);
}

/** {@link single} of a few words. */
export function choice<const W extends string>(names: string, docs: string, words: readonly W[]): Flag<W | undefined> {
  return single(names, `${docs} (${words.join('|')})`, (word) => {
    const found = words.find((candidate) => candidate === word);
    if (found === undefined) throw new UsageError(`wanted one of ${words.join(', ')}`);
    return found;
  });
}

/** `-p, --publish` or `--mount`, as help and errors show it. */
export function spelled({ short, long }: Pick<Flag<unknown>, 'short' | 'long'>): string {
  return short ? `-${short}, --${long}` : `--${long}`;
}

/** `-p, --publish PORTS` → its parts. */
function split(names: string): Pick<Flag<unknown>, 'short' | 'long' | 'value'> {
  const match = /^(?:-(\w), )?--([a-z][a-z0-9-]*)(?: (.+))?$/.exec(names);
  if (!match?.[2]) throw new Error(`flag table: "${names}" is not of the form "-x, --name VALUE"`);
  return { long: match[2], ...(match[1] ? { short: match[1] } : {}), ...(match[3] ? { value: match[3] } : {}) };
}

function attempt<T>(word: string, flag: Pick<Flag<unknown>, 'short' | 'long'>, parse: (word: string) => T): T {
  try {
    return parse(word);
  } catch (error) {
    if (!(error instanceof UsageError) || error.message.startsWith('Cannot ')) throw error;
    const Mistake = error instanceof OperandsError ? OperandsError : UsageError;
    throw new Mistake(`invalid argument "${word}" for "${spelled(flag)}" flag: ${error.message}`, error.hint);
  }
}
