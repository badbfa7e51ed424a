import { SyntaxMistake } from '../dockerfile/index.ts';

/** The largest id that runc and the kernel's tools agree on: of a process. */
const HIGHEST = 2_147_483_647;
/** The largest id that a file can have: the one above means "no change" to the kernel. */
const HIGHEST_OF_FILE = 4_294_967_294;

/**
 * Refuses owners that no passwd file could explain: numbers out of range, which must never be looked up as names, and more than a user
 * and a group. Names are looked up in the image when the step runs.
 *
 * @param what `USER` or `--chown`, for the message
 */
export function checkOwner(what: 'USER' | '--chown', owner: string): string {
  const highest = what === 'USER' ? HIGHEST : HIGHEST_OF_FILE;
  const parts = owner.split(':');
  if (parts.length > 2)
    throw new SyntaxMistake('bad-value', `${what} ${owner} has too many parts`, 'Write user or user:group');
  for (const part of parts) {
    const isNumber = /^[+-]?\d+$/.test(part);
    if (part.includes('\0') || (isNumber && !(/^\d+$/.test(part) && Number(part) <= highest))) {
      throw new SyntaxMistake('bad-value', `${what} ${owner}: uid out of range`, `Ids are 0 to ${highest}`);
    }
  }
  return owner;
}
