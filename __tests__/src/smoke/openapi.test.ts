import { describe, expect, test } from '@jest/globals';
import type { Json } from '../../../src/smoke/json.ts';
import { nonconformities } from '../../../src/smoke/openapi-conform.ts';
import { operationsIn } from '../../../src/smoke/openapi.ts';

/** A document with one POST /predict whose body is `media`. */
function documentOf(
  media: Json,
  more: { readonly operation?: Json; readonly schemas?: Json; readonly path?: string } = {},
): Json {
  const operation = { requestBody: { content: { 'application/json': media } }, ...(more.operation as object) };
  return {
    openapi: '3.1.0',
    paths: { [more.path ?? '/predict']: { post: operation, get: {} } },
    components: { schemas: more.schemas ?? {}, examples: { row: { value: { features: [9] } } } },
  };
}

const ROW = { features: [1, 2] };
const SCHEMA = { type: 'object', required: ['features'], properties: { features: { type: 'array' } } };

describe('examples of an OpenAPI document', () => {
  test.each<readonly [string, Json]>([
    ['of the body', documentOf({ example: ROW })],
    ['of the body, the first by name', documentOf({ examples: { one: { value: ROW }, two: { value: 0 } } })],
    ['of the schema', documentOf({ schema: { ...SCHEMA, examples: [ROW] } })],
    ['of the schema, as 3.0 has it', documentOf({ schema: { ...SCHEMA, example: ROW } })],
    ['behind a reference', documentOf({ schema: { $ref: '#/components/schemas/Row' } }, { schemas: { Row: { examples: [ROW] } } })],
    ['behind allOf with one part', documentOf({ schema: { allOf: [{ $ref: '#/components/schemas/Row' }] } }, { schemas: { Row: { example: ROW } } })],
    ['of every property that is needed', documentOf({ schema: { ...SCHEMA, properties: { features: { examples: [[1, 2]] }, id: {} } } })],
  ])('are payloads: %s', (_name, document) => {
    expect(operationsIn(document)).toMatchObject([{ name: 'POST /predict', kind: 'example', path: '/predict', body: ROW }]);
  });

  test.each<readonly [string, Json, string]>([
    ['no example at all', documentOf({ schema: SCHEMA }), 'no example payload was given'],
    ['an example of one of two properties', documentOf({ schema: { required: ['a', 'b'], properties: { a: { example: 1 }, b: {} } } }), 'no example payload was given'],
    ['a default, which is no example', documentOf({ schema: { required: ['a'], properties: { a: { default: 1 } } } }), 'no example payload was given'],
    ['an example on another server', documentOf({ examples: { x: { externalValue: 'http://169.254.169.254/' } } }), 'no example payload was given'],
    ['a reference to another document', documentOf({ schema: { $ref: 'http://x/y#/z' } }), 'no example payload was given'],
    ['a reference in a circle', documentOf({ schema: { $ref: '#/components/schemas/A' } }, { schemas: { A: { $ref: '#/components/schemas/A' } } }), 'no example payload was given'],
    ['a schema that needs itself', documentOf({ schema: { $ref: '#/components/schemas/A' } }, { schemas: { A: { required: ['a'], properties: { a: { $ref: '#/components/schemas/A' } } } } }), 'no example payload was given'],
    ['no body', { paths: { '/predict': { post: {} } } }, 'it takes no body'],
    ['a form', { paths: { '/predict': { post: { requestBody: { content: { 'multipart/form-data': {} } } } } } }, 'its body is multipart/form-data'],
    ['a token that it wants', documentOf({ example: ROW }, { operation: { security: [{ bearer: [] }] } }), 'it asks for credentials'],
    ['a parameter without example', documentOf({ example: ROW }, { path: '/models/{name}' }), 'no example of its parameter name was given'],
  ])('are not made up: %s', (_name, document, why) => {
    const [operation] = operationsIn(document);
    expect(operation).toMatchObject({ kind: 'untested', why });
  });

  test('fill the parameters of a path and the query that is needed', () => {
    const parameters = [
      { name: 'name', in: 'path', required: true, schema: { examples: ['a/b c'] } },
      { name: 'top', in: 'query', required: true, example: 3 },
      { name: 'verbose', in: 'query' },
    ];
    const [operation] = operationsIn(documentOf({ example: ROW }, { path: '/m/{name}', operation: { parameters } }));
    expect(operation).toMatchObject({ kind: 'example', path: '/m/a%2Fb%20c?top=3' });
  });

  test.each<Json>([null, [], 'x', { paths: 1 }, { paths: { '/': null } }, { paths: { '/': { post: [] } } }])(
    'are none in %j',
    (document) => {
      expect(operationsIn(document)).toEqual([]);
    },
  );
}); // prettier-ignore

describe('an answer and its description', () => {
  const answer = { type: 'object', required: ['prediction'], properties: { prediction: { type: 'integer' }, kind: { enum: ['a', 'b'] }, scores: { type: 'array', items: { type: 'number' } } } };
  test.each<readonly [Json, Json, readonly string[]]>([
    [answer, { prediction: 1, kind: 'a', scores: [0.5] }, []],
    [answer, { kind: 'c' }, ['$: has no "prediction"', '$.kind: wanted one of ["a","b"]']],
    [answer, { prediction: 1.5 }, ['$.prediction: wanted "integer", got number']],
    [answer, { prediction: 1, scores: [1, null] }, ['$.scores[1]: wanted "number", got null']],
    [{ type: 'string', nullable: true }, null, []],
    [{ type: ['string', 'null'] }, null, []],
    [{ anyOf: [{ type: 'string' }, { type: 'null' }] }, 3, ['$: fits none of 2 schemas']],
    [{ $ref: '#/components/schemas/A' }, { next: { next: {} } }, []],
    [{ type: 'string', pattern: '^(a+)+$' }, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!', []],
    [{ not: {} }, 1, []],
  ])('%j and %j', (schema, value, problems) => {
    const document = { components: { schemas: { A: { properties: { next: { $ref: '#/components/schemas/A' } } } } } };
    expect(nonconformities(document, schema, value)).toEqual(problems);
  });

  test('are compared in bounded time, however they multiply', () => {
    const doubled = { anyOf: [{ $ref: '#/a' }, { $ref: '#/a' }] };
    expect(nonconformities({ a: doubled }, doubled, 1)).toEqual([]);
  });
}); // prettier-ignore
