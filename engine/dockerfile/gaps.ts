const GAP = /[\t\v\f\r ]+/;

/** The words of an argument, split at blanks and tabs. */
export function splitAtGaps(text: string): readonly string[] {
  return text === '' ? [] : text.split(GAP);
}

/** The part before the first gap and the part after it; undefined when there is no gap. */
export function cutAtGap(text: string): readonly [string, string] | undefined {
  const gap = GAP.exec(text);
  return gap ? [text.slice(0, gap.index), text.slice(gap.index + gap[0].length)] : undefined;
}
