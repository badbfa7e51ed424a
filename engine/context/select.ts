import { posix } from 'node:path';
import { EngineError } from '../base/errors.ts';
import { escapeControl } from '../base/escape.ts';
import { baseName } from './bytes.ts';
import { followLinks } from './follow.ts';
import type { Tree } from './listing.ts';
import { matchTokens } from './pattern/match.ts';
import { tokenize } from './pattern/tokens.ts';
import type { Selected } from './types.ts';

/** How {@link selectFrom} behaves. */
export interface SelectOptions {
  readonly destIsDirectory: boolean;
  /** What to say about a source that is not there. */
  readonly missing: (source: string) => EngineError;
}

/**
 * What the sources of one COPY take: files by name, directories by what they hold, Go `filepath.Match` patterns. A pattern may match
 * nothing beside a source that does, as in BuildKit; `..` stops at the root.
 *
 * @throws what `missing` makes; `COPY_PATTERN_INVALID`
 */
export function selectFrom(
  tree: Tree,
  sources: readonly string[],
  { destIsDirectory, missing }: SelectOptions,
): readonly Selected[] {
  const matched = sources.map((source) => ({ source, paths: pathsOf(tree, source) }));
  const isDirectory = destIsDirectory || matched.reduce((sum, { paths }) => sum + paths.length, 0) > 1;
  for (const { source, paths } of matched) {
    if (paths.length === 0 && !hasWildcard(source)) throw missing(source);
  }
  if (matched.every(({ paths }) => paths.length === 0)) throw missing(sources.join(' '));
  return matched.flatMap(({ source, paths }) =>
    paths.flatMap((path) => {
      const selected = selectOne(tree, path, isDirectory);
      if (!selected) throw missing(source);
      return selected;
    }),
  );
}

/** Paths that a source names, links not yet followed. */
function pathsOf(tree: Tree, source: string): readonly Buffer[] {
  const clean = posix.resolve('/', source).slice(1);
  if (!hasWildcard(clean)) {
    const path = Buffer.from(clean);
    return followLinks(tree, path) === undefined ? [] : [path];
  }
  const tokens = tokenize(clean, { doubleStar: false });
  if (!tokens) {
    const message = `Cannot copy "${escapeControl(source)}": it is no pattern`;
    throw new EngineError('COPY_PATTERN_INVALID', message, {
      hint: 'Write [[] for a bracket that means itself',
    });
  }
  return tree.entries
    .filter(({ path }) => matchTokens(tokens, path.toString('utf8')) === 'whole')
    .map(({ path }) => path);
}

/** A directory is its content; its own entry stands for the destination, but for that of the whole context. */
function selectOne(tree: Tree, path: Buffer, isDirectory: boolean): readonly Selected[] | undefined {
  const real = followLinks(tree, path);
  if (!real) return undefined;
  const entry = tree.get(real);
  if (!tree.isDirectory(real)) return entry && [{ entry, dest: isDirectory ? baseName(path) : Buffer.alloc(0) }];
  const own: readonly Selected[] = entry ? [{ entry, dest: Buffer.alloc(0) }] : [];
  return [...own, ...tree.below(real).map(({ entry: below, rest }) => ({ entry: below, dest: rest }))];
}

function hasWildcard(source: string): boolean {
  return /^(?:[^\\*?[]|\\.)*[*?[]/s.test(source);
}
