import type { TestContainer } from './container.ts';
import { HttpFailure, sendHttp } from './http.ts';
import { parseJson, type Json } from './json.ts';
import type { Check } from './report.ts';
import type { Mask } from './text.ts';

const HINT = 'Give one line: smoke-test: "{ preset: fastapi, payload: tests/row.json }", or a file with requests';
const METHODS = ['post', 'put', 'patch'];
const MAX_ROWS = 10;

/**
 * Rows for what `auto` could not test: the routes that the server says, in its own OpenAPI document, to take a body. No payload is
 * guessed; they are neither red nor silent.
 */
export async function untestedChecks(
  container: TestContainer,
  port: number,
  options: { readonly mask: Mask; readonly signal?: AbortSignal | undefined },
): Promise<readonly Check[]> {
  const routes = (await routesOf(container, port, options.signal)).slice(0, MAX_ROWS);
  const names = routes.length > 0 ? routes.map(options.mask) : ['predict'];
  return names.map((name) => ({ name, status: 'untested', summary: 'no example payload was given', hint: HINT }));
}

async function routesOf(
  container: TestContainer,
  port: number,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  const target = container.ports.get(port);
  if (target === undefined) return [];
  const request = { method: 'GET', path: '/openapi.json', headers: {} };
  try {
    const answer = await sendHttp(target, request, { total: 5000, idle: 5000, maxBody: 4 << 20, signal });
    return answer.status === 200 ? routesIn(parseJson(Buffer.from(answer.body).toString('utf8')).value) : [];
  } catch (error) {
    signal?.throwIfAborted();
    // A server need not describe itself, and what it says need not be JSON.
    if (error instanceof HttpFailure || error instanceof Error) return [];
    throw error;
  }
}

function routesIn(document: Json): readonly string[] {
  const paths = member(document, 'paths');
  if (typeof paths !== 'object' || paths === null) return [];
  return Object.entries(paths).flatMap(([path, item]) =>
    METHODS.filter((method) => member(item, method) !== undefined).map((method) => `${method.toUpperCase()} ${path}`),
  );
}

function member(value: Json, key: string): Json | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return Object.hasOwn(value, key) ? (value as { readonly [key: string]: Json })[key] : undefined;
}
