import { EngineError } from '../base/errors.ts';
import { escapeControl } from '../base/escape.ts';
import { familiarName, familiarString, parseAnyReference, type Reference } from './reference.ts';

/**
 * Whether `pattern` (Go's `path.Match`: `*`, `?`, `[a-z]`, `\x`; none of them crosses a slash) fits the familiar name, with or without tag.
 * This is `docker images --filter reference=`.
 *
 * @throws `REFERENCE_PATTERN_INVALID` for an open or empty class, a reversed range, a backslash at the end
 */
export function matchesPattern(reference: Reference, pattern: string): boolean {
  const tokens = tokensOf(pattern);
  return [familiarString(reference), familiarName(reference)].some((name) => matches(tokens, [...name]));
}

/** Texts in Docker's order: tag and digest, tag, digest, name, id, then what can't be parsed; each group by name. */
export function sortReferences(texts: readonly string[]): string[] {
  const ranked = texts.map((text) => ({ text, rank: rankOf(text) }));
  return ranked.sort((a, b) => a.rank - b.rank || compare(a.text, b.text)).map(({ text }) => text);
}

function rankOf(text: string): number {
  try {
    const reference = parseAnyReference(text);
    if ('id' in reference) return 5;
    if (reference.tag !== undefined) return reference.digest === undefined ? 2 : 1;
    return reference.digest === undefined ? 4 : 3;
  } catch {
    return 6;
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Takes one character, or any number of them but slashes. */
type Token = ((char: string) => boolean) | 'star';

const TOKEN = /\\(?<escaped>.)|\[(?<not>\^?)(?<ranges>(?:\\.|[^\]\\])+)\]|(?<mark>[*?[\\])|(?<plain>.)/gsu;
const RANGE = /(?:\\(.)|([^\\-]))(?:-(?:\\(.)|([^\\-])))?|(?<rest>.)/gsu;

function tokensOf(pattern: string): readonly Token[] {
  return [...pattern.matchAll(TOKEN)].map(({ groups = {} }): Token => {
    const { escaped, not, ranges, mark, plain } = groups;
    if (ranges !== undefined) return classOf(pattern, ranges, not === '^');
    if (mark === '*') return 'star';
    if (mark === '?') return (char) => char !== '/';
    if (mark !== undefined) throw badPattern(pattern);
    return (char) => char === (escaped ?? plain);
  });
}

function classOf(pattern: string, text: string, isNot: boolean): Token {
  const ranges = [...text.matchAll(RANGE)].map(([, escapedLow, low = escapedLow, escapedHigh, high = escapedHigh]) => {
    const [from, to] = [codeOf(low), codeOf(high ?? low)];
    if (from === undefined || to === undefined || from > to) throw badPattern(pattern);
    return { from, to };
  });
  return (char) => {
    const code = codeOf(char) ?? 0;
    return ranges.some(({ from, to }) => from <= code && code <= to) !== isNot;
  };
}

function codeOf(char: string | undefined): number | undefined {
  return char?.codePointAt(0);
}

/** Only the last star is tried again: what stands before it has its first place already. */
function matches(tokens: readonly Token[], name: readonly string[]): boolean {
  let [at, from, star, starFrom] = [0, 0, -1, 0];
  while (from < name.length || at < tokens.length) {
    const [token, char] = [tokens[at], name[from]];
    if (token === 'star') [star, starFrom, at] = [at, from, at + 1];
    else if (token && char !== undefined && token(char)) [at, from] = [at + 1, from + 1];
    else if (star >= 0 && starFrom < name.length && name[starFrom] !== '/') {
      [starFrom, at, from] = [starFrom + 1, star + 1, starFrom + 1];
    } else return false;
  }
  return true;
}

function badPattern(pattern: string): EngineError {
  return new EngineError(
    'REFERENCE_PATTERN_INVALID',
    `Cannot match '${escapeControl(pattern.slice(0, 100))}': it is no pattern`,
    {
      hint: 'Put a backslash before a character that means itself',
    },
  );
}
