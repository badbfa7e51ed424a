/** A JSON value. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;

/** A JSON object. */
export type JsonObject = { readonly [key: string]: Json };

/** Whether a value is an object, which a list is not. */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A number that JSON has no word for, and where it stands. */
export interface NonFinite {
  /** Normalised JSONPath: `$['predictions'][3]` is written `$.predictions[3]`. */
  readonly path: string;
  /** As it was written: `NaN`, `-Infinity`, `1e400`. */
  readonly token: string;
}

/** What {@link parseJson} found. */
export interface ParsedJson {
  readonly value: Json;
  /** `NaN`, `Infinity` and numbers that overflow to it: no JSON, though Python writes them. */
  readonly nonFinite: readonly NonFinite[];
}

/** Text that is no JSON. */
export class JsonError extends Error {
  /** Offset of the character at which it went wrong, from 0. */
  readonly offset: number;
  readonly path: string;

  constructor(message: string, offset: number, path: string) {
    super(message);
    this.name = 'JsonError';
    this.offset = offset;
    this.path = path;
  }
}

const MAX_DEPTH = 500;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /-?[A-Za-z]+/y;
/** RFC 8259 forbids control characters in strings. */
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;

/**
 * Reads RFC 8259 JSON, strictly, except for the words `NaN`, `Infinity` and `-Infinity`, which are read and reported with their path:
 * a model that answers them should be told so, not "Unexpected token N".
 *
 * @throws {JsonError} with the place
 */
export function parseJson(text: string): ParsedJson {
  const scanner = createScanner(text);
  const value = scanner.value('$', 0);
  scanner.end();
  return { value, nonFinite: scanner.nonFinite };
}

/** The value of a body, or undefined when it is no JSON. */
export function jsonOf(body: Uint8Array): Json | undefined {
  try {
    return parseJson(Buffer.from(body).toString('utf8')).value;
  } catch {
    return undefined;
  }
}

interface Scanner {
  readonly nonFinite: NonFinite[];
  value(path: string, depth: number): Json;
  end(): void;
}

function createScanner(text: string): Scanner {
  const nonFinite: NonFinite[] = [];
  let at = text.startsWith('\ufeff') ? 1 : 0;

  const fail = (message: string, path: string): never => {
    throw new JsonError(message, at, path);
  };
  const space = (): void => {
    while (at < text.length && ' \t\n\r'.includes(text.charAt(at))) at += 1;
  };
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found !== undefined) at += found.length;
    return found;
  };
  const skip = (character: string): boolean => {
    space();
    if (text.charAt(at) !== character) return false;
    at += 1;
    return true;
  };
  const expect = (character: string, path: string): void => {
    if (!skip(character)) fail(`expected ${character}, found ${describe(text, at)}`, path);
  };

  const value = (path: string, depth: number): Json => {
    if (depth > MAX_DEPTH) fail(`nested more than ${MAX_DEPTH} deep`, path);
    space();
    const first = text.charAt(at);
    if (first === '{') return object(path, depth);
    if (first === '[') return array(path, depth);
    if (first === '"') return string(path);
    return number(path) ?? word(path);
  };
  const object = (path: string, depth: number): Json => {
    const result: Record<string, Json> = {};
    expect('{', path);
    if (skip('}')) return result;
    do {
      space();
      const key = string(path);
      expect(':', path);
      // An answer may have a key `__proto__`: it must become a key, not the prototype.
      const member = {
        value: value(childPath(path, key), depth + 1),
        enumerable: true,
        configurable: true,
        writable: true,
      };
      Object.defineProperty(result, key, member);
    } while (skip(','));
    expect('}', path);
    return result;
  };
  const array = (path: string, depth: number): Json => {
    const result: Json[] = [];
    expect('[', path);
    if (skip(']')) return result;
    do result.push(value(`${path}[${result.length}]`, depth + 1));
    while (skip(','));
    expect(']', path);
    return result;
  };
  const string = (path: string): string => {
    const token = take(STRING) ?? fail(`expected a string, found ${describe(text, at)}`, path);
    return JSON.parse(token) as string;
  };
  const number = (path: string): number | undefined => {
    const token = take(NUMBER);
    if (token === undefined) return undefined;
    const result = Number(token);
    if (!Number.isFinite(result)) nonFinite.push({ path, token });
    return result;
  };
  const word = (path: string): Json => {
    const token = take(WORD);
    if (token === 'true' || token === 'false') return token === 'true';
    if (token === 'null') return null;
    if (token !== 'NaN' && token !== 'Infinity' && token !== '-Infinity') {
      at -= token?.length ?? 0;
      return fail(`expected a value, found ${describe(text, at)}`, path);
    }
    nonFinite.push({ path, token });
    return Number(token);
  };
  const end = (): void => {
    space();
    if (at < text.length) fail(`expected the end, found ${describe(text, at)}`, '$');
  };
  return { nonFinite, value, end };
}

function describe(text: string, at: number): string {
  return at >= text.length ? 'the end of the text' : JSON.stringify(text.slice(at, at + 12));
}

/** `path` with one more member name, in the short form where the name allows it. */
export function childPath(path: string, key: string): string {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`;
}
