import { EngineError } from './base/errors.ts';

/** The latest second that RFC 3339 can say. */
const LAST = 253_402_300_799;

/** Seconds since 1970 that SOURCE_DATE_EPOCH says; undefined where it says nothing. @throws `EPOCH_INVALID` */
export function parseEpoch(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  const seconds = /^\d{1,12}$/.test(text) ? Number(text) : NaN;
  if (seconds <= LAST) return seconds;
  throw new EngineError('EPOCH_INVALID', `Cannot use SOURCE_DATE_EPOCH=${text}: it is no time that an image can have`, {
    hint: 'SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)',
  });
}

/** BuildKit's word for the time of the build context. */
export const CONTEXT_EPOCH = 'context';

/** Whether SOURCE_DATE_EPOCH says whose time is meant: the context's, or that of a stage or a named context. */
export function isEpochName(text: string): boolean {
  return text !== '' && !/^[-+]?[\d.]+$/.test(text);
}

/** Refuses build arguments whose time is none. @throws `EPOCH_INVALID` */
export function checkEpoch({ SOURCE_DATE_EPOCH: text = '' }: Readonly<Record<string, string>> = {}): void {
  if (!isEpochName(text)) parseEpoch(text);
}

/** The second as RFC 3339. */
export function toTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
}
