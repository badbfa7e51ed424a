import { SyntaxMistake } from '../errors.ts';

const NANOSECONDS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};
const WHOLE = /^[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/;
const PART = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g;

/**
 * A time as Go writes it (`1h2m3.5s`), in nanoseconds.
 *
 * @throws SyntaxMistake when the unit is missing or the text is no time
 */
export function parseDuration(text: string): number {
  if (/^[+-]?0$/.test(text)) return 0;
  if (!WHOLE.test(text)) {
    const hint = /^\d+$/.test(text) ? `Write ${text}s for seconds` : 'Write times as 30s, 1m30s or 500ms';
    throw new SyntaxMistake('bad-value', `"${text}" is no time`, hint);
  }
  let total = 0;
  for (const [, amount, unit] of text.matchAll(PART)) total += Number(amount) * (NANOSECONDS[unit ?? ''] ?? 0);
  return Math.round(text.startsWith('-') ? -total : total);
}

/**
 * An interval of HEALTHCHECK: nothing, zero, or at least a millisecond.
 *
 * @returns nanoseconds; 0 when it isn't given
 */
export function parseInterval(flag: string, text: string | undefined): number {
  if (text === undefined || text === '') return 0;
  const duration = parseDuration(text);
  if (duration === 0 || duration >= 1e6) return duration;
  throw new SyntaxMistake('bad-value', `--${flag}=${text} is less than 1ms`, 'Write times as 30s, 1m30s or 500ms');
}
