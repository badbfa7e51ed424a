import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Makes a folder and those above it that are missing, each with `mode`, one after the other: Node's own way never ends where a folder says
 * that what is made in it is not there, as /proc does, and it says that of a file system that is read-only.
 *
 * @throws the error of the disk, of the first folder that could not be made
 */
export async function makeFolders(path: string, mode = 0o777): Promise<void> {
  if (await made(path, mode)) return;
  const parent = dirname(path);
  if (parent !== path) await makeFolders(parent, mode);
  if (!(await made(path, mode))) await mkdir(path, { mode });
}

/** Whether the folder is there now; false where the one above it is missing. */
async function made(path: string, mode: number): Promise<boolean> {
  try {
    await mkdir(path, { mode });
    return true;
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT') return false;
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return true;
    throw error;
  }
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}
