/** Narrowest column of a list, with the spaces after it. */
const NARROWEST = 10;

/**
 * Columns as Docker prints them: each as wide as its widest cell, and at least three spaces between them.
 *
 * @param narrowest the least width of a column, with the spaces after it
 */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  { narrowest = NARROWEST }: { readonly narrowest?: number } = {},
): string {
  const widths = header.map((title, index) => Math.max(title.length, ...rows.map((row) => (row[index] ?? '').length)));
  return [header, ...rows]
    .map((row) =>
      row
        .map((cell, index) => cell.padEnd(Math.max(narrowest, (widths[index] ?? 0) + 3)))
        .join('')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}
