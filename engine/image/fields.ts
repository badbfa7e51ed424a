import { EngineError } from '../base/errors.ts';
import { escapeControl } from '../base/escape.ts';
import type { Json, JsonObject } from './json.ts';

/** A JSON value and where it stands, for errors: `layers[3].size of the manifest`. */
export interface Field {
  readonly value: Json | undefined;
  /** Path inside the document; empty at its root. */
  readonly path: string;
  /** The document: `the manifest of python:3.12`. */
  readonly what: string;
}

/** The document itself. */
export function rootField(value: Json, what: string): Field {
  return { value, path: '', what };
}

/** The member `key` of an object. */
export function member(field: Field, key: string): Field {
  const value = isObject(field.value) && Object.hasOwn(field.value, key) ? field.value[key] : undefined;
  return { value, path: field.path === '' ? key : `${field.path}.${key}`, what: field.what };
}

/** True when the field is there and isn't null. Go writes null for empty lists and maps. */
export function isSet(field: Field): boolean {
  return field.value !== undefined && field.value !== null;
}

/**
 * The field as an object with the given known keys. A key that differs from a known one in case alone is refused: Go takes it for the known
 * one, we don't, and so two tools would see two images.
 *
 * @throws `DOCUMENT_INVALID`
 */
export function objectOf(field: Field, known: readonly string[]): JsonObject {
  if (!isObject(field.value)) throw wrong(field, 'an object');
  const folded = new Map(known.map((key) => [fold(key), key]));
  for (const key of Object.keys(field.value)) {
    const same = folded.get(fold(key));
    if (same !== undefined && same !== key)
      throw invalid(field, `the key '${key}' is ambiguous: it differs from '${same}' in case alone`);
  }
  return field.value;
}

/** The items of a list; an absent or null one is empty. @throws `DOCUMENT_INVALID` also when it has more than `max` items */
export function listOf(field: Field, max: number): Field[] {
  if (!isSet(field)) return [];
  if (!Array.isArray(field.value)) throw wrong(field, 'a list');
  const items = field.value as readonly Json[];
  if (items.length > max)
    throw invalid(field, `${nameOf(field)} has ${items.length} entries, and at most ${max} are allowed`);
  return items.map((value, i) => ({ value, path: `${field.path}[${i}]`, what: field.what }));
}

/** @throws `DOCUMENT_INVALID` */
export function stringOf(field: Field): string {
  if (typeof field.value !== 'string') throw wrong(field, 'a string');
  return field.value;
}

/** A whole number from `min` up that a double holds exactly. @throws `DOCUMENT_INVALID` */
export function integerOf(field: Field, min = 0): number {
  const { value } = field;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min)
    throw wrong(field, `a whole number from ${min} up`);
  return value;
}

/** @throws `DOCUMENT_INVALID` */
export function stringsOf(field: Field, max = 10_000): string[] {
  return listOf(field, max).map(stringOf);
}

/** A map from strings to strings: labels, annotations. @throws `DOCUMENT_INVALID` */
export function stringMapOf(field: Field): Readonly<Record<string, string>> {
  if (!isObject(field.value)) throw wrong(field, 'an object of strings');
  return Object.fromEntries(Object.keys(field.value).map((key) => [key, stringOf(member(field, key))]));
}

/** `{ [key]: read(field) }` when the field is set, else nothing; for spreading into a value. */
export function optional<K extends string, T>(parent: Field, key: K, read: (field: Field) => T): { [P in K]?: T } {
  const field = member(parent, key);
  return (isSet(field) ? { [key]: read(field) } : {}) as { [P in K]?: T };
}

/** `DOCUMENT_INVALID` about the document of the field. */
export function invalid(field: Field, state: string, hint?: string): EngineError {
  return new EngineError('DOCUMENT_INVALID', `Cannot use ${field.what}: ${escapeControl(state)}`, { hint });
}

function wrong(field: Field, wanted: string): EngineError {
  const { value } = field;
  const got = value === undefined ? 'is missing' : `is ${describe(value)}`;
  return invalid(field, `${nameOf(field)} ${got}, and must be ${wanted}`);
}

function nameOf(field: Field): string {
  return field.path === '' ? 'it' : field.path.slice(0, 120);
}

function describe(value: Json): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'an object';
  return JSON.stringify(value).slice(0, 80);
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Upper case first, because Go folds ſ and K (the Kelvin sign) too. */
function fold(key: string): string {
  return key.toUpperCase().toLowerCase();
}
