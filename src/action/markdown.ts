import { escapeControl } from '../../engine/index.ts';

const HTML: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '|': '&#124;',
  '`': '&#96;',
  '*': '&#42;',
  _: '&#95;',
  '[': '&#91;',
  ']': '&#93;',
  '@': '&#64;',
  '#': '&#35;',
  '\\': '&#92;',
  '!': '&#33;',
  '~': '&#126;',
};

/** Foreign text as text: no mark-up, no mention, no table border survives. */
export function escapeMarkdown(text: string): string {
  return escapeControl(text)
    .replace(/[&<>"|`*_[\]@#\\!~]/g, (c) => HTML[c] ?? c)
    .replace(/\s*\n\s*/g, ' ');
}

/** Foreign text in a cell or a line, in the code font. */
export function code(text: string): string {
  return `<code>${escapeMarkdown(text)}</code>`;
}

/** Foreign lines as they are; newlines are kept by entities, since an empty line would end the HTML block. */
export function block(text: string): string {
  const lines = escapeControl(text)
    .split('\n')
    .map((line) => line.replace(/[&<>"|`*_[\]@#\\!~]/g, (c) => HTML[c] ?? c));
  return `<pre>${lines.join('&#10;')}</pre>`;
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

export function details(title: string, body: string): string {
  return `<details><summary>${escapeMarkdown(title)}</summary>\n\n${body}\n\n</details>`;
}
