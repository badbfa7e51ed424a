import type { AnyCommand } from './command.ts';
import type { Flag } from './flags.ts';

/** Columns of the window that help is written into. */
interface Window {
  readonly stdout: { readonly columns: number };
}

/** Help of one command, from the table that parses its flags. */
export function helpOf(command: AnyCommand, path: string, { stdout }: Window): string {
  const { docs, operands, flags } = command;
  const rows = Object.values(flags).map((flag): Row => [labelOf(flag), flag.docs]);
  const usage = `Usage:  berth ${path} ${rows.length > 0 ? '[OPTIONS] ' : ''}${operands}`.trimEnd();
  return sections([usage, docs, rows.length > 0 ? `Options:\n${table(rows, stdout.columns)}` : '']);
}

/** Help of a group, or of `berth` itself: its commands, each with a line. */
export function listHelp(
  { usage, docs, more }: { readonly usage: string; readonly docs: string; readonly more?: string },
  lists: Readonly<Record<string, readonly Row[]>>,
  { stdout }: Window,
): string {
  const tables = Object.entries(lists)
    .filter(([, rows]) => rows.length > 0)
    .map(([title, rows]) => `${title}:\n${table(rows, stdout.columns)}`);
  return sections([`Usage:  ${usage}`, docs, ...tables, more ?? '']);
}

/** A word and what it means. */
export type Row = readonly [label: string, docs: string];

/** Widest label that text is still put beside. */
const WIDEST = 34;

function labelOf({ short, long, value }: Flag<unknown>): string {
  return `${short ? `-${short}, ` : '    '}--${long}${value === undefined ? '' : ` ${value}`}`;
}

function table(rows: readonly Row[], columns: number): string {
  const width = Math.min(WIDEST, Math.max(...rows.map(([label]) => label.length)));
  return rows
    .map(([label, docs]) => {
      const [first = '', ...rest] = wrap(docs, Math.max(20, columns - width - 5));
      const indent = ' '.repeat(width + 5);
      const head = label.length > width ? `  ${label}\n${indent}${first}` : `  ${label.padEnd(width)}   ${first}`;
      return [head, ...rest.map((line) => indent + line)].map((line) => line.trimEnd()).join('\n');
    })
    .join('\n');
}

function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

function sections(parts: readonly string[]): string {
  return `${parts.filter(Boolean).join('\n\n')}\n`;
}
