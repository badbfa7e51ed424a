import { closeSync, constants, fstatSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

/** The largest file that is read. */
const MAX_FILE = 256 * 1024;

/**
 * What an earlier command wrote with {@link writeKept}: undefined for a file that is not there, that does not parse, that somebody else owns
 * or that others may read or write.
 */
export function readKept(path: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const { uid, mode, size } = fstatSync(file);
      if (uid !== process.getuid?.() || (mode & 0o170077) !== 0o100000 || size > MAX_FILE) return undefined;
      const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
      // Type: an object that is no array has names, and what they hold is unknown.
      return typeof value === 'object' && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
    } finally {
      closeSync(file);
    }
  } catch {
    return undefined;
  }
}

/**
 * Writes a file for {@link readKept} anew, whoever made the old one. Half of it does not parse, so that nothing has to be synced or renamed; a
 * folder that cannot be written to is no fault here: what needs it says so.
 */
export function writeKept(path: string, value: object): void {
  try {
    rmSync(path, { force: true });
    writeFileSync(path, JSON.stringify(value), { flag: 'wx', mode: 0o600 });
  } catch {
    // It is found out again.
  }
}

/** Removes it, where it is there. */
export function removeKept(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // A folder that cannot be written to keeps it until its time is over.
  }
}
