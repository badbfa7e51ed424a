import type { Context } from './context.ts';
import { formatTable } from './table.ts';
import { type Fields, goString, parseRowTemplate } from './template/index.ts';

/** A column of a list: its head and the field that it shows. */
export type Column = readonly [head: string, field: string];

/** Prints rows as a table, or each by `format`: `json`, a template, or `table TEMPLATE`. @throws {TemplateError} */
export function printList(
  { stdout }: Pick<Context, 'stdout'>,
  rows: readonly Fields[],
  { columns, format = 'table' }: { readonly columns: readonly Column[]; readonly format?: string | undefined },
): void {
  if (format === 'table' || format === '') {
    const cells = rows.map((row) => columns.map(([, field]) => goString(row[field] ?? '')));
    const heads = columns.map(([head]) => head);
    stdout.write(formatTable(heads, cells));
  } else if (format === 'json') {
    for (const row of rows) stdout.write(`${escapeHtml(JSON.stringify(sorted(row)))}\n`);
  } else if (/^table\s/.test(format)) {
    const { render, head } = parseRowTemplate(format.slice('table'.length).trim());
    const [first = '', ...lines] = [head((field) => titleOf(field, columns)), ...rows.map(render)];
    const cells = lines.map((line) => line.split('\t'));
    stdout.write(formatTable(first.split('\t'), cells));
  } else {
    const { render } = parseRowTemplate(format);
    for (const row of rows) stdout.write(`${render(sorted(row))}\n`);
  }
}

/** Fields by their names: Docker's `json` of a row has them so. */
function sorted(row: Fields): Fields {
  return Object.fromEntries(Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** As Go's encoder writes strings, so that they may stand in a page: all of these characters are inside of strings. */
function escapeHtml(json: string): string {
  return json.replace(/[<>&]/g, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** The head of a column: as in the list's own table, else the field's name in capitals, as Docker prints it. */
function titleOf(field: string, columns: readonly Column[]): string {
  const known = columns.find(([, name]) => name === field)?.[0];
  return known ?? field.replace(/([a-z])([A-Z])/g, '$1 $2').toUpperCase();
}
