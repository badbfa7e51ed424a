import { UsageError } from '../usage-error.ts';

const UNITS = 'kmgtp';

/** Bytes of `64m`, `1.5g`, `100000`: binary units, in any case, with or without `b` or `ib`. @throws naming the value */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?(?:e\d+)?) ?([kmgtp]?)(?:i?b)?$/i.exec(text);
  if (!match?.[1] || (/ib$/i.test(text) && !match[2])) throw new UsageError(`invalid size: '${text}'`);
  const unit = match[2] ? UNITS.indexOf(match[2].toLowerCase()) + 1 : 0;
  const bytes = Math.floor(Number(match[1]) * 1024 ** unit);
  if (!Number.isSafeInteger(bytes)) throw new UsageError(`invalid size: '${text}' is too large`);
  return bytes;
}
