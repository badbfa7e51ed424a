import { matchesPath, mayMatchBelow, type IgnorePattern } from './ignore.ts';

/** Which patterns matched a directory; handed down to what it holds. */
export type ParentMatches = readonly boolean[];

/** What an ignore file says about one path. */
export interface IgnoreVerdict {
  readonly isIgnored: boolean;
  readonly matches: ParentMatches;
}

/** Decides for each path of a walk whether it is ignored. */
export interface IgnoreMatcher {
  /** There are no patterns. */
  readonly isEmpty: boolean;
  /** The verdict about a path, given that of its directory; the last pattern that matches path or directory decides. */
  verdict(path: string, parent: ParentMatches | undefined): IgnoreVerdict;
  /** Whether an exception may match below an ignored directory; if not, it need not be read. */
  mayHoldExceptions(directory: string): boolean;
}

/** An {@link IgnoreMatcher}, with the semantics of moby's patternmatcher. */
export function createIgnoreMatcher(patterns: readonly IgnorePattern[]): IgnoreMatcher {
  const exceptions = patterns.filter(({ isException }) => isException);
  return {
    isEmpty: patterns.length === 0,
    verdict(path, parent) {
      const matches: boolean[] = [];
      let isIgnored = false;
      for (const [index, pattern] of patterns.entries()) {
        // A pattern that can't change the verdict is not tried.
        const isOpen = pattern.isException === isIgnored;
        const isMatch = parent?.[index] === true || (isOpen && matchesPath(pattern, path));
        matches.push(isMatch);
        if (isMatch) isIgnored = !pattern.isException;
      }
      return { isIgnored, matches };
    },
    mayHoldExceptions: (directory) => exceptions.some((pattern) => mayMatchBelow(pattern, directory)),
  };
}
