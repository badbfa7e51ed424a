import { isDeepStrictEqual } from 'node:util';
import { childPath, isObject, type Json, type JsonObject } from './json.ts';
import { elementAt, elementsOf, member, membersOf, resolveRef } from './openapi-document.ts';

const MAX_DEPTH = 64;
const MAX_SENTENCES = 10;
/** Values compared with a schema, in all: a schema from a container must not keep us busy. */
const MAX_STEPS = 100_000;

/**
 * In what an answer is not as the server's own document describes it. The schema comes out of the container under test, so no code is made of it
 * and no pattern of it is run: types, properties, items, enumerations and combinations are compared, other keywords say nothing.
 */
export function nonconformities(document: Json, schema: Json, value: Json): readonly string[] {
  const walk: Walk = { document, steps: 0 };
  return check(walk, schema, value, '$', 0).slice(0, MAX_SENTENCES);
}

interface Walk {
  readonly document: Json;
  steps: number;
}

function check(walk: Walk, wanted: Json | undefined, value: Json, path: string, depth: number): readonly string[] {
  walk.steps += 1;
  if (depth > MAX_DEPTH || walk.steps > MAX_STEPS) return [];
  const schema = resolveRef(walk.document, wanted);
  if (schema === false) return [`${path}: wanted nothing`];
  if (!isObject(schema)) return [];
  // OpenAPI 3.0 says it so; 3.1 has "null" among the types.
  if (value === null && member(schema, 'nullable') === true) return [];
  const problem = typeProblem(schema, value, path) ?? valueProblem(schema, value, path);
  if (problem !== undefined) return [problem];
  return [
    ...combined(walk, schema, value, path, depth),
    ...properties(walk, schema, value, path, depth),
    ...items(walk, schema, value, path, depth),
  ];
}

function typeProblem(schema: JsonObject, value: Json, path: string): string | undefined {
  const types = [member(schema, 'type') ?? []].flat();
  if (types.length === 0 || types.some((type) => isOfType(value, type))) return undefined;
  return `${path}: wanted ${types.map((type) => JSON.stringify(type)).join(' or ')}, got ${typeOf(value)}`;
}

function isOfType(value: Json, type: Json): boolean {
  if (type === 'integer') return typeof value === 'number' && Number.isInteger(value);
  if (type === 'array') return Array.isArray(value);
  if (type === 'object') return isObject(value);
  if (type === 'null') return value === null;
  const simple = type === 'number' || type === 'string' || type === 'boolean';
  return !simple || typeof value === type;
}

function typeOf(value: Json): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

function valueProblem(schema: JsonObject, value: Json, path: string): string | undefined {
  const allowed = member(schema, 'enum');
  const only = member(schema, 'const');
  const list = Array.isArray(allowed) ? elementsOf(allowed) : only === undefined ? undefined : [only];
  if (list === undefined || list.some((one) => isDeepStrictEqual(one, value))) return undefined;
  return `${path}: wanted one of ${JSON.stringify(list).slice(0, 100)}`;
}

function combined(walk: Walk, schema: JsonObject, value: Json, path: string, depth: number): readonly string[] {
  const all = elementsOf(member(schema, 'allOf')).flatMap((part) => check(walk, part, value, path, depth + 1));
  const choices = [...elementsOf(member(schema, 'anyOf')), ...elementsOf(member(schema, 'oneOf'))];
  const fits = choices.length === 0 || choices.some((part) => check(walk, part, value, path, depth + 1).length === 0);
  return fits ? all : [...all, `${path}: fits none of ${choices.length} schemas`];
}

function properties(walk: Walk, schema: JsonObject, value: Json, path: string, depth: number): readonly string[] {
  if (!isObject(value)) return [];
  const missing = elementsOf(member(schema, 'required'))
    .filter((name) => typeof name === 'string' && !Object.hasOwn(value, name))
    .map((name) => `${path}: has no ${JSON.stringify(name)}`);
  const wrong = membersOf(member(schema, 'properties')).flatMap(([name, part]) =>
    Object.hasOwn(value, name) ? check(walk, part, value[name] ?? null, childPath(path, name), depth + 1) : [],
  );
  return [...missing, ...wrong];
}

function items(walk: Walk, schema: JsonObject, value: Json, path: string, depth: number): readonly string[] {
  const part = member(schema, 'items');
  if (!Array.isArray(value) || part === undefined) return [];
  const wrong: string[] = [];
  for (let at = 0; at < value.length && wrong.length < MAX_SENTENCES; at += 1) {
    wrong.push(...check(walk, part, elementAt(value, at) ?? null, `${path}[${at}]`, depth + 1));
  }
  return wrong;
}
