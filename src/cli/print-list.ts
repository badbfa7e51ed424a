import type { Context } from './context.ts';
import { formatTable } from './table.ts';
import { type Fields, goString, renderTemplate, templateHeader } from './template.ts';

/** A column of a list: its head and the field that it shows. */
export type Column = readonly [head: string, field: string];

/** Prints rows as a table, or each by `format`: `json`, a template, or `table TEMPLATE`. */
export function printList(
  { stdout }: Pick<Context, 'stdout'>,
  rows: readonly Fields[],
  { columns, format = 'table' }: { readonly columns: readonly Column[]; readonly format?: string | undefined },
): void {
  const cell = (row: Fields, field: string): string => goString(row[field] ?? '');
  if (format === 'table') {
    const cells = rows.map((row) => columns.map(([, field]) => cell(row, field)));
    stdout.write(
      formatTable(
        columns.map(([head]) => head),
        cells,
      ),
    );
  } else if (format.startsWith('table ')) {
    const template = format.slice('table '.length);
    const [head = '', ...lines] = [templateHeader(template), ...rows.map((row) => renderTemplate(template, row))];
    stdout.write(
      formatTable(
        head.split('\t'),
        lines.map((line) => line.split('\t')),
      ),
    );
  } else {
    for (const row of rows) stdout.write(`${renderTemplate(format, row)}\n`);
  }
}
