import { UsageError } from '../usage-error.ts';

/** Whole seconds; below 0 without end. @throws naming the value */
export function parseSeconds(text: string): number {
  return text.startsWith('-') ? -parseCount(text.slice(1)) : parseCount(text);
}

/** A whole number of 0 or more. @throws naming the value */
export function parseCount(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) throw new UsageError(`invalid number: "${text}"`);
  return value;
}
