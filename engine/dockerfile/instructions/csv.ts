import { SyntaxMistake } from '../errors.ts';

const EXAMPLES: Readonly<Record<string, string>> = {
  mount: '--mount=type=cache,target=/path',
  device: '--device=nvidia.com/gpu',
};
const QUOTES = 'Put the whole of key=value into double quotes, and a quote in it twice';

/**
 * The comma-separated fields of a flag; a field in double quotes may hold commas, and `""` is a quote in it.
 *
 * @param flag the flag's name, for messages
 * @throws SyntaxMistake when the text is empty or a quote stands in the wrong place
 */
export function csvFields(text: string, flag: string): readonly string[] {
  if (text === '')
    throw new SyntaxMistake(
      'bad-value',
      `the value of --${flag} is empty`,
      `Write ${EXAMPLES[flag] ?? `--${flag}=value`}`,
    );
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
  if (field.includes('"')) throw new SyntaxMistake('bad-value', `a quote stands inside of "${field}"`, QUOTES);
  return { field, end };
}

function quotedField(text: string, start: number): { readonly field: string; readonly end: number } {
  const match = /"((?:[^"]|"")*)"(?=,|$)/y;
  match.lastIndex = start;
  const found = match.exec(text);
  if (!found) throw new SyntaxMistake('bad-value', `a quote has no partner in "${text}"`, QUOTES);
  return { field: (found[1] ?? '').replaceAll('""', '"'), end: start + found[0].length };
}
