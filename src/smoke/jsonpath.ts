import { JSONPathEnvironment, type JSONValue } from 'json-p3';
import type { Json } from './json.ts';

/** A compiled JSONPath (RFC 9535). */
export interface JsonPath {
  readonly source: string;
  /** Every node that it selects, in document order. */
  select(value: Json): readonly { readonly value: Json; readonly location: string }[];
  /** True when it can select one node at most: names and indexes only. */
  readonly singular: boolean;
}

/** `match()` and `search()` would run an unbounded regular expression on foreign text; the predicate `matches` is time-boxed. */
const environment = new JSONPathEnvironment();
for (const name of ['match', 'search']) environment.functionRegister.delete(name);

/** @throws `Error` with the reason, when `source` is no JSONPath or uses `match()` or `search()` */
export function compileJsonPath(source: string): JsonPath {
  if (/\b(?:match|search)\s*\(/.test(source)) {
    throw new Error('the functions match() and search() are not available: use the predicate `matches`');
  }
  const query = environment.compile(withoutLeadingZeros(source));
  return {
    source,
    singular: query.singularQuery(),
    // Our Json is json-p3's JSONValue, read-only.
    select: (value) =>
      query.query(value as JSONValue).nodes.map((node) => ({
        value: node.value as Json,
        location: locationKey(node.location),
      })),
  };
}

const STRINGS_AND_FRACTIONS = /'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|(?<![\w.-])0\.(\d+)(?:[eE]([+-]?\d+))?/g;

/** json-p3 2.3 refuses the literal 0.5, which RFC 9535 allows, and takes 5e-1: string literals stay as they are. */
function withoutLeadingZeros(source: string): string {
  return source.replace(STRINGS_AND_FRACTIONS, (token, digits: string | undefined, exponent: string | undefined) =>
    digits === undefined ? token : `${BigInt(digits)}e${Number(exponent ?? 0) - digits.length}`,
  );
}

/** A location as a string that is equal for equal places. */
export function locationKey(location: readonly (string | number)[]): string {
  return JSON.stringify(location);
}
