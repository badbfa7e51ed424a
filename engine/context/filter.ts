import { EngineError } from '../base/errors.ts';
import { escapeControl } from '../base/escape.ts';
import { keyOf } from './bytes.ts';
import { compilePatterns, type IgnorePattern } from './pattern/ignore.ts';
import { createIgnoreMatcher, type IgnoreMatcher, type ParentMatches } from './pattern/matcher.ts';
import type { ContextEntry, Selected } from './types.ts';

/** Something in a directory, with its place there. */
interface Below {
  readonly entry: ContextEntry;
  readonly rest: Buffer;
}

/** What is taken of directories: `--parents` and `--exclude`. */
export interface Filter {
  /** What is meant of a directory's content, in order, with the directories that lead there. */
  take(content: readonly Below[]): readonly Selected[];
  /** Notes that something was meant that is no directory. */
  find(): void;
  /** Whether anything was meant so far, hidden or not. */
  readonly found: boolean;
}

/** Patterns of `--exclude` and `--parents`, which are those of ignore files. @throws `COPY_PATTERN_INVALID` */
export function createMatch(patterns: readonly string[]): IgnoreMatcher {
  return createIgnoreMatcher(compile(patterns));
}

/** The patterns cleaned, for the helper. @throws `COPY_PATTERN_INVALID` */
export function cleanPatterns(patterns: readonly string[]): string[] {
  return compile(patterns).map(({ text, isException }) => `${isException ? '!' : ''}${text}`);
}

function compile(patterns: readonly string[]): readonly IgnorePattern[] {
  const compiled = compilePatterns(patterns);
  if ('patterns' in compiled) return compiled.patterns;
  throw new EngineError('COPY_PATTERN_INVALID', `Cannot copy by "${escapeControl(compiled.bad)}": it is no pattern`, {
    hint: 'Put a backslash before a bracket that means itself',
  });
}

/** A {@link Filter}; without patterns in `include` everything is meant. */
export function createFilter(include: IgnoreMatcher, exclude: IgnoreMatcher): Filter {
  let found = include.isEmpty;
  return {
    get found() {
      return found;
    },
    find: () => {
      found = true;
    },
    take(content) {
      if (include.isEmpty && exclude.isEmpty) return content.map(({ entry, rest }) => ({ entry, dest: rest }));
      const above = new Map<string, Level>();
      const taken = new Set<Selected>();
      return content.flatMap(({ entry, rest }) => {
        const parent = above.get(keyOf(directoryOf(rest)));
        const path = rest.toString('utf8');
        const wanted = include.verdict(path, parent?.wanted);
        const hidden = exclude.verdict(path, parent?.hidden);
        const isWanted = include.isEmpty || wanted.isIgnored;
        found ||= isWanted;
        const way = [...(parent?.way ?? []), { entry, dest: rest }];
        if (entry.type === 'directory') {
          above.set(keyOf(rest), { wanted: wanted.matches, hidden: hidden.matches, way });
        }
        if (!isWanted || hidden.isIgnored) return [];
        const added = way.filter((one) => !taken.has(one));
        for (const one of added) taken.add(one);
        return added;
      });
    },
  };
}

/** A directory on the way: what matched it, and the directories up to it. */
interface Level {
  readonly wanted: ParentMatches;
  readonly hidden: ParentMatches;
  readonly way: readonly Selected[];
}

function directoryOf(path: Buffer): Buffer {
  return path.subarray(0, Math.max(0, path.lastIndexOf('/')));
}
