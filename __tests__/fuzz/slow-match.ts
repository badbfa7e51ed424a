/**
 * Whether a pattern of an ignore file matches a path: every way is tried, one character after the other, as moby's patternmatcher describes it. For
 * patterns that are valid, and short ones.
 */
export function slowMatch(pattern: string, path: string): boolean {
  const isPlain = (text: string): boolean => !/[*?[\\]/.test(text);
  // Stars at one end alone are not read as folders.
  if (pattern.startsWith('**') && pattern !== '**' && isPlain(pattern.slice(2)) && pattern !== '**/') {
    const end = pattern.slice(2);
    return path.endsWith(end) || (end.startsWith('/') && path === end.slice(1));
  }
  if (pattern.endsWith('**') && isPlain(pattern.slice(0, -2))) return path.startsWith(pattern.slice(0, -2));
  const known = new Map<string, boolean>();
  return matchFrom({ pattern: [...pattern], path: [...path], known }, 0, 0);
}

interface Both {
  readonly pattern: readonly string[];
  readonly path: readonly string[];
  /** What came of it, by both places. */
  readonly known: Map<string, boolean>;
}

function matchFrom(both: Both, at: number, from: number): boolean {
  const place = `${at} ${from}`;
  const before = both.known.get(place);
  if (before !== undefined) return before;
  const found = matchNext(both, at, from);
  both.known.set(place, found);
  return found;
}

function matchNext(both: Both, at: number, from: number): boolean {
  const { pattern, path } = both;
  const [mark, char] = [pattern[at], path[from]];
  if (mark === undefined) return from === path.length;
  if (mark === '*' && pattern[at + 1] === '*')
    return matchFolders(both, pattern[at + 2] === '/' ? at + 3 : at + 2, from);
  if (mark === '*') {
    return matchFrom(both, at + 1, from) || (char !== undefined && char !== '/' && matchFrom(both, at, from + 1));
  }
  if (char === undefined) return false;
  if (mark === '?') return char !== '/' && matchFrom(both, at + 1, from + 1);
  if (mark === '\\') return pattern[at + 1] === char && matchFrom(both, at + 2, from + 1);
  if (mark !== '[') return mark === char && matchFrom(both, at + 1, from + 1);
  const { holds, end } = readSet(pattern, at + 1);
  return holds(char) && matchFrom(both, end, from + 1);
}

/** Two stars: all that is left where nothing follows them, else any number of folders. */
function matchFolders(both: Both, after: number, from: number): boolean {
  if (after >= both.pattern.length) return true;
  const ends = both.path.flatMap((char, index) => (index >= from && char === '/' ? [index + 1] : []));
  return [from, ...ends].some((next) => matchFrom(both, after, next));
}

function readSet(
  pattern: readonly string[],
  start: number,
): { readonly holds: (char: string) => boolean; readonly end: number } {
  const isNot = pattern[start] === '^';
  const ranges: (readonly [string, string])[] = [];
  let at = isNot ? start + 1 : start;
  const take = (): string => {
    if (pattern[at] === '\\') at += 1;
    at += 1;
    return pattern[at - 1] ?? '';
  };
  while (pattern[at] !== ']' || ranges.length === 0) {
    const low = take();
    if (pattern[at] !== '-') ranges.push([low, low]);
    else {
      at += 1;
      ranges.push([low, take()]);
    }
  }
  const code = (char: string): number => char.codePointAt(0) ?? 0;
  return {
    holds: (char) => ranges.some(([low, high]) => code(low) <= code(char) && code(char) <= code(high)) !== isNot,
    end: at + 1,
  };
}
