import { parseClass, type CharClass } from './class.ts';

/** One element of a path pattern. */
export type Token =
  /** `*`: anything but a slash. */
  | { readonly type: 'star' }
  /** `?`: one character but a slash. */
  | { readonly type: 'one' }
  /** `**` before more: any number of directories, also none. */
  | { readonly type: 'directories' }
  /** `**` at the end: everything. */
  | { readonly type: 'rest' }
  | { readonly type: 'char'; readonly char: string }
  | ({ readonly type: 'class' } & CharClass);

/** What `**` means: directories (ignore files) or the same as `*` (COPY, Go's `filepath.Match`). */
export interface TokenOptions {
  readonly doubleStar: boolean;
}

/**
 * The elements of a pattern; undefined when its syntax is bad: an open bracket, an empty or reversed range, a backslash at the end.
 * Source: Go's `filepath.Match` and moby's patternmatcher.
 */
export function tokenize(pattern: string, { doubleStar }: TokenOptions): readonly Token[] | undefined {
  const chars = [...pattern];
  const tokens: Token[] = [];
  for (let at = 0; at < chars.length;) {
    const next = tokenAt(chars, at, doubleStar);
    if (!next) return undefined;
    tokens.push(next.token);
    at = next.end;
  }
  return tokens;
}

interface Step {
  readonly token: Token;
  readonly end: number;
}

function tokenAt(chars: readonly string[], at: number, doubleStar: boolean): Step | undefined {
  const char = chars[at] ?? '';
  if (char === '*')
    return doubleStar && chars[at + 1] === '*' ? doubleStarAt(chars, at) : { token: { type: 'star' }, end: at + 1 };
  if (char === '?') return { token: { type: 'one' }, end: at + 1 };
  if (char === '[') {
    const found = parseClass(chars, at + 1);
    return found && { token: { type: 'class', ...found.charClass }, end: found.end };
  }
  if (char !== '\\') return { token: { type: 'char', char }, end: at + 1 };
  const escaped = chars[at + 1];
  return escaped === undefined ? undefined : { token: { type: 'char', char: escaped }, end: at + 2 };
}

/** A slash after the stars belongs to them. */
function doubleStarAt(chars: readonly string[], at: number): Step {
  const end = chars[at + 2] === '/' ? at + 3 : at + 2;
  return { token: { type: end >= chars.length ? 'rest' : 'directories' }, end };
}
