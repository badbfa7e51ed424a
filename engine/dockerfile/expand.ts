import type { Escape } from './ast.ts';
import { SyntaxMistake } from './errors.ts';
import { createExpansion, type Allowance, type Expansion } from './expansion.ts';

/** All values that a file's words may take in: more than any file has, and little enough to hold. */
const MAX_VALUES = 8 * 1024 * 1024;

/** Value of a variable; undefined when it is not set. */
export type Lookup = (name: string) => string | undefined;

/** How words are processed beside expansion. */
export interface ExpandOptions {
  /** Keep quotes. */
  readonly rawQuotes?: boolean | undefined;
  /** Keep escape characters. */
  readonly rawEscapes?: boolean | undefined;
  /** Leave variables that are not set as they are written. */
  readonly skipUnset?: boolean | undefined;
  /** Quotes are text: for here-documents. */
  readonly skipQuotes?: boolean | undefined;
}

/** What came of a text, and which variables were asked for. */
export interface Expanded {
  /** The text as one word. */
  readonly text: string;
  /** The text split at unquoted white space, also at that of variables. */
  readonly words: readonly string[];
  readonly matched: ReadonlySet<string>;
  readonly unmatched: ReadonlySet<string>;
}

/** Expands the words of one Dockerfile. */
export interface Expander {
  /**
   * The value of a word: quotes and escapes processed, `$name` and all forms of `${…}` replaced.
   *
   * @throws SyntaxMistake for unmatched quotes, bad substitutions, `${name:?message}`, and nesting that is too deep
   */
  word(text: string, lookup: Lookup): string;
  /** As {@link Expander.word}, with the words and the names. */
  words(text: string, lookup: Lookup): Expanded;
}

/** An {@link Expander} for files with that escape character. */
export function createExpander(escape: Escape, options: ExpandOptions = {}): Expander {
  const allowance: Allowance = { left: MAX_VALUES };
  const run = (text: string, lookup: Lookup): Expansion =>
    createExpansion(text, lookup, { escape, allowance, ...options });
  return {
    word: (text, lookup) => guarded(text, () => run(text, lookup).expand().text),
    words: (text, lookup) => guarded(text, () => run(text, lookup).expand()),
  };
}

/** A lookup in a `NAME=value` list; the last entry wins, a name without `=` is set to nothing. */
export function lookupIn(list: readonly string[]): Lookup {
  const values = new Map(list.map((entry) => splitEntry(entry)));
  return (name) => values.get(name);
}

/** Name and value of `NAME=value`. */
export function splitEntry(entry: string): readonly [string, string] {
  const equals = entry.indexOf('=');
  return equals < 0 ? [entry, ''] : [entry.slice(0, equals), entry.slice(equals + 1)];
}

function guarded<T>(text: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof SyntaxMistake)) throw error;
    const whole = text.trimEnd().replaceAll('\n', '\\n');
    const shown = whole.length > 200 ? `${whole.slice(0, 200)}…` : whole;
    throw new SyntaxMistake(error.kind, `${error.message} in "${shown}"`, error.hint);
  }
}
