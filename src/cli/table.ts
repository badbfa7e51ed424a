/** Narrowest column, with the spaces after it. */
const NARROWEST = 10;

/** Columns as Docker prints them: each as wide as its widest cell, and at least three spaces between them. */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, index) => Math.max(title.length, ...rows.map((row) => (row[index] ?? '').length)));
  return [header, ...rows]
    .map((row) =>
      row
        .map((cell, index) => cell.padEnd(Math.max(NARROWEST, (widths[index] ?? 0) + 3)))
        .join('')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}
