import { join } from 'node:path';
import { EngineError } from '../base/errors.ts';
import { escapeControl } from '../base/escape.ts';
import { readIgnoreLines } from './ignorefile.ts';
import { compilePatterns, type IgnorePattern } from './pattern/ignore.ts';
import { createIgnoreMatcher, type IgnoreMatcher } from './pattern/matcher.ts';
import { readRegularFile } from './regular.ts';

const MAX_SIZE = 4 * 1024 * 1024;

/** Where an ignore file may lie. */
export interface IgnoreSources {
  readonly dockerfile?: string | undefined;
  /** Null: no ignore file counts. */
  readonly ignoreFile?: string | null | undefined;
}

/** What hides files of the context. */
export interface Ignore {
  readonly matcher: IgnoreMatcher;
  readonly patterns: readonly IgnorePattern[];
  /** The file that the patterns come from; undefined when there is none. */
  readonly path: string | undefined;
}

/**
 * The ignore rules of a context: the file that the caller names, else `<Dockerfile>.dockerignore`, else `.dockerignore` in the root.
 *
 * @throws `DOCKERIGNORE_INVALID` naming the file: a link, no regular file, unreadable, or the pattern that is none
 */
export async function readIgnore(root: string, { dockerfile, ignoreFile }: IgnoreSources): Promise<Ignore> {
  const candidates = candidatesOf(root, { dockerfile, ignoreFile });
  for (const path of candidates) {
    const bytes = await readRegularFile(path, {
      code: 'DOCKERIGNORE_INVALID',
      act: 'read the ignore file',
      limit: MAX_SIZE,
    });
    if (bytes) {
      const patterns = compile(path, bytes.toString('utf8'));
      return { path, patterns, matcher: createIgnoreMatcher(patterns) };
    }
  }
  if (typeof ignoreFile === 'string') {
    throw new EngineError('DOCKERIGNORE_INVALID', `Cannot read the ignore file ${ignoreFile}: there is none`);
  }
  return { path: undefined, patterns: [], matcher: createIgnoreMatcher([]) };
}

function candidatesOf(root: string, { dockerfile, ignoreFile }: IgnoreSources): readonly string[] {
  if (ignoreFile === null) return [];
  if (ignoreFile !== undefined) return [ignoreFile];
  const own = dockerfile === undefined ? [] : [`${dockerfile}.dockerignore`];
  return [...own, join(root, '.dockerignore')];
}

function compile(path: string, text: string): readonly IgnorePattern[] {
  const compiled = compilePatterns(readIgnoreLines(text));
  if ('patterns' in compiled) return compiled.patterns;
  const message = `Cannot use the ignore file ${path}: "${escapeControl(compiled.bad)}" is no pattern`;
  throw new EngineError('DOCKERIGNORE_INVALID', message, {
    hint: 'Put a backslash before a bracket that means itself',
  });
}
