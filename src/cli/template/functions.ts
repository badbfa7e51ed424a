import { TemplateError } from './error.ts';
import { format } from './format.ts';
import { goString, isFields, isTrue } from './value.ts';

/** A function of templates: Go's own, and those that Docker adds. */
export type TemplateFunction = (...values: readonly unknown[]) => unknown;

/** All of them by name; `and` and `or` stop early, and are the evaluator's. */
export const FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  json: (value) => JSON.stringify(value ?? null),
  join: (list, separator = '') => listOf('join', list).map(goString).join(goString(separator)),
  split: (text, separator) => stringOf('split', text).split(stringOf('split', separator)),
  lower: (text) => stringOf('lower', text).toLowerCase(),
  upper: (text) => stringOf('upper', text).toUpperCase(),
  title: (text) =>
    stringOf('title', text).replace(
      /(^|[^\p{L}\p{N}'_])(\p{L})/gu,
      (_, before: string, letter: string) => before + letter.toUpperCase(),
    ),
  pad: (text, before, after) => {
    const plain = stringOf('pad', text);
    return plain === '' ? '' : ' '.repeat(numberOf('pad', before)) + plain + ' '.repeat(numberOf('pad', after));
  },
  truncate: (text, length) => [...stringOf('truncate', text)].slice(0, numberOf('truncate', length)).join(''),
  index: (value, ...keys) => keys.reduce(indexInto, value),
  slice: (value, from = 0, to) => {
    const [start, end] = [numberOf('slice', from), to === undefined ? undefined : numberOf('slice', to)];
    return typeof value === 'string' ? value.slice(start, end) : listOf('slice', value).slice(start, end);
  },
  len: (value) => {
    if (typeof value === 'string') return Buffer.byteLength(value);
    if (Array.isArray(value)) return value.length;
    if (isFields(value)) return Object.keys(value).length;
    throw new TemplateError(
      `error calling len: len of ${value === null || value === undefined ? 'nil pointer' : `type ${typeof value}`}`,
    );
  },
  not: (value) => !isTrue(value),
  eq: (first, ...others) => others.some((other) => same(first, other)),
  ne: (a, b) => !same(a, b),
  lt: (a, b) => compare(a, b) < 0,
  le: (a, b) => compare(a, b) <= 0,
  gt: (a, b) => compare(a, b) > 0,
  ge: (a, b) => compare(a, b) >= 0,
  print: (...values) => spaced(values),
  println: (...values) => `${values.map(goString).join(' ')}\n`,
  printf: (text, ...values) => format(stringOf('printf', text), values),
  html: (value) => escape(goString(value), HTML),
  urlquery: (value) => encodeURIComponent(goString(value)).replaceAll('%20', '+'),
};

const HTML: Readonly<Record<string, string>> = { '<': '&lt;', '>': '&gt;', '&': '&amp;', '"': '&#34;', "'": '&#39;' };

function escape(text: string, table: Readonly<Record<string, string>>): string {
  return text.replace(/[<>&"']/g, (character) => table[character] ?? character);
}

function indexInto(value: unknown, key: unknown): unknown {
  if (isFields(value)) return value[goString(key)];
  if (value === null || value === undefined) throw new TemplateError('error calling index: index of untyped nil');
  const list = typeof value === 'string' ? Buffer.from(value) : listOf('index', value);
  const at = numberOf('index', key);
  if (at < 0 || at >= list.length) {
    throw new TemplateError(`error calling index: reflect: slice index out of range: ${at} with length ${list.length}`);
  }
  return list[at];
}

function same(a: unknown, b: unknown): boolean {
  if (isFields(a) || isFields(b) || Array.isArray(a) || Array.isArray(b))
    throw new TemplateError('error calling eq: incompatible types for comparison');
  return (a ?? null) === (b ?? null);
}

function compare(a: unknown, b: unknown): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (typeof a === 'string' && typeof b === 'string') return a < b ? -1 : a > b ? 1 : 0;
  throw new TemplateError('error calling lt: incompatible types for comparison');
}

/** Go's `print` puts a blank between two values when neither is a string. */
function spaced(values: readonly unknown[]): string {
  return values
    .map((value, at) => {
      const before = values[at - 1];
      const blank = at > 0 && typeof value !== 'string' && typeof before !== 'string';
      return `${blank ? ' ' : ''}${goString(value)}`;
    })
    .join('');
}

function listOf(name: string, value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  if (value === null || value === undefined) return [];
  throw new TemplateError(`error calling ${name}: wrong type for value; expected a list; got ${typeof value}`);
}

function stringOf(name: string, value: unknown): string {
  if (typeof value === 'string') return value;
  throw new TemplateError(
    `error calling ${name}: wrong type for value; expected string; got ${value === null || value === undefined ? 'nil' : typeof value}`,
  );
}

function numberOf(name: string, value: unknown): number {
  if (typeof value === 'number' && Number.isInteger(value)) return value;
  throw new TemplateError(`error calling ${name}: cannot use ${goString(value)} as a whole number`);
}
