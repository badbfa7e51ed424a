import { SyntaxMistake } from '../errors.ts';

/**
 * The comma-separated fields of a flag; a field in double quotes may hold commas, and `""` is a quote in it.
 *
 * @throws SyntaxMistake when the text is empty or a quote stands in the wrong place
 */
export function csvFields(text: string): readonly string[] {
  if (text === '') throw new SyntaxMistake('bad-value', 'the value is empty');
  const fields: string[] = [];
  for (let at = 0; at <= text.length;) {
    const { field, end } = text[at] === '"' ? quotedField(text, at) : bareField(text, at);
    fields.push(field);
    at = end + 1;
  }
  return fields;
}

function bareField(text: string, start: number): { readonly field: string; readonly end: number } {
  const comma = text.indexOf(',', start);
  const end = comma < 0 ? text.length : comma;
  const field = text.slice(start, end);
  if (field.includes('"')) throw new SyntaxMistake('bad-value', `a quote stands inside of "${field}"`);
  return { field, end };
}

function quotedField(text: string, start: number): { readonly field: string; readonly end: number } {
  const match = /"((?:[^"]|"")*)"(?=,|$)/y;
  match.lastIndex = start;
  const found = match.exec(text);
  if (!found) throw new SyntaxMistake('bad-value', `a quote has no partner in "${text}"`);
  return { field: (found[1] ?? '').replaceAll('""', '"'), end: start + found[0].length };
}
