import { EngineError } from '../base/errors.ts';
import { escapeControl } from '../base/escape.ts';

/** What JSON can hold. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

const MAX_DEPTH = 64;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const SPACE = /[ \t\n\r]*/y;
const LITERALS: readonly (readonly [string, Json])[] = [
  ['true', true],
  ['false', false],
  ['null', null],
];

/**
 * Reads JSON so that no two tools can read it differently: UTF-8 without BOM, no duplicate key, no lone surrogate, no number that a double
 * changes, at most 64 levels. `__proto__` is a key like any other.
 *
 * @param what names the document in errors
 * @throws `JSON_INVALID` naming what is wrong and at which byte or key
 */
export function readJson(content: Uint8Array | string, what: string): Json {
  const text = typeof content === 'string' ? content : decode(content, what);
  return new Reader(text, what).document();
}

/** Some text as JSON, keys of maps sorted as Go sorts them; the value is data of ours and small. */
export function sortKeys(map: Readonly<Record<string, Json>>): JsonObject {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}

function decode(content: Uint8Array, what: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content);
  } catch (cause) {
    throw new EngineError('JSON_INVALID', `Cannot read ${what}: it isn't UTF-8`, { cause });
  }
}

class Reader {
  readonly #text: string;
  readonly #what: string;
  #at = 0;

  constructor(text: string, what: string) {
    this.#text = text;
    this.#what = what;
  }

  document(): Json {
    const value = this.#value(0);
    this.#skipSpace();
    if (this.#at < this.#text.length) throw this.#error('there is more after its end');
    return value;
  }

  #value(depth: number): Json {
    if (depth > MAX_DEPTH) throw this.#error(`it is nested more than ${MAX_DEPTH} levels deep`);
    this.#skipSpace();
    const c = this.#text[this.#at];
    if (c === '{') return this.#object(depth);
    if (c === '[') return this.#array(depth);
    if (c === '"') return this.#string();
    if (c === '-' || (c !== undefined && c >= '0' && c <= '9')) return this.#number();
    for (const [word, value] of LITERALS) if (this.#take(word)) return value;
    throw this.#error(c === undefined ? 'it ends too early' : `'${c}' isn't JSON there`);
  }

  #object(depth: number): JsonObject {
    this.#take('{');
    const entries = new Map<string, Json>();
    for (this.#skipSpace(); !this.#take('}'); this.#skipSpace()) {
      if (entries.size > 0) this.#expect(',');
      this.#skipSpace();
      const key = this.#string();
      if (entries.has(key)) throw this.#error(`the key '${key}' is ambiguous: it stands there twice`);
      this.#skipSpace();
      this.#expect(':');
      entries.set(key, this.#value(depth + 1));
    }
    return Object.fromEntries(entries);
  }

  #array(depth: number): readonly Json[] {
    this.#take('[');
    const items: Json[] = [];
    for (this.#skipSpace(); !this.#take(']'); this.#skipSpace()) {
      if (items.length > 0) this.#expect(',');
      items.push(this.#value(depth + 1));
    }
    return items;
  }

  #string(): string {
    const start = this.#at;
    if (!this.#take('"')) throw this.#error('a string is expected there');
    const end = this.#endOfString();
    const value = this.#unescape(this.#text.slice(start, end));
    if (!value.isWellFormed()) throw this.#error('a string holds half a character (a lone surrogate)');
    this.#at = end;
    return value;
  }

  /** A loop and not an expression: a label may have megabytes, and an expression would keep a state for each of its letters. */
  #endOfString(): number {
    for (let i = this.#at; i < this.#text.length; i += 1) {
      const c = this.#text.charCodeAt(i);
      if (c === 0x22) return i + 1;
      if (c === 0x5c) i += 1;
    }
    throw this.#error('a string has no end');
  }

  #unescape(token: string): string {
    try {
      return JSON.parse(token) as string; // The token starts and ends with its quotes, so that it can be nothing but a string.
    } catch {
      throw this.#error('a string holds a control character or an escape that JSON has not');
    }
  }

  #number(): number {
    const token = this.#match(NUMBER);
    const value = Number(token);
    if (token === undefined) throw this.#error('a number is expected there');
    const exact = Number.isInteger(value) ? Number.isSafeInteger(value) : Number.isFinite(value);
    if (!exact) throw this.#error(`the number ${token.slice(0, 40)} is too large to be kept exactly`);
    return value;
  }

  #expect(c: string): void {
    if (!this.#take(c)) throw this.#error(`'${c}' is expected there`);
  }

  #take(word: string): boolean {
    if (!this.#text.startsWith(word, this.#at)) return false;
    this.#at += word.length;
    return true;
  }

  #match(expression: RegExp): string | undefined {
    expression.lastIndex = this.#at;
    const token = expression.exec(this.#text)?.[0];
    this.#at += token?.length ?? 0;
    return token;
  }

  #skipSpace(): void {
    this.#match(SPACE);
  }

  #error(state: string): EngineError {
    const place = this.#at === 0 ? '' : ` (at character ${this.#at})`;
    return new EngineError('JSON_INVALID', `Cannot read ${this.#what}: ${escapeControl(state.slice(0, 200))}${place}`);
  }
}
