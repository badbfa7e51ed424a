import { readIgnore, type IgnoreSources } from './ignore.ts';
import { matchesPath, type IgnorePattern } from './pattern/ignore.ts';

/** A pattern that hides every name in the root of the context. */
const EVERYTHING = /^(?:\*\*\/)*\*\*?$/;

/**
 * Whether the ignore file of a context hides what a COPY names; undefined when there is none, or when it has exceptions, with which a
 * hidden folder may hold files that are not.
 *
 * @throws `DOCKERIGNORE_INVALID`
 */
export async function readHiddenSources(
  root: string,
  sources: IgnoreSources,
): Promise<((path: string) => boolean) | undefined> {
  return createHiddenSources((await readIgnore(root, sources)).patterns);
}

/** {@link readHiddenSources} of patterns. */
export function createHiddenSources(patterns: readonly IgnorePattern[]): ((path: string) => boolean) | undefined {
  if (patterns.length === 0 || patterns.some(({ isException }) => isException)) return undefined;
  return (path) => {
    const relative = path.replace(/^\/+/, '').replace(/(.)\/$/, '$1');
    if (relative === '' || relative === '.') return patterns.some(({ text }) => EVERYTHING.test(text));
    const parts = relative.split('/');
    return parts.some((_, depth) => {
      const candidate = parts.slice(0, depth + 1).join('/');
      return patterns.some((pattern) => matchesPath(pattern, candidate));
    });
  };
}
