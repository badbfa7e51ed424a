import { blobId, readUnchanged } from './content.ts';
import { joinBytes } from './bytes.ts';
import type { WorkTree } from './git-worktree.ts';
import type { ContextEntry } from './types.ts';

/** The largest file that is read to find out whether it is what git has; a larger one keeps its own mode. */
const COMPARED = 16 * 1024 * 1024;

/** What git keeps of a mode. */
export function modeInGit(isExecutable: boolean): number {
  return isExecutable ? 0o755 : 0o644;
}

/**
 * The entry with the mode that git keeps, when git tracks the file and it is clean: the umask of the checkout tells nothing about the file. Any
 * other entry as it is (DESIGN.md 5).
 *
 * @param root of the context
 */
export function asTracked(entry: ContextEntry, root: Buffer, git: WorkTree): ContextEntry {
  const file = isPossible(entry) && git.hasFileModes ? git.find(entry) : undefined;
  if (!file || file.isExecutable !== ((entry.mode & 0o100) !== 0)) return entry;
  const isClean = git.isUntouched(entry, file) || hasContent(entry, root, { oid: file.oid, git });
  return isClean ? { ...entry, mode: modeInGit(file.isExecutable), isNormalised: true } : entry;
}

/** Whether the mode may have to change: git need not be asked about any other file. No umask sets the bits above the permissions. */
export function isPossible({ type, mode }: ContextEntry): boolean {
  return type === 'file' && mode <= 0o777 && mode !== 0o644 && mode !== 0o755;
}

/** The file was touched, or is too young to tell; git would read it now, and so does this. */
function hasContent(
  entry: ContextEntry,
  root: Buffer,
  { oid, git }: { readonly oid: string; readonly git: WorkTree },
): boolean {
  if (entry.size > COMPARED) return false;
  try {
    return blobId(readUnchanged(joinBytes(root, entry.path), entry), git.format) === oid;
  } catch {
    // Whoever copies the file tells what is wrong with it.
    return false;
  }
}
