import { posix } from 'node:path';
import { EngineError } from '../base/errors.ts';
import { escapeControl } from '../base/escape.ts';
import { baseName } from './bytes.ts';
import { createFilter, createMatch, type Filter } from './filter.ts';
import { followLinks } from './follow.ts';
import type { Tree } from './listing.ts';
import { matchTokens } from './pattern/match.ts';
import type { IgnoreMatcher } from './pattern/matcher.ts';
import { tokenize } from './pattern/tokens.ts';
import type { Selected, SelectOptions } from './types.ts';

/** How {@link selectFrom} behaves. */
export interface SelectFromOptions extends SelectOptions {
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
  { destIsDirectory, include = [], exclude = [], missing }: SelectFromOptions,
): readonly Selected[] {
  const matched = sources.map((source) => ({ source, paths: pathsOf(tree, source) }));
  for (const { source, paths } of matched) {
    if (paths.length === 0 && !hasWildcard(source)) throw missing(source);
  }
  if (matched.every(({ paths }) => paths.length === 0)) throw missing(sources.join(' '));
  const hidden = createMatch(exclude);
  return matched.flatMap(({ source, paths }, at) => {
    const wanted = include[at] ?? '';
    const isWay = wanted !== '' && !hasWildcard(wanted);
    const filter = createFilter(createMatch(wanted === '' ? [] : [wanted]), hidden);
    const selected = paths.flatMap((path) => {
      const found = selectOne(tree, path, { destIsDirectory, filter, hidden, isWay });
      if (!found) throw missing(source);
      return found;
    });
    // A way without wildcards must lead somewhere.
    if (!filter.found && isWay && !hasWildcard(source)) {
      throw missing(posix.join(source, wanted));
    }
    return selected;
  });
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

/** How one source is taken. */
interface SelectOne {
  readonly destIsDirectory: boolean;
  readonly filter: Filter;
  readonly hidden: IgnoreMatcher;
  /** What is meant lies below the source: a file has nothing there. By a pattern the file itself is taken, as by BuildKit. */
  readonly isWay: boolean;
}

/** A directory is its content; its own entry stands for the destination, but for that of the whole context. */
function selectOne(
  tree: Tree,
  path: Buffer,
  { destIsDirectory, filter, hidden, isWay }: SelectOne,
): readonly Selected[] | undefined {
  const real = followLinks(tree, path);
  if (!real) return undefined;
  const entry = tree.get(real);
  if (tree.isDirectory(real)) {
    const own: readonly Selected[] = entry ? [{ entry, dest: Buffer.alloc(0) }] : [];
    return [...own, ...filter.take(tree.below(real))];
  }
  if (isWay) return [];
  const name = baseName(path);
  filter.find();
  if (!entry || hidden.verdict(name.toString('utf8'), undefined).isIgnored) return entry && [];
  const dest = destIsDirectory ? name : Buffer.concat([SLASH, name]);
  return [{ entry, dest, isSource: true }];
}

const SLASH = Buffer.from('/');

function hasWildcard(source: string): boolean {
  return /^(?:[^\\*?[]|\\.)*[*?[]/s.test(source);
}
