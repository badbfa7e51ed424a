import type { BuildContext } from './build-context.ts';
import { buildBody } from './build-body.ts';
import { buildChecks, buildHeaderChecks } from './build-checks.ts';
import { parseJson, type Json } from './json.ts';
import type { Path } from './place.ts';
import type { RawGolden, RawItem, RawStatus, RawTolerance } from './raw.ts';
import { compileSchema } from './schema-check.ts';
import type { Tolerance } from './close.ts';
import type { ExpectedResponse, Golden, HttpRequest, Placed, Repeat, RequestItem, StatusPattern } from './spec.ts';

/** One of `requests:`, with its files read. */
export async function buildItem(raw: RawItem, at: Path, context: BuildContext): Promise<RequestItem> {
  const request = await buildRequest(raw.request, at, context);
  return {
    name: raw.name ?? `${request.method} ${request.path}`,
    request,
    response: await buildResponse(raw.response ?? {}, [...at, 'response'], context),
    repeat: raw.repeat === undefined ? undefined : buildRepeat(raw.repeat, [...at, 'repeat'], context),
    location: context.place(at),
  };
}

async function buildRequest(raw: RawItem['request'], at: Path, context: BuildContext): Promise<HttpRequest> {
  const given = Object.entries(raw.headers ?? {}).map(([name, value]) => [name.toLowerCase(), String(value)] as const);
  const { contentType, ...body } = await buildBody(raw, at, context);
  const headers = {
    ...(contentType === undefined ? {} : { 'content-type': contentType }),
    ...Object.fromEntries(given),
  };
  return { method: raw.method ?? (body.body === undefined ? 'GET' : 'POST'), path: raw.path, headers, ...body };
}

async function buildResponse(
  raw: NonNullable<RawItem['response']>,
  at: Path,
  context: BuildContext,
): Promise<ExpectedResponse> {
  return {
    status: [raw.status ?? '2xx'].flat().map(toPattern),
    statusLocation: context.place([...at, 'status']),
    headers: buildHeaderChecks([...at, 'headers'], raw.headers, context),
    schema: raw.schema === undefined ? undefined : await buildSchema(raw.schema, [...at, 'schema'], context),
    jsonpath: buildChecks([...at, 'jsonpath'], raw.jsonpath, context),
    golden: raw.golden === undefined ? undefined : await buildGolden(raw.golden, [...at, 'golden'], context),
    finite: raw.finite ?? true,
    sse: raw.sse === undefined ? undefined : { minEvents: 1, ...raw.sse, location: context.place([...at, 'sse']) },
    openapi: raw.openapi === true ? { location: context.place([...at, 'openapi']) } : undefined,
  };
}

function toPattern(status: RawStatus): StatusPattern {
  return typeof status === 'number' ? { code: status } : { class: Number(status.charAt(0)) };
}

async function buildSchema(value: Json, at: Path, context: BuildContext): Promise<ExpectedResponse['schema']> {
  const { json } = await context.payload(at, value);
  const validate = context.attempt(
    at,
    () => compileSchema(json ?? true),
    () => [],
  );
  return { validate, location: context.place(at) };
}

async function buildGolden(raw: string | RawGolden, at: Path, context: BuildContext): Promise<Placed & Golden> {
  const golden = typeof raw === 'string' ? { file: raw } : raw;
  const bytes = await context.attemptAsync(at, () => context.files.read(golden.file), Buffer.alloc(0));
  const tolerance = buildTolerance(golden, at, context, NUMPY);
  return { ...tolerance, file: golden.file, wanted: jsonOrBytes(bytes), location: context.place(at) };
}

/** The defaults of `numpy.testing.assert_allclose`. */
const NUMPY = { rtol: 1e-7, atol: 0 };
/** Two runs of the same float32 model may add in another order. */
const SAME = { rtol: 1e-5, atol: 1e-8 };

function buildRepeat(raw: NonNullable<RawItem['repeat']>, at: Path, context: BuildContext): Repeat {
  if (raw.same === undefined || raw.same === false) return { times: raw.times };
  const tolerance = raw.same === true ? {} : raw.same;
  return { times: raw.times, same: buildTolerance(tolerance, [...at, 'same'], context, SAME) };
}

function buildTolerance(
  raw: RawTolerance,
  at: Path,
  context: BuildContext,
  defaults: { readonly rtol: number; readonly atol: number },
): Tolerance {
  return {
    rtol: raw.rtol ?? defaults.rtol,
    atol: raw.atol ?? defaults.atol,
    ignore: (raw.ignore ?? []).flatMap((source, index) => {
      const path = context.jsonPath([...at, 'ignore', index], source);
      return path === undefined ? [] : [path];
    }),
  };
}

function jsonOrBytes(bytes: Buffer): Golden['wanted'] {
  try {
    return { json: parseJson(bytes.toString('utf8')).value };
  } catch {
    return { bytes };
  }
}
