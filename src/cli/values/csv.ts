import { UsageError } from '../usage-error.ts';

/** The fields of one line of comma-separated values (RFC 4180); a quote may only open or close a field. */
export function parseCsv(text: string): readonly string[] {
  const fields: string[] = [];
  let at = 0;
  while (at <= text.length) {
    const [field, next] = text[at] === '"' ? quoted(text, at) : plain(text, at);
    fields.push(field);
    at = next + 1;
  }
  return fields;
}

function plain(text: string, start: number): readonly [string, number] {
  const comma = text.indexOf(',', start);
  const end = comma < 0 ? text.length : comma;
  const field = text.slice(start, end);
  if (field.includes('"'))
    throw new UsageError(`parse error on column ${text.indexOf('"', start) + 1}: bare " in non-quoted field`);
  return [field, end];
}

function quoted(text: string, start: number): readonly [string, number] {
  const match = /^"((?:[^"]|"")*)"/.exec(text.slice(start));
  const end = start + (match?.[0].length ?? 0);
  if (!match || (end < text.length && text[end] !== ',')) {
    throw new UsageError(`parse error on column ${start + 1}: extraneous or missing " in quoted field`);
  }
  return [(match[1] ?? '').replaceAll('""', '"'), end];
}
