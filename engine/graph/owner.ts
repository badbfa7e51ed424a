import { SyntaxMistake } from '../dockerfile/index.ts';

/** The largest id that runc and the kernel's tools agree on. */
const HIGHEST = 2_147_483_647;

/**
 * Refuses owners that no passwd file could explain: numbers out of range, which must never be looked up as names, and more than a user
 * and a group. Names are looked up in the image when the step runs.
 *
 * @param what `USER` or `--chown`, for the message
 */
export function checkOwner(what: string, owner: string): string {
  const parts = owner.split(':');
  if (parts.length > 2)
    throw new SyntaxMistake('bad-value', `${what} ${owner} has too many parts`, 'Write user or user:group');
  for (const part of parts) {
    const isNumber = /^[+-]?\d+$/.test(part);
    if (part.includes('\0') || (isNumber && !(/^\d+$/.test(part) && Number(part) <= HIGHEST))) {
      throw new SyntaxMistake('bad-value', `${what} ${owner}: uid out of range`, `Ids are 0 to ${HIGHEST}`);
    }
  }
  return owner;
}
