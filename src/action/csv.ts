import { EngineError } from '../../engine/index.ts';

/** How {@link parseList} splits. */
export interface ListOptions {
  /** Commas belong to the value: `build-args` and `labels`, one a line. */
  readonly ignoreComma?: boolean;
  /** A line that starts with `#` is a comment. */
  readonly comment?: boolean;
}

/**
 * A list input as docker/build-push-action reads it: CSV with one or more values a line, empty ones dropped, blanks around them cut.
 * A value in double quotes may hold commas, newlines and doubled quotes.
 *
 * @throws `INPUT_INVALID` naming the input, for a quote that never ends
 */
export function parseList(name: string, text: string, options: ListOptions = {}): readonly string[] {
  return parseRecords(name, text, { comment: options.comment ?? false })
    .flatMap((fields) => (options.ignoreComma ? [fields.join(',')] : fields))
    .map((value) => value.trim())
    .filter((value) => value !== '');
}

/**
 * Rows of fields, with the blanks around them. A quote opens only at the start of a field and closes only at its end, so that `a="b"` and JSON stay as
 * they are.
 *
 * @throws `INPUT_INVALID` naming the input, for a quote that never ends
 */
export function parseRecords(
  name: string,
  text: string,
  { comment }: { readonly comment: boolean },
): readonly (readonly string[])[] {
  const records: string[][] = [];
  let at = 0;
  while (at < text.length) {
    if (comment && text[at] === '#') {
      at = endOfLine(text, at);
      continue;
    }
    const record: string[] = [];
    for (;;) {
      const { value, end } = readField(name, text, at);
      record.push(value);
      at = end + 1;
      if (text[end] !== ',') break;
    }
    records.push(record);
  }
  return records;
}

/** One field from `start`; `end` is the place of the comma, the newline or the end of the text after it. */
function readField(name: string, text: string, start: number): { readonly value: string; readonly end: number } {
  const quoted = text[start] === '"' ? readQuoted(name, text, start) : undefined;
  if (quoted && /^(?:\r?\n|,|\r?$)/.test(text.slice(quoted.end, quoted.end + 2))) {
    return { value: quoted.value, end: text[quoted.end] === '\r' ? quoted.end + 1 : quoted.end };
  }
  // No quote, or one that ends in the middle of a field, as in `{"a":1,"b":2}`: then quotes are characters like others.
  let end = start;
  while (end < text.length && text[end] !== ',' && text[end] !== '\n') end += 1;
  return { value: text.slice(start, end).replace(/\r$/, ''), end };
}

function readQuoted(name: string, text: string, start: number): { readonly value: string; readonly end: number } {
  let value = '';
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] !== '"') value += text[at];
    else if (text[at + 1] === '"') {
      value += '"';
      at += 1;
    } else return { value, end: at + 1 };
  }
  throw new EngineError('INPUT_INVALID', `Cannot read input '${name}': a double quote is opened and never closed`, {
    hint: 'Close it, or write two double quotes for one inside the value',
  });
}

function endOfLine(text: string, at: number): number {
  const end = text.indexOf('\n', at);
  return end < 0 ? text.length : end + 1;
}
