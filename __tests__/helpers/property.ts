/** How many times the usual number of cases each property is tried with. */
const FACTOR = readFactor(process.env['BERTH_PROPERTY_RUNS']);

/**
 * The options of a property of foreign bytes: `usual` cases, or as many times more as `BERTH_PROPERTY_RUNS` says. Docs: docs/fuzzing.md.
 *
 * @param usual fast-check's own number by default
 */
export function runs(usual = 100): { readonly numRuns: number } {
  return { numRuns: usual * FACTOR };
}

function readFactor(text = '1'): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new Error(`BERTH_PROPERTY_RUNS is ${JSON.stringify(text)}: wanted a whole number from 1 on`);
}
