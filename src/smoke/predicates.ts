import { isDeepStrictEqual } from 'node:util';
import { isObject, type Json } from './json.ts';
import type { JsonPath } from './jsonpath.ts';
import { SlowRegexError, testRegex } from './regex.ts';

/** Predicates by Hurl's names, and their arguments. */
export type Predicates = Readonly<Record<string, Json>>;

/** What a path selected: nothing, or a value. A path that can select several nodes gives their list. */
export type Selected = { readonly found: false } | { readonly found: true; readonly value: Json };

/** The value that predicates are applied to. */
export function selectOne(path: JsonPath, document: Json): Selected {
  const nodes = path.select(document);
  if (!path.singular) return { found: nodes.length > 0, value: nodes.map(({ value }) => value) };
  const [node] = nodes;
  return node === undefined ? { found: false } : { found: true, value: node.value };
}

/** A spec's shorthand: a value that is no mapping means `==`. */
export function toPredicates(wanted: Json): Predicates {
  return isObject(wanted) ? wanted : { '==': wanted };
}

/**
 * Why `selected` does not fulfil the predicates, as sentences: `wanted >= 0, got -1`. Empty when it does.
 *
 * `exists: false` is fulfilled by nothing; every other predicate needs a value.
 */
export function violations(selected: Selected, predicates: Predicates): readonly string[] {
  return Object.entries(predicates).flatMap(([name, argument]) => {
    try {
      return violation(selected, name, argument);
    } catch (error) {
      if (error instanceof SlowRegexError) return [error.message];
      throw error;
    }
  });
}

function violation(selected: Selected, name: string, argument: Json): readonly string[] {
  if (name === 'exists')
    return selected.found === argument
      ? []
      : [argument === true ? 'wanted it to exist, got nothing' : `wanted nothing, got ${show(valueOf(selected))}`];
  if (!selected.found)
    return name === 'count' && argument === 0 ? [] : [`wanted ${phrase(name, argument)}, got nothing`];
  const check = CHECKS[name];
  if (check === undefined) return [`wanted ${name}, which is no predicate`];
  return check(selected.value, argument) ? [] : [`wanted ${phrase(name, argument)}, got ${show(selected.value)}`];
}

type Check = (value: Json, argument: Json) => boolean;

/** A predicate about the type: true or false says whether it has to hold. */
const kind =
  (test: (value: Json) => boolean): Check =>
  (value, argument) =>
    test(value) === argument;

const ordered =
  (test: (a: number | string, b: number | string) => boolean): Check =>
  (value, argument) =>
    (typeof value === 'number' || typeof value === 'string') &&
    (typeof argument === 'number' || typeof argument === 'string') &&
    typeof value === typeof argument &&
    test(value, argument);

const textual =
  (test: (value: string, argument: string) => boolean): Check =>
  (value, argument) =>
    typeof value === 'string' && typeof argument === 'string' && test(value, argument);

const ISO_DATE = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

const CHECKS: Readonly<Record<string, Check>> = {
  '==': (value, argument) => isDeepStrictEqual(value, argument),
  '!=': (value, argument) => !isDeepStrictEqual(value, argument),
  '>': ordered((a, b) => a > b),
  '>=': ordered((a, b) => a >= b),
  '<': ordered((a, b) => a < b),
  '<=': ordered((a, b) => a <= b),
  count: (value, argument) => Array.isArray(value) && value.length === argument,
  startsWith: textual((value, argument) => value.startsWith(argument)),
  endsWith: textual((value, argument) => value.endsWith(argument)),
  contains: (value, argument) =>
    isList(value)
      ? value.some((element) => isDeepStrictEqual(element, argument))
      : textual((text, part) => text.includes(part))(value, argument),
  matches: textual((value, argument) => testRegex(argument, value)),
  isEmpty: kind((value) =>
    isList(value) || typeof value === 'string'
      ? value.length === 0
      : isObject(value) && Object.keys(value).length === 0,
  ),
  isBoolean: kind((value) => typeof value === 'boolean'),
  isNumber: kind((value) => typeof value === 'number'),
  // JavaScript does not keep whether 1.0 was written with a point: a whole number is both.
  isInteger: kind((value) => Number.isInteger(value)),
  isFloat: kind((value) => typeof value === 'number'),
  isString: kind((value) => typeof value === 'string'),
  isList: kind(isList),
  isObject: kind(isObject),
  isIsoDate: kind((value) => typeof value === 'string' && ISO_DATE.test(value) && !Number.isNaN(Date.parse(value))),
  isUuid: kind((value) => typeof value === 'string' && UUID.test(value)),
};

function phrase(name: string, argument: Json): string {
  if (argument === true) return name;
  if (argument === false) return `not ${name}`;
  return `${name} ${show(argument)}`;
}

function valueOf(selected: Selected): Json {
  return selected.found ? selected.value : null;
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

/** A value as JSON, cut to a line; NaN and Infinity by their names. */
export function show(value: Json): string {
  const text = typeof value === 'number' ? String(value) : JSON.stringify(value);
  return text.length <= 200 ? text : `${text.slice(0, 200)}…`;
}
