import type { RunSpec } from '../engine.ts';
import type { Rlimit } from '../native/protocol.ts';

/**
 * Limits as the specification names them. -1, "unlimited", becomes the largest number that travels exactly: the helper takes it as
 * unlimited, and a limit of nine petabytes is none.
 */
export function toRlimits(ulimits: NonNullable<RunSpec['ulimits']>): Rlimit[] {
  const value = (limit: number): number => (limit < 0 ? Number.MAX_SAFE_INTEGER : limit);
  return ulimits.map(({ name, soft, hard }) => ({
    type: `RLIMIT_${name.toUpperCase()}`,
    soft: value(soft),
    hard: value(hard),
  }));
}
