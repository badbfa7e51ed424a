import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Mask } from './text.ts';

/** Bytes that a container's log may take on disk; what comes after is left out, and the file says so. */
const LIMIT = 64 << 20;

/** The container's output in a file, line by line as it comes, without secrets. */
export interface LogFile {
  readonly write: (line: string) => void;
  readonly close: () => void;
}

/**
 * @param path made anew, for this user alone; undefined: nothing is written
 * @param onError told once when the disk takes no more; what comes after is not written
 */
export function createLogFile(path: string | undefined, mask: Mask, onError: (error: unknown) => void): LogFile {
  if (path === undefined) return { write: () => undefined, close: () => undefined };
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const file = openSync(path, 'w', 0o600);
  let left = LIMIT;
  return {
    write: (line) => {
      if (left <= 0) return;
      const text = `${mask(line)}\n`;
      left -= Buffer.byteLength(text);
      try {
        writeSync(file, left > 0 ? text : 'The rest was left out: the log is over its limit\n');
      } catch (error) {
        left = 0;
        onError(error);
      }
    },
    close: () => closeSync(file),
  };
}
