/** What stands in brackets. */
export interface CharClass {
  readonly negated: boolean;
  readonly ranges: readonly (readonly [low: string, high: string])[];
}

/** Reads a class after its `[`; undefined when it isn't closed, empty, or a range is reversed or incomplete. */
export function parseClass(
  chars: readonly string[],
  start: number,
): { readonly charClass: CharClass; readonly end: number } | undefined {
  const negated = chars[start] === '^';
  const ranges: (readonly [string, string])[] = [];
  for (let at = negated ? start + 1 : start; at < chars.length;) {
    if (chars[at] === ']' && ranges.length > 0) return { charClass: { negated, ranges }, end: at + 1 };
    const low = charAt(chars, at);
    if (!low) return undefined;
    const high = chars[low.end] === '-' ? charAt(chars, low.end + 1) : low;
    if (!high || compare(low.char, high.char) > 0) return undefined;
    ranges.push([low.char, high.char]);
    at = high.end;
  }
  return undefined;
}

/** Whether the class holds the character. */
export function inClass({ negated, ranges }: CharClass, char: string): boolean {
  return ranges.some(([low, high]) => compare(low, char) <= 0 && compare(char, high) <= 0) !== negated;
}

function charAt(chars: readonly string[], at: number): { readonly char: string; readonly end: number } | undefined {
  const char = chars[at];
  if (char === undefined || char === '-' || char === ']') return undefined;
  if (char !== '\\') return { char, end: at + 1 };
  const escaped = chars[at + 1];
  return escaped === undefined ? undefined : { char: escaped, end: at + 2 };
}

function compare(a: string, b: string): number {
  return (a.codePointAt(0) ?? 0) - (b.codePointAt(0) ?? 0);
}
