import { isObject, type Json, type JsonObject } from './json.ts';
import { member, membersOf, resolveRef } from './openapi-document.ts';
import { nonconformities } from './openapi-conform.ts';
import type { HttpRequest, SchemaValidator, StatusPattern } from './spec.ts';

/**
 * Compares answers to a request with what the server's own OpenAPI document says of them.
 *
 * @param wanted statuses that the spec expects: their description counts
 * @returns a validator; of a request that is not described it says so
 */
export function describedAnswer(
  document: Json,
  { method, path }: HttpRequest,
  wanted: readonly StatusPattern[],
): SchemaValidator {
  const operation = findOperation(document, method, path.split('?', 1)[0] ?? path);
  if (operation === undefined) return () => [`${method} ${path} is not in the OpenAPI document of the server`];
  const schema = schemaFor(document, operation, wanted);
  if (schema === undefined) return () => [`the OpenAPI document does not say what ${method} ${path} answers`];
  return (value) => nonconformities(document, schema, value);
}

/** A path as it is goes before a template such as `/items/{id}`. */
function findOperation(document: Json, method: string, path: string): JsonObject | undefined {
  const paths = membersOf(member(document, 'paths'));
  const item = paths.find(([template]) => template === path) ?? paths.find(([template]) => fits(template, path));
  const operation = member(item?.[1], method.toLowerCase());
  return isObject(operation) ? operation : undefined;
}

function fits(template: string, path: string): boolean {
  const [wanted, got] = [template.split('/'), path.split('/')];
  return wanted.length === got.length && wanted.every((part, at) => /^\{[^}]*\}$/.test(part) || part === got[at]);
}

function schemaFor(document: Json, operation: JsonObject, wanted: readonly StatusPattern[]): Json | undefined {
  const responses = membersOf(member(operation, 'responses'));
  const names = wanted.flatMap((pattern) =>
    'code' in pattern ? [String(pattern.code), `${Math.floor(pattern.code / 100)}XX`] : [`${pattern.class}XX`],
  );
  const classes = wanted.flatMap((pattern) => ('class' in pattern ? [String(pattern.class)] : []));
  const found =
    responses.find(([status]) => names.includes(status.toUpperCase())) ??
    responses.find(([status]) => classes.includes(status.charAt(0))) ??
    responses.find(([status]) => status === 'default');
  const content = member(resolveRef(document, found?.[1]), 'content');
  const media = membersOf(content).find(([type]) => /^application\/(?:[\w.+-]+\+)?json\b/i.test(type))?.[1];
  return member(media, 'schema');
}
