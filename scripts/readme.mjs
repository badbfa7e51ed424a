// Writes the tables of inputs and outputs from action.yml between their markers; --check only compares.
import { readFile, writeFile } from 'node:fs/promises';
import { parse } from 'yaml';

const root = new URL('..', import.meta.url);
const FILES = ['README.md', 'docs/action.md'];
const check = process.argv.includes('--check');
const { inputs, outputs } = parse(await readFile(new URL('action.yml', root), 'utf8'));
const tables = {
  inputs: table(
    ['Input', 'Default', 'What it is'],
    Object.entries(inputs).map(([name, { default: value, description }]) => [
      `\`${name}\``,
      value === undefined ? '' : `\`${value}\``,
      description,
    ]),
  ),
  outputs: table(
    ['Output', 'What it is'],
    Object.entries(outputs).map(([name, { description }]) => [`\`${name}\``, description]),
  ),
};

let found = 0;
for (const file of FILES) {
  const before = await readFile(new URL(file, root), 'utf8').catch(() => '');
  const after = Object.entries(tables).reduce((text, [name, lines]) => fill(text, name, lines), before);
  if (after === before) continue;
  if (check) {
    console.error(`${file} does not say what action.yml says: run node scripts/readme.mjs`);
    process.exitCode = 1;
  } else await writeFile(new URL(file, root), after);
}
if (found === 0) {
  console.error(`No file of ${FILES.join(', ')} has the markers <!-- inputs:start --> … <!-- inputs:end -->`);
  process.exitCode = 1;
}

function fill(text, name, lines) {
  const [start, end] = [`<!-- ${name}:start -->`, `<!-- ${name}:end -->`];
  const [from, to] = [text.indexOf(start), text.indexOf(end)];
  if (from < 0 || to < from) return text;
  found += 1;
  return `${text.slice(0, from + start.length)}\n\n${lines}\n\n${text.slice(to)}`;
}

/** Columns padded as the formatter pads them, so that both agree. */
function table(head, rows) {
  const all = [head, ...rows].map((row) => row.map((cell) => cell.replaceAll('|', '\\|')));
  const widths = head.map((_, at) => Math.max(...all.map((row) => row[at].length)));
  const line = (row) => `| ${row.map((cell, at) => cell.padEnd(widths[at])).join(' | ')} |`;
  const [first, ...others] = all.map(line);
  return [first, `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...others].join('\n');
}
