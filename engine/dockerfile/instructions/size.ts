const SIZE = /^(\d+(?:\.\d+)?) ?([kmgtp])?(?:i?b)?$/i;
const STEPS = 'kmgtp';

/** A size such as `64m` or `1.5gb` in bytes, in steps of 1024; undefined when it is none. */
export function parseSize(text: string): number | undefined {
  const match = SIZE.exec(text);
  if (!match) return undefined;
  const power = match[2] === undefined ? 0 : STEPS.indexOf(match[2].toLowerCase()) + 1;
  return Math.floor(Number(match[1]) * 1024 ** power);
}
