import { suggest } from '../../base/suggest.ts';
import type { Findings, Place } from '../../dockerfile/index.ts';
import type { StageState } from '../state.ts';

/** Arguments that are read by ARG alone. */
const NOT_IN_ENV: readonly string[] = ['BUILDKIT_SBOM_SCAN_CONTEXT', 'BUILDKIT_SBOM_SCAN_STAGE'];

/** Variables in the words of an instruction that nothing has set; an ARG without a value counts as set. */
export function lintVariables(
  findings: Findings,
  place: Place,
  { env, args }: StageState,
  unmatched: ReadonlySet<string>,
): void {
  for (const name of unmatched) {
    if (NOT_IN_ENV.includes(name) || args.some(({ key }) => key === name)) continue;
    const near = suggest(name, env.keys());
    findings.report('UndefinedVar', place, name, ...(near === undefined ? [] : [near]));
  }
}
