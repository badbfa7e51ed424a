import { OperandsError } from '../usage-error.ts';

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds of a Go duration such as `1h30m` or `10s`; undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) return undefined;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  return parts.reduce((sum, [, number, unit = '']) => sum + Number(number) * (UNITS[unit] ?? 0), 0);
}

/** A moment of `--since`: RFC 3339, a date, seconds since 1970, or a duration before `now`. Milliseconds since 1970. */
export function parseMoment(text: string, now: number): number {
  const before = parseDuration(text);
  if (before !== undefined) return now - before;
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  const at = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : NaN;
  if (Number.isNaN(at))
    throw new OperandsError(
      `invalid time: "${text}": wanted 2026-01-31T10:00:00Z, seconds since 1970, or a duration such as 10m`,
    );
  return at;
}
