import { randomBytes } from 'node:crypto';

/** A snapshot's name that cannot be taken for a layer's: those have 64 digits. */
export function newUpper(): string {
  return `upper-${randomBytes(16).toString('hex')}`;
}
