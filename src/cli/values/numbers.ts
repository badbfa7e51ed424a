import { UsageError } from '../usage-error.ts';

/** A whole number of 0 or more. @throws naming the value */
export function parseCount(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) throw new UsageError(`invalid number: "${text}"`);
  return value;
}
