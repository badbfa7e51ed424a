import type { TestContainer } from './container.ts';
import { HttpFailure, sendHttp, type HttpAnswer } from './http.ts';
import { isObject, jsonOf, type Json } from './json.ts';
import { operationsIn, type Operation } from './openapi.ts';
import { nonconformities } from './openapi-conform.ts';
import { describedAnswer } from './openapi-response.ts';
import type { Check } from './report.ts';
import type { RequestItem } from './spec.ts';
import type { Mask } from './text.ts';

/** What `auto` sends to a server, and what it cannot send for want of a given example. */
export interface Described {
  readonly requests: readonly RequestItem[];
  /** Rows of the report that are neither red nor silent. */
  readonly untested: readonly Check[];
  /** The server has such a document. */
  readonly found: boolean;
}

const HINT = 'Give one line: smoke-test: "{ preset: fastapi, payload: tests/row.json }", or a file with requests';
/** FastAPI's place, and BentoML's. */
const PLACES = ['/openapi.json', '/docs.json'];
const MAX_ROWS = 10;
const MAX_DOCUMENT = 4 << 20;
const MAX_NAME = 200;

/**
 * Requests from the server's own OpenAPI document: its examples and nothing else, since no payload is ever guessed (DESIGN.md 8). Every other
 * route that takes a body is a row named untested.
 */
export async function describedRequests(
  container: TestContainer,
  port: number,
  options: { readonly mask: Mask; readonly signal?: AbortSignal | undefined },
): Promise<Described> {
  const document = await readDocument(container, port, options.signal);
  const operations = document === undefined ? [] : operationsIn(document).slice(0, MAX_ROWS);
  if (document === undefined || operations.length === 0) {
    const untested = [untestedRow('predict', 'no example payload was given')];
    return { requests: [], untested, found: document !== undefined };
  }
  return {
    found: true,
    requests: operations.flatMap((operation) => (operation.kind === 'example' ? [toItem(document, operation)] : [])),
    untested: operations.flatMap((operation) =>
      operation.kind === 'untested' ? [untestedRow(options.mask(operation.name), options.mask(operation.why))] : [],
    ),
  };
}

/** The failed row of a spec that asks for a document which the server does not have. */
export function noDocument(location: Check['location'], port: number): Check {
  const problem = `the server has no OpenAPI document at ${PLACES.join(' or ')} on port ${port}`;
  return {
    name: 'openapi',
    status: 'failed',
    reason: 'assertion',
    summary: problem,
    failure: { problems: [problem] },
    location,
  };
}

/** The requests, of which those that say `openapi: true` are compared with what the server tells of itself. */
export async function withDescriptions(
  container: TestContainer,
  port: number,
  requests: readonly RequestItem[],
  { signal }: { readonly signal?: AbortSignal | undefined },
): Promise<readonly RequestItem[]> {
  if (requests.every(({ response }) => response.openapi === undefined)) return requests;
  const document = await readDocument(container, port, signal);
  return requests.map((item) => {
    const { openapi, schema, status } = item.response;
    if (openapi === undefined) return item;
    const described =
      document === undefined
        ? () => [`the server has no OpenAPI document at ${PLACES.join(' or ')}`]
        : describedAnswer(document, item.request, status);
    const validate = (value: Json): readonly string[] => [...described(value), ...(schema?.validate(value) ?? [])];
    return { ...item, response: { ...item.response, schema: { validate, location: openapi.location } } };
  });
}

function untestedRow(name: string, summary: string): Check {
  return { name: name.slice(0, MAX_NAME), status: 'untested', summary, hint: HINT };
}

function toItem(
  document: Json,
  { name, method, path, body, answer }: Extract<Operation, { kind: 'example' }>,
): RequestItem {
  const text = JSON.stringify(body);
  const schema =
    answer === undefined ? undefined : { validate: (value: Json) => nonconformities(document, answer, value) };
  return {
    name: `${name.slice(0, MAX_NAME)} (example of its OpenAPI document)`,
    request: { method, path, headers: { 'content-type': 'application/json' }, body: Buffer.from(text), curlBody: text },
    response: { status: [{ class: 2 }], headers: [], jsonpath: [], finite: true, schema },
  };
}

async function readDocument(
  container: TestContainer,
  port: number,
  signal: AbortSignal | undefined,
): Promise<Json | undefined> {
  const target = container.ports.get(port);
  if (target === undefined) return undefined;
  for (const path of PLACES) {
    try {
      const limits = { total: 5000, idle: 5000, maxBody: MAX_DOCUMENT, signal };
      const document = documentOf(await sendHttp(target, { method: 'GET', path, headers: {} }, limits));
      if (document !== undefined) return document;
    } catch (error) {
      signal?.throwIfAborted();
      // A server need not describe itself.
      if (!(error instanceof HttpFailure)) throw error;
    }
  }
  return undefined;
}

/** What it says need not be JSON either. */
function documentOf({ status, body }: HttpAnswer): Json | undefined {
  const value = status === 200 ? jsonOf(body) : undefined;
  return isObject(value) ? value : undefined;
}
