import { isAbsolute } from 'node:path';
import { UsageError } from '../usage-error.ts';

/** The path in the container, which must be absolute. `text` is the whole value, for the error. */
export function absolute(target: string, text: string): string {
  if (isAbsolute(target)) return target;
  throw new UsageError(`invalid mount '${text}': the path in the container must be absolute: ${target}`);
}

/** Permission bits in octal. */
export function toMode(value: string, name: string): number {
  if (!/^[0-7]{1,5}$/.test(value)) throw new UsageError(`invalid value for ${name}: ${value}`);
  return parseInt(value, 8);
}
