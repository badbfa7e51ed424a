import { escapeControl } from '../base/escape.ts';

const AROUND = 3;
const WIDEST = 240;

/**
 * The lines around a place with `>>>` before the guilty ones, as BuildKit prints them.
 *
 * @param around how many lines before and after
 * @returns text without a final newline; empty when the place is before the first line
 */
export function excerpt(
  text: string,
  range: { readonly startLine: number; readonly endLine: number },
  around = AROUND,
): string {
  if (range.startLine < 1) return '';
  const lines = text.split('\n');
  const first = Math.max(1, range.startLine - around);
  const last = Math.min(lines.length, range.endLine + around);
  const shown: string[] = [];
  for (let line = first; line <= last; line += 1) {
    const guilty = line >= range.startLine && line <= range.endLine;
    shown.push(`${String(line).padStart(4)} | ${guilty ? '>>>' : '   '} ${shorten(lines[line - 1] ?? '')}`);
  }
  return shown.join('\n');
}

function shorten(line: string): string {
  const clean = escapeControl(line.replace(/\r$/, ''));
  return clean.length > WIDEST ? `${clean.slice(0, WIDEST)}…` : clean;
}
