import { posix } from 'node:path';
import { trimSpace } from '../../base/space.ts';
import { matchTokens } from './match.ts';
import { tokenize, type Token } from './tokens.ts';

/** A pattern of an ignore file. */
export interface IgnorePattern {
  /** Cleaned, without the exclamation mark. */
  readonly text: string;
  /** `!`: what it matches is not ignored. */
  readonly isException: boolean;
  /** How it is matched: the frequent forms don't need the general way. */
  readonly kind: 'exact' | 'prefix' | 'suffix' | 'general';
  readonly tokens: readonly Token[];
}

/**
 * Compiles the lines of an ignore file.
 *
 * @returns the patterns, or the first line that is none
 */
export function compilePatterns(
  lines: readonly string[],
): { readonly patterns: readonly IgnorePattern[] } | { readonly bad: string } {
  const patterns: IgnorePattern[] = [];
  for (const line of lines) {
    const trimmed = trimSpace(line);
    if (trimmed === '') continue;
    const pattern = compilePattern(clean(trimmed));
    if (!pattern) return { bad: line };
    patterns.push(pattern);
  }
  return { patterns };
}

/** Whether the pattern matches the path itself. */
export function matchesPath({ kind, text, tokens }: IgnorePattern, path: string): boolean {
  if (kind === 'exact') return path === text;
  if (kind === 'prefix') return path.startsWith(text.slice(0, -2));
  if (kind === 'suffix') {
    const suffix = text.slice(2);
    return path.endsWith(suffix) || (suffix.startsWith('/') && path === suffix.slice(1));
  }
  return matchTokens(tokens, path) === 'whole';
}

/** Whether the pattern may match something below the directory. */
export function mayMatchBelow({ tokens }: IgnorePattern, directory: string): boolean {
  return matchTokens(tokens, `${directory}/`) !== 'none';
}

/** Go's `filepath.Clean`. */
export function clean(path: string): string {
  const normal = posix.normalize(path);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}

function compilePattern(cleaned: string): IgnorePattern | undefined {
  const isException = cleaned.startsWith('!');
  const text = isException ? cleaned.slice(1) : cleaned;
  const tokens = text === '' ? undefined : tokenize(text, { doubleStar: true });
  return tokens && { text, isException, kind: kindOf(text, tokens), tokens };
}

function kindOf(text: string, tokens: readonly Token[]): IgnorePattern['kind'] {
  const isPlain = (part: readonly Token[]): boolean =>
    part.every(({ type }) => type === 'char') && !text.includes('\\');
  const [first] = tokens;
  if (isPlain(tokens)) return 'exact';
  if (first && text.startsWith('**') && isPlain(tokens.slice(1))) return 'suffix';
  const last = tokens.at(-1);
  return last?.type === 'rest' && text.endsWith('**') && isPlain(tokens.slice(0, -1)) ? 'prefix' : 'general';
}
