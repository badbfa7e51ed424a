import { posix } from 'node:path';
import { expect, test } from '@jest/globals';
import { readIgnoreLines } from '../../../engine/context/ignorefile.ts';
import { compilePatterns, matchesPath, type IgnorePattern } from '../../../engine/context/pattern/ignore.ts';
import {
  createIgnoreMatcher,
  type IgnoreMatcher,
  type ParentMatches,
} from '../../../engine/context/pattern/matcher.ts';
import type { Token } from '../../../engine/context/pattern/tokens.ts';
import { describeVectors, readVectors } from '../../helpers/vectors.ts';

describeVectors('dockerignore', () => {
  interface MatchCase {
    readonly table: string;
    readonly patterns: readonly string[];
    readonly path: string;
    readonly or_parent?: boolean;
    readonly walk?: boolean;
    readonly error?: string;
  }
  const matches = readVectors<{ cases: MatchCase[] }>('dockerignore/matches.json');
  test.each(matches.cases)('$table: $patterns on $path', ({ patterns, path, or_parent, walk, error }) => {
    const compiled = compilePatterns(patterns);
    expect('bad' in compiled).toBe(error !== undefined);
    if ('bad' in compiled) return;
    const cleaned = posix.normalize(path).replace(/(.)\/$/, '$1');
    expect(verdictOfWalk(createIgnoreMatcher(compiled.patterns), cleaned)).toBe(walk);
    expect(verdictOfAll(compiled.patterns, cleaned)).toBe(or_parent);
  });

  interface PatternCases {
    readonly clean: readonly {
      patterns: string[];
      cleaned?: { pattern: string; exclusion: boolean }[];
      has_exclusions?: boolean;
    }[];
    readonly compile: readonly { pattern: string; kind: 'exact' | 'prefix' | 'suffix' | 'regexp'; regexp?: string }[];
  }
  const patterns = readVectors<PatternCases>('dockerignore/patterns.json');
  test.each(patterns.clean)('clean $patterns', ({ patterns: lines, cleaned, has_exclusions }) => {
    const compiled = compilePatterns(lines);
    if ('bad' in compiled) {
      expect(cleaned).toBeUndefined();
      return;
    }
    expect(compiled.patterns.map(({ text, isException }) => ({ pattern: text, exclusion: isException }))).toEqual(
      cleaned,
    );
    expect(compiled.patterns.some(({ isException }) => isException)).toBe(has_exclusions);
  });
  test.each(patterns.compile)('compile $pattern as $kind', ({ pattern, kind, regexp }) => {
    const compiled = compilePatterns([pattern]);
    const [only] = 'patterns' in compiled ? compiled.patterns : [];
    expect(only?.kind).toBe(kind === 'regexp' ? 'general' : kind);
    if (regexp !== undefined) expect(asRegularExpression(only?.tokens ?? [])).toBe(regexp);
  });

  const files = readVectors<{ cases: { file: string; patterns: string[] }[] }>('dockerignore/ignore-files.json');
  test.each(files.cases)('lines of $file', ({ file, patterns: wanted }) => {
    expect(readIgnoreLines(file)).toEqual(wanted);
  });

  const contexts = readVectors<{
    files: string[];
    cases: { name: string; dockerignore: string; excluded?: string[]; error?: string }[];
  }>('dockerignore/contexts.json');
  test.each(contexts.cases)('context: $name', ({ dockerignore, excluded, error }) => {
    const compiled = compilePatterns(readIgnoreLines(dockerignore));
    expect('bad' in compiled).toBe(error !== undefined);
    if ('bad' in compiled) return;
    const matcher = createIgnoreMatcher(compiled.patterns);
    expect(contexts.files.filter((path) => verdictOfWalk(matcher, path))).toEqual(excluded);
  });
});

/** The verdict as a walk comes to it: each directory's result is handed down. */
function verdictOfWalk(matcher: IgnoreMatcher, path: string): boolean {
  let parent: ParentMatches | undefined;
  let isIgnored = false;
  const parts = path === '/' ? ['/'] : path.split('/');
  for (let depth = 1; depth <= parts.length; depth += 1) {
    const verdict = matcher.verdict(parts.slice(0, depth).join('/'), parent);
    ({ isIgnored, matches: parent } = verdict);
  }
  return isIgnored;
}

/** The verdict from the path and all its parents at once. */
function verdictOfAll(patterns: readonly IgnorePattern[], path: string): boolean {
  const parts = path === '/' ? ['/'] : path.split('/');
  const paths = parts.map((_, depth) => parts.slice(0, depth + 1).join('/'));
  return patterns.reduce((before, pattern) => {
    return paths.some((candidate) => matchesPath(pattern, candidate)) ? !pattern.isException : before;
  }, false);
}

function asRegularExpression(tokens: readonly Token[]): string {
  const parts = tokens.map((token) => {
    switch (token.type) {
      case 'star':
        return '[^/]*';
      case 'one':
        return '[^/]';
      case 'directories':
        return '(.*/)?';
      case 'rest':
        return '.*';
      case 'char':
        return token.char.replace(/[.+()|{}$]/, '\\$&');
      case 'class':
        return `[${token.negated ? '^' : ''}${token.ranges.map(([low, high]) => (low === high ? low : `${low}-${high}`)).join('')}]`;
    }
  });
  return `^${parts.join('')}$`;
}
