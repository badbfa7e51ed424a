import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { isInside } from '../../engine/index.ts';

/**
 * The real path of a file or folder that a spec names: looked for beside the spec, then in the working directory, and nowhere else. A spec of a
 * pull request reads and mounts what was checked out, not what the machine has beside it; a link that leads out is no way around that.
 *
 * @param folders where it is looked for, in this order; it must lie in one of them
 * @returns undefined when it is in none
 * @throws `Error` with a sentence when it leads out of all of them
 */
export function findInWorkspace(name: string, folders: readonly string[]): string | undefined {
  const roots = folders.map(real).filter((root) => root !== undefined);
  for (const folder of new Set(folders)) {
    const path = real(resolve(folder, name));
    if (path === undefined) continue;
    if (roots.some((root) => isInside(root, path))) return path;
    throw new Error(`${name} leads out of the workspace: copy it into the workspace`);
  }
  return undefined;
}

/** As {@link findInWorkspace}, for what is mounted. @throws `Error` also when there is none */
export function findSource(source: string, folders: readonly string[]): string {
  const found = findInWorkspace(source, folders);
  if (found === undefined) throw new Error(`there is no ${source} to mount`);
  return found;
}

function real(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}
