import { TemplateError } from './error.ts';

/** Something with fields, as a template sees it. */
export type Fields = Readonly<Record<string, unknown>>;

/** Objects with fields, and nothing else. */
export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A field that takes arguments: `{{.Label "name"}}`. */
export type Method = (...args: readonly unknown[]) => unknown;

/** Whether a field is one. */
export function isMethod(value: unknown): value is Method {
  return typeof value === 'function';
}

/** Fields in the order of their names, methods left out: Go ranges over none. */
export function fieldsOf(value: Fields): readonly (readonly [string, unknown])[] {
  return Object.entries(value)
    .filter(([, field]) => !isMethod(field))
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

/** `Label` of a row: the value of one of its labels, empty for one that it has not. */
export function labelOf(labels: Readonly<Record<string, string>>): Method {
  return (...names) => {
    const [name] = names;
    if (names.length !== 1 || typeof name !== 'string') {
      throw new TemplateError(
        `wrong number of args for Label: want 1, a name, got ${names.length}`,
        '{{.Label "name"}}',
      );
    }
    return Object.hasOwn(labels, name) ? labels[name] : '';
  };
}

/** An object with a text of its own, as Go's Stringers have: templates print that, and `json` the fields. */
export function withText(fields: Fields, text: string): Fields {
  return Object.defineProperty({ ...fields }, TEXT, { value: text });
}

const TEXT = Symbol('text');

/** A value as Go's `%v` prints it. */
export function goString(value: unknown): string {
  if (isFields(value) && TEXT in value) return String(Reflect.get(value, TEXT));
  if (value === null || value === undefined) return '<no value>';
  if (Array.isArray(value)) return `[${value.map(inner).join(' ')}]`;
  if (typeof value === 'string') return value;
  if (!isFields(value)) return JSON.stringify(value);
  return `map[${fieldsOf(value)
    .map(([key, item]) => `${key}:${inner(item)}`)
    .join(' ')}]`;
}

/** Inside of something, Go says `<nil>`. */
function inner(value: unknown): string {
  return value === null || value === undefined ? '<nil>' : goString(value);
}

/** What `if`, `with`, `and`, `or` and `not` take for true. */
export function isTrue(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (isFields(value)) return Object.keys(value).length > 0;
  return Boolean(value);
}

/** A string as Go writes it in its sources: `%q`. */
export function goQuote(text: string): string {
  return JSON.stringify(text);
}
