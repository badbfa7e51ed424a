import { SyntaxMistake } from './errors.ts';

/** One element of a shell pattern: `*`, `?` or a character. */
export type Token =
  { readonly type: 'any' } | { readonly type: 'one' } | { readonly type: 'char'; readonly char: string };

const ESCAPABLE: readonly string[] = ['*', '?', '\\', '}', '/'];

/**
 * The elements of a shell pattern of `${name#pattern}` and its relatives. Brackets have no meaning.
 *
 * @throws SyntaxMistake when a backslash escapes anything but a special character
 */
export function shellPattern(pattern: string): readonly Token[] {
  const tokens: Token[] = [];
  const chars = [...pattern];
  for (let at = 0; at < chars.length; at += 1) {
    const char = chars[at] ?? '';
    if (char === '*') tokens.push({ type: 'any' });
    else if (char === '?') tokens.push({ type: 'one' });
    else if (char !== '\\') tokens.push({ type: 'char', char });
    else {
      at += 1;
      tokens.push({ type: 'char', char: escaped(chars[at]) });
    }
  }
  return tokens;
}

function escaped(char: string | undefined): string {
  if (char !== undefined && ESCAPABLE.includes(char)) return char;
  throw new SyntaxMistake('expansion', `the pattern holds the invalid escape "\\${char ?? ''}"`);
}

/** How much the matches of one substitution may cost, in states; a pattern and a value of a thousand characters each need a million. */
export interface Work {
  left: number;
}

/** What one substitution may cost: seconds, whatever is written. */
export function createWork(): Work {
  return { left: 10_000_000 };
}

/**
 * The ends of the matches that start at `start`: positions in `text`, rising. Time is the product of both lengths, whatever the pattern,
 * which a regular expression would not promise.
 *
 * @throws SyntaxMistake when there is no work left
 */
export function matchEnds(
  tokens: readonly Token[],
  text: readonly string[],
  start: number,
  work: Work,
): readonly number[] {
  const ends: number[] = [];
  let states = closure(new Set([0]), tokens);
  for (let at = start; states.size > 0; at += 1) {
    work.left -= states.size;
    if (work.left < 0) throw new SyntaxMistake('expansion', 'the pattern is too long for its value');
    if (states.has(tokens.length)) ends.push(at);
    const char = text[at];
    if (char === undefined) break;
    states = closure(step(states, tokens, char), tokens);
  }
  return ends;
}

function step(states: ReadonlySet<number>, tokens: readonly Token[], char: string): Set<number> {
  const next = new Set<number>();
  for (const state of states) {
    const token = tokens[state];
    if (!token) continue;
    if (token.type === 'any' && char !== '\n') next.add(state);
    if (token.type === 'one' && char !== '\n') next.add(state + 1);
    if (token.type === 'char' && token.char === char) next.add(state + 1);
  }
  return next;
}

/** A star may match nothing. */
function closure(states: Set<number>, tokens: readonly Token[]): Set<number> {
  for (const state of states) if (tokens[state]?.type === 'any') states.add(state + 1);
  return states;
}
