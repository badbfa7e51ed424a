// Writes into docs/docker.md what of Docker's command line is refused by name, from the tables that the command line itself reads.
import { readFileSync, writeFileSync } from 'node:fs';
import type { AnyCommand } from '../src/cli/command.ts';
import { COMMANDS, GROUPS, REFUSED_COMMANDS } from '../src/cli/commands.ts';
import { insteadOf } from '../src/cli/instead.ts';
import { REFUSED_GLOBAL_FLAGS } from '../src/cli/program.ts';

/** The page that holds the tables. */
export const PAGE = new URL('../docs/docker.md', import.meta.url);

/** The page as it should be: what stands between its markers is made anew. */
export function withTables(page: string): string {
  return Object.entries({ commands: commandTable(), flags: flagTable() }).reduce(fill, page);
}

function commandTable(): string {
  return table(
    ['Command', 'Instead'],
    [...REFUSED_COMMANDS].sort().map((name) => [`\`${name}\``, insteadOf(name)]),
  );
}

function flagTable(): string {
  const rows = [...commandsByPath()].flatMap(([path, { refused }]) =>
    refused.map((name) => [path, spelled(name), insteadOf(path, spelled(name))] as const),
  );
  const ofAll = REFUSED_GLOBAL_FLAGS.map((name) => ['', spelled(name), insteadOf('', spelled(name))] as const);
  return table(
    ['Command', 'Flag', 'Instead'],
    [...ofAll, ...rows].map(([path, flag, instead]) => [path ? `\`${path}\`` : 'before any', `\`${flag}\``, instead]),
  );
}

/** Each command once, by its shortest path: `run`, `network connect`. */
function commandsByPath(): ReadonlyMap<string, AnyCommand> {
  const paths = new Map<AnyCommand, string>(COMMANDS.map((command) => [command, command.name]));
  for (const [group, { commands }] of Object.entries(GROUPS)) {
    for (const [word, command] of Object.entries(commands)) {
      if (!paths.has(command)) paths.set(command, `${group} ${word}`);
    }
  }
  return new Map([...paths].map(([command, path]) => [path, command]));
}

function spelled(name: string): string {
  return name.length === 1 ? `-${name}` : `--${name}`;
}

function fill(page: string, [name, lines]: readonly [string, string]): string {
  const [start, end] = [`<!-- ${name}:start -->`, `<!-- ${name}:end -->`];
  const [from, to] = [page.indexOf(start), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`docs/docker.md has no ${start} … ${end}`);
  return `${page.slice(0, from + start.length)}\n\n${lines}\n\n${page.slice(to)}`;
}

/** Columns padded as the formatter pads them, so that both agree. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows].map((row) => row.map((cell) => cell.replaceAll('|', '\\|')));
  const widths = head.map((_, at) => Math.max(...all.map((row) => (row[at] ?? '').length)));
  const [first, ...others] = all.map((row) => `| ${row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`);
  return [first, `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...others].join('\n');
}

if (process.argv[1]?.endsWith('docker-flags.ts')) writeFileSync(PAGE, withTables(readFileSync(PAGE, 'utf8')));
