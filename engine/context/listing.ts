import { keyOf } from './bytes.ts';
import type { ContextEntry } from './types.ts';

/** The entries of a context by path. */
export interface Tree {
  get(path: Buffer): ContextEntry | undefined;
  /** Whether the path is a directory; the root (empty) always is. */
  isDirectory(path: Buffer): boolean;
  /** What the directory holds, at any depth, in order, with paths relative to it. */
  below(directory: Buffer): readonly { readonly entry: ContextEntry; readonly rest: Buffer }[];
  readonly entries: readonly ContextEntry[];
}

/** A {@link Tree} over entries that are sorted by path. */
export function createTree(entries: readonly ContextEntry[]): Tree {
  const byPath = new Map(entries.map((entry) => [keyOf(entry.path), entry]));
  const get = (path: Buffer): ContextEntry | undefined => byPath.get(keyOf(path));
  return {
    get,
    entries,
    isDirectory: (path) => path.length === 0 || get(path)?.type === 'directory',
    below(directory) {
      if (directory.length === 0) return entries.map((entry) => ({ entry, rest: entry.path }));
      const prefix = Buffer.concat([directory, Buffer.from('/')]);
      const found: { entry: ContextEntry; rest: Buffer }[] = [];
      for (let at = firstAtOrAfter(entries, prefix); at < entries.length; at += 1) {
        const entry = entries[at];
        if (!entry || !startsWith(entry.path, prefix)) break;
        found.push({ entry, rest: entry.path.subarray(prefix.length) });
      }
      return found;
    },
  };
}

function startsWith(path: Buffer, prefix: Buffer): boolean {
  return path.length >= prefix.length && path.compare(prefix, 0, prefix.length, 0, prefix.length) === 0;
}

/** Binary search: what a directory holds lies together, as paths are sorted by bytes. */
function firstAtOrAfter(entries: readonly ContextEntry[], path: Buffer): number {
  let [low, high] = [0, entries.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const entry = entries[middle];
    if (entry && Buffer.compare(entry.path, path) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
