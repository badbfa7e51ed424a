/** What a list of samples comes to. */
export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly runs: number;
}

/** Median, extremes and number of samples; at least one sample is needed. */
export function summarize(samples: readonly number[]): Summary {
  const sorted = samples.toSorted((a, b) => a - b);
  const [first, last] = [sorted[0], sorted.at(-1)];
  if (first === undefined || last === undefined) throw new Error('No samples');
  const middle = (sorted.length - 1) / 2;
  const median = ((sorted[Math.floor(middle)] ?? first) + (sorted[Math.ceil(middle)] ?? last)) / 2;
  return { median, min: first, max: last, runs: samples.length };
}
