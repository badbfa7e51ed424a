import { posix } from 'node:path';
import { escapeControl } from '../base/escape.ts';
import { EngineError } from '../base/errors.ts';

/**
 * A working directory is a path from the container's root; nothing says what a relative one would begin at. Empty is the root.
 *
 * @throws `WORKDIR_NOT_ABSOLUTE`
 */
export function checkWorkdir(action: string, workdir: string): void {
  if (workdir === '' || workdir.startsWith('/')) return;
  const name = escapeControl(workdir);
  throw new EngineError(
    'WORKDIR_NOT_ABSOLUTE',
    `Cannot ${action}: the working directory '${name}' is invalid, it needs to be an absolute path`,
    { hint: `-w ${escapeControl(posix.resolve('/', workdir))}` },
  );
}
