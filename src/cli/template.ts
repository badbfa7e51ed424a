import { UsageError } from './usage-error.ts';

/** Something with fields, as a template sees it. */
export type Fields = Readonly<Record<string, unknown>>;

/**
 * Makes one line of an object: `json`, or a Go template of text, `{{.Field}}`, `{{.A.B}}`, `{{json .}}`, `{{json .A}}`, `{{.}}`, with
 * `\t` and `\n` as escapes.
 *
 * @throws {UsageError} for any other action, by its name, and for a field that the object does not have
 */
export function renderTemplate(template: string, fields: Fields): string {
  if (template === 'json') return JSON.stringify(fields);
  if ((template.match(/\{\{/g) ?? []).length !== (template.match(/\}\}/g) ?? []).length) {
    throw new UsageError(`template parsing error: unclosed action in "${template}"`);
  }
  const text = template.replaceAll('\\t', '\t').replaceAll('\\n', '\n');
  return text.replace(/\{\{-?\s*(.*?)\s*-?\}\}/gs, (_, action: string) => evaluate(action, fields));
}

/** Heads of the columns of a `table …` template: the field names in capitals, as Docker prints them. */
export function templateHeader(template: string): string {
  return template
    .replaceAll('\\t', '\t')
    .replace(/\{\{.*?\.(\w+)\s*\}\}/g, (_, name: string) => name.replace(/([a-z])([A-Z])/g, '$1 $2').toUpperCase());
}

function evaluate(action: string, fields: Fields): string {
  const match = /^(json\s+)?(\.[\w.]*)$/.exec(action);
  if (!match) {
    const word = /^\w+/.exec(action)?.[0] ?? action;
    throw new UsageError(
      `Cannot use template action "${word}": not supported yet`,
      'fields ({{.Name}}) and {{json .Name}} are',
    );
  }
  const value = lookup(match[2] ?? '.', fields);
  return match[1] ? JSON.stringify(value) : goString(value);
}

function lookup(path: string, fields: Fields): unknown {
  let value: unknown = fields;
  for (const name of path.split('.').filter(Boolean)) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) {
      throw new UsageError(`template parsing error: can't evaluate field ${name} in "${path}"`);
    }
    value = (value as Fields)[name];
  }
  return value;
}

/** A value as Go's `%v` prints it. */
export function goString(value: unknown): string {
  if (value === null || value === undefined) return '<no value>';
  if (Array.isArray(value)) return `[${value.map(goString).join(' ')}]`;
  if (typeof value === 'string') return value;
  if (typeof value !== 'object') return JSON.stringify(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `map[${entries.map(([key, item]) => `${key}:${goString(item)}`).join(' ')}]`;
}
