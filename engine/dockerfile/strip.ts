import { createWork, matchEnds, shellPattern } from './glob.ts';

/** `${value#pattern}`, with `longest` `${value##pattern}`: the value without the prefix that matches. */
export function stripPrefix(value: string, pattern: string, longest: boolean): string {
  const chars = [...value];
  const ends = matchEnds(shellPattern(pattern), chars, 0, createWork());
  const end = longest ? ends.at(-1) : ends[0];
  return end === undefined ? value : chars.slice(end).join('');
}

/** `${value%pattern}`, with `longest` `${value%%pattern}`: the value without the suffix that matches. */
export function stripSuffix(value: string, pattern: string, longest: boolean): string {
  const chars = [...value].reverse();
  const ends = matchEnds([...shellPattern(pattern)].reverse(), chars, 0, createWork());
  const end = longest ? ends.at(-1) : ends[0];
  return end === undefined ? value : chars.slice(end).reverse().join('');
}

/** `${value/pattern/replacement}`, with `all` `${value//pattern/replacement}`: the longest match at each place is replaced. */
export function replaceMatches(value: string, pattern: string, replacement: string, all: boolean): string {
  const tokens = shellPattern(pattern);
  const work = createWork();
  const chars = [...value];
  const out: string[] = [];
  let at = 0;
  let lastEnd = -1;
  let isDone = false;
  while (at <= chars.length) {
    const end = isDone ? undefined : matchEnds(tokens, chars, at, work).at(-1);
    const isEmptyAfterMatch = end === at && at === lastEnd;
    if (end !== undefined && !isEmptyAfterMatch) {
      out.push(replacement);
      lastEnd = end;
      isDone = !all;
    }
    if (end === undefined || end === at) {
      out.push(chars[at] ?? '');
      at += 1;
    } else at = end;
  }
  return out.join('');
}
