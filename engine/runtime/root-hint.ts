import type { IdMap } from '../native/protocol.ts';

/** What to type for what rung `root` alone gives: on rung `userns-full` the caller is root already, and is not told to be. */
export function rootHint(idMap: IdMap): string {
  if (idMap.kind !== 'full') return 'run berth as root, or with sudo';
  return 'it takes rung root: berth info says what stands in its way here (BERTH_ISOLATION, or the input isolation, may name another)';
}
