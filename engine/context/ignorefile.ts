import { clean } from './pattern/ignore.ts';
import { trimSpace } from '../base/space.ts';

/** The patterns in the text of an ignore file: no comments, no blank lines, cleaned paths without leading slash. */
export function readIgnoreLines(text: string): readonly string[] {
  return text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .map(trimSpace)
    .filter((line) => line !== '')
    .map(normalizeLine);
}

function normalizeLine(line: string): string {
  if (!line.startsWith('!')) return normalizePath(line);
  return `!${normalizePath(trimSpace(line.slice(1)))}`;
}

function normalizePath(pattern: string): string {
  if (pattern === '') return '';
  const cleaned = clean(pattern);
  return cleaned.length > 1 && cleaned.startsWith('/') ? cleaned.slice(1) : cleaned;
}
