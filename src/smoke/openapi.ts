import { isObject, type Json, type JsonObject } from './json.ts';
import { elementAt, elementsOf, member, membersOf, resolveRef } from './openapi-document.ts';

/** A route that takes a body, as a server describes it. */
export type Operation = { readonly name: string } & (
  | {
      readonly kind: 'example';
      readonly method: string;
      readonly path: string;
      readonly body: Json;
      readonly answer: Json | undefined;
    }
  | { readonly kind: 'untested'; readonly why: string }
);

const METHODS = ['post', 'put', 'patch'];
const MAX_DEPTH = 16;

/**
 * The routes of an OpenAPI document (3.0 and 3.1) that take a body, each with the payload that its author gives: an example of the body, of its
 * schema, or of every property that it needs. Nothing is made up: a route without them is `untested`, with the reason.
 */
export function operationsIn(document: Json): readonly Operation[] {
  return membersOf(member(document, 'paths')).flatMap(([path, item]) =>
    METHODS.flatMap((method) => {
      const operation = member(item, method);
      return isObject(operation) ? [toOperation(document, { path, method, item, operation })] : [];
    }),
  );
}

interface Route {
  readonly path: string;
  readonly method: string;
  readonly item: Json;
  readonly operation: JsonObject;
}

function toOperation(document: Json, route: Route): Operation {
  const name = `${route.method.toUpperCase()} ${route.path}`;
  const untested = (why: string): Operation => ({ name, kind: 'untested', why });
  if (asksForCredentials(document, route)) return untested('it asks for credentials');
  const path = pathOf(document, route);
  if ('missing' in path) return untested(`no example of its parameter ${path.missing} was given`);
  const requestBody = resolveRef(document, member(route.operation, 'requestBody'));
  if (requestBody === undefined) return untested('it takes no body');
  const content = member(requestBody, 'content');
  const media = jsonMedia(content);
  if (media === undefined) return untested(`its body is ${membersOf(content)[0]?.[0] ?? 'not described'}`);
  const body = exampleOf(document, media) ?? schemaExample(document, member(media, 'schema'), 0);
  if (body === undefined) return untested('no example payload was given');
  return {
    name,
    kind: 'example',
    method: route.method.toUpperCase(),
    path: path.path,
    body,
    answer: answerOf(document, route),
  };
}

function asksForCredentials(document: Json, { operation }: Route): boolean {
  const security = member(operation, 'security') ?? member(document, 'security');
  const requirements = elementsOf(security);
  return requirements.length > 0 && requirements.every((requirement) => membersOf(requirement).length > 0);
}

/** The path with the examples of its parameters; those that are not needed are left out. */
function pathOf(
  document: Json,
  { path, item, operation }: Route,
): { readonly path: string } | { readonly missing: string } {
  const lists = [member(item, 'parameters'), member(operation, 'parameters')];
  const parameters = lists.flatMap(elementsOf).map((parameter) => resolveRef(document, parameter));
  const query = new URLSearchParams();
  let filled = path;
  for (const parameter of parameters) {
    const [name, place] = [member(parameter, 'name'), member(parameter, 'in')];
    if (typeof name !== 'string' || (place !== 'path' && member(parameter, 'required') !== true)) continue;
    const value = exampleOf(document, parameter) ?? schemaExample(document, member(parameter, 'schema'), 0);
    if ((typeof value !== 'string' && typeof value !== 'number') || (place !== 'path' && place !== 'query'))
      return { missing: name };
    if (place === 'path') filled = filled.replaceAll(`{${name}}`, encodeURIComponent(value));
    else query.append(name, String(value));
  }
  const left = /\{([^}]*)\}/.exec(filled)?.[1];
  if (left !== undefined) return { missing: left };
  return { path: query.size === 0 ? filled : `${filled}?${query.toString()}` };
}

function jsonMedia(content: Json | undefined): Json | undefined {
  return membersOf(content).find(([name]) => /^application\/(?:[\w.+-]+\+)?json\b/i.test(name))?.[1];
}

/** `example`, or the first of `examples`: of a media type or a parameter. An `externalValue` is on another server, and is not asked for. */
function exampleOf(document: Json, holder: Json | undefined): Json | undefined {
  const example = member(holder, 'example');
  if (example !== undefined) return example;
  const first = membersOf(member(holder, 'examples'))[0]?.[1];
  return member(resolveRef(document, first), 'value');
}

/** What a schema gives as an example of itself: as a whole, or of each property that must be there. */
function schemaExample(document: Json, schema: Json | undefined, depth: number): Json | undefined {
  const found = resolveRef(document, schema);
  if (!isObject(found) || depth > MAX_DEPTH) return undefined;
  const given = elementAt(member(found, 'examples'), 0) ?? member(found, 'example') ?? member(found, 'const');
  if (given !== undefined) return given;
  const all = elementsOf(member(found, 'allOf'));
  if (all.length === 1) return schemaExample(document, all[0], depth + 1);
  return propertyExamples(document, found, depth);
}

function propertyExamples(document: Json, schema: JsonObject, depth: number): Json | undefined {
  const required = elementsOf(member(schema, 'required'));
  const properties = member(schema, 'properties');
  if (required.length === 0) return undefined;
  const pairs = required.map((name): readonly [string, Json | undefined] => {
    const key = typeof name === 'string' ? name : '';
    return [key, schemaExample(document, member(properties, key), depth + 1)];
  });
  return pairs.some(([, value]) => value === undefined) ? undefined : (Object.fromEntries(pairs) as JsonObject);
}

/** Schema of a good answer, if one is described. */
function answerOf(document: Json, { operation }: Route): Json | undefined {
  const good = membersOf(member(operation, 'responses')).find(([status]) => /^2(?:\d\d|XX)$/.test(status))?.[1];
  return member(jsonMedia(member(resolveRef(document, good), 'content')), 'schema');
}
