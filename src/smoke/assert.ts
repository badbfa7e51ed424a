import { differences, type Tolerance } from './close.ts';
import type { HttpAnswer } from './http.ts';
import { JsonError, parseJson, type Json, type NonFinite } from './json.ts';
import { selectOne, violations } from './predicates.ts';
import type { ExitReason } from './report.ts';
import type { SourceLocation } from '../../engine/index.ts';
import type { ExpectedResponse, HeaderCheck, StatusPattern } from './spec.ts';
import { eventsOf, eventViolations, nonFiniteEvents } from './sse.ts';

/** One thing that an answer should have been. */
export interface Violation {
  readonly reason: Extract<ExitReason, 'assertion' | 'non-finite'>;
  /** Expected against got. */
  readonly message: string;
  readonly location?: SourceLocation | undefined;
}

/** Everything in which an answer is not as the spec wants it; empty when it is. */
export function checkAnswer(answer: HttpAnswer, expected: ExpectedResponse): readonly Violation[] {
  const found: Violation[] = [...statusViolations(answer, expected), ...headerViolations(answer, expected.headers)];
  if (expected.sse !== undefined) return [...found, ...streamViolations(answer, expected, expected.sse)];
  const wantsJson = expected.schema !== undefined || expected.jsonpath.length > 0 || isJsonGolden(expected);
  if (!wantsJson && !isJson(answer)) return [...found, ...bytesViolations(answer, expected)];
  const body = readJson(answer);
  if ('message' in body)
    return [...found, { reason: 'assertion', message: body.message, location: placeOfJson(expected) }];
  return [
    ...found,
    ...(expected.finite ? body.nonFinite.map(nonFiniteViolation) : []),
    ...jsonViolations(body.value, expected),
    ...bytesViolations(answer, expected),
  ];
}

/** A stream of events has no JSON as a whole. */
function streamViolations(
  answer: HttpAnswer,
  { finite, status }: ExpectedResponse,
  sse: NonNullable<ExpectedResponse['sse']>,
): readonly Violation[] {
  if (!matchesStatus(answer.status, status)) return [];
  const type = answer.headers['content-type'] ?? '';
  if (!/^text\/event-stream\b/i.test(type))
    return [violation(`sse: wanted text/event-stream, got ${type || 'no content type'}`, sse.location)];
  const events = eventsOf(answer.body, answer.arrivals);
  const wrong = eventViolations(events, answer.totalMs, sse).map((text) => violation(`sse: ${text}`, sse.location));
  return [...wrong, ...(finite ? nonFiniteEvents(events).map(nonFiniteViolation) : [])];
}

/** Where two answers to the same request differ. */
export function checkSame(first: HttpAnswer, answer: HttpAnswer, tolerance: Tolerance): readonly string[] {
  if (first.status !== answer.status) return [`wanted status ${first.status} again, got ${answer.status}`];
  const [one, other] = [readJson(first), readJson(answer)];
  if ('message' in one || 'message' in other) {
    return Buffer.compare(first.body, answer.body) === 0 ? [] : ['wanted the same bytes again, got others'];
  }
  return differences(other.value, one.value, tolerance);
}

/** Whether a status is one of the wanted ones. */
export function matchesStatus(status: number, wanted: readonly StatusPattern[]): boolean {
  return wanted.some((pattern) =>
    'code' in pattern ? pattern.code === status : pattern.class === Math.floor(status / 100),
  );
}

function statusViolations(answer: HttpAnswer, { status, statusLocation }: ExpectedResponse): readonly Violation[] {
  if (matchesStatus(answer.status, status)) return [];
  const wanted = status
    .map((pattern) => ('code' in pattern ? String(pattern.code) : `${pattern.class}xx`))
    .join(' or ');
  const to = answer.headers['location'];
  const redirect =
    answer.status >= 300 && answer.status < 400 && to !== undefined ? ` (to ${to}; redirects are not followed)` : '';
  return [
    {
      reason: 'assertion',
      message: `status: wanted ${wanted}, got ${answer.status}${redirect}`,
      location: statusLocation,
    },
  ];
}

function headerViolations(answer: HttpAnswer, checks: readonly HeaderCheck[]): readonly Violation[] {
  return checks.flatMap(({ name, predicates, location }) => {
    const value = answer.headers[name];
    const selected =
      value === undefined
        ? ({ found: false } as const)
        : { found: true, value: comparable(name, value, predicates['==']) };
    return violations(selected, predicates).map((text) => ({
      reason: 'assertion' as const,
      message: `header ${name}: ${text}`,
      location,
    }));
  });
}

/** `application/json` is what people write and what `application/json; charset=utf-8` means. */
function comparable(name: string, value: string, wanted: Json | undefined): string {
  if (name !== 'content-type' || typeof wanted !== 'string' || wanted.includes(';')) return value;
  return (value.split(';', 1)[0] ?? value).trim();
}

function jsonViolations(value: Json, { schema, jsonpath, golden }: ExpectedResponse): readonly Violation[] {
  return [
    ...(schema?.validate(value) ?? []).map((text) => violation(`schema: ${text}`, schema?.location)),
    ...jsonpath.flatMap(({ path, predicates, location }) =>
      violations(selectOne(path, value), predicates).map((text) => violation(`${path.source}: ${text}`, location)),
    ),
    ...(golden !== undefined && 'json' in golden.wanted
      ? differences(value, golden.wanted.json, golden).map((text) =>
          violation(`${golden.file}: ${text}`, golden.location),
        )
      : []),
  ];
}

function bytesViolations(answer: HttpAnswer, { golden }: ExpectedResponse): readonly Violation[] {
  if (golden === undefined || !('bytes' in golden.wanted)) return [];
  if (Buffer.compare(answer.body, golden.wanted.bytes) === 0) return [];
  const sizes = `wanted ${golden.wanted.bytes.length} bytes, got ${answer.body.length} other ones`;
  return [violation(`${golden.file}: ${sizes}`, golden.location)];
}

function violation(message: string, location: SourceLocation | undefined): Violation {
  return { reason: 'assertion', message, location };
}

function nonFiniteViolation({ path, token }: NonFinite): Violation {
  const why = /^-?[NI]/.test(token) ? 'which is no JSON' : 'which no float can hold';
  return { reason: 'non-finite', message: `${path}: wanted a finite number, got ${token}, ${why}` };
}

function isJson(answer: HttpAnswer): boolean {
  return /^application\/(?:[\w.+-]+\+)?json\b/i.test(answer.headers['content-type'] ?? '');
}

function isJsonGolden({ golden }: ExpectedResponse): boolean {
  return golden !== undefined && 'json' in golden.wanted;
}

function placeOfJson({ schema, jsonpath, golden }: ExpectedResponse): SourceLocation | undefined {
  return schema?.location ?? jsonpath[0]?.location ?? golden?.location;
}

type Body = { readonly value: Json; readonly nonFinite: readonly NonFinite[] } | { readonly message: string };

function readJson(answer: HttpAnswer): Body {
  const encoding = answer.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    return { message: `the answer is encoded as ${encoding}, though no encoding was asked for` };
  }
  try {
    return parseJson(new TextDecoder('utf-8', { fatal: true }).decode(answer.body));
  } catch (error) {
    if (error instanceof JsonError)
      return { message: `the body is no JSON: ${error.message} at ${error.path} (offset ${error.offset})` };
    if (error instanceof TypeError) return { message: 'the body is no UTF-8' };
    throw error;
  }
}
