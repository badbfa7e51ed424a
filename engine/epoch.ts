import { EngineError } from './base/errors.ts';

/** The latest second that RFC 3339 can say. */
const LAST = 253_402_300_799;

/**
 * Seconds since 1970 that SOURCE_DATE_EPOCH says; undefined where it says nothing.
 *
 * @throws `EPOCH_INVALID`; BuildKit's `context` and stage names are refused by name
 */
export function parseEpoch(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  const seconds = /^\d{1,12}$/.test(text) ? Number(text) : NaN;
  if (seconds <= LAST) return seconds;
  throw new EngineError(
    'EPOCH_INVALID',
    `Cannot use SOURCE_DATE_EPOCH=${text}: only seconds since 1970 are supported`,
    {
      hint: 'SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)',
    },
  );
}

/** {@link parseEpoch} of the build arguments alone. */
export function epochOf(buildArgs: Readonly<Record<string, string>> = {}): number | undefined {
  return parseEpoch(buildArgs['SOURCE_DATE_EPOCH']);
}

/** The second as RFC 3339. */
export function toTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
}
