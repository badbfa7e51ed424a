import type { Tolerance } from './close.ts';
import { differences } from './close.ts';
import type { ExerciseContext } from './exercise.ts';
import { HttpFailure } from './http.ts';
import { isObject, jsonOf, type Json } from './json.ts';
import type { JsonPath } from './jsonpath.ts';
import { member } from './openapi-document.ts';
import { selectOne } from './predicates.ts';
import type { Check } from './report.ts';
import { sendOnce } from './send.ts';
import type { HttpRequest, Placed } from './spec.ts';

/** `batch:` — many rows in one request must be answered as each alone. */
export interface Batch extends Placed {
  /** All rows. */
  readonly request: HttpRequest;
  /** Each row alone. */
  readonly singles: readonly HttpRequest[];
  /** Where the list of answers is; undefined: the only list with as many elements as there are rows. */
  readonly answer?: JsonPath | undefined;
  readonly tolerance: Tolerance;
}

/** Sends the batch, then each row, and compares. */
export async function checkBatch(batch: Batch, context: ExerciseContext): Promise<Check> {
  const start = performance.now();
  const problems = await problemsOf(batch, context);
  const base = { name: 'batch', milliseconds: performance.now() - start, location: batch.location };
  if (problems.length === 0)
    return { ...base, status: 'passed', summary: `${batch.singles.length} rows at once are answered as one by one` };
  const told = problems.slice(0, 20).map(context.mask);
  return { ...base, status: 'failed', reason: 'assertion', summary: told[0], failure: { problems: told } };
}

async function problemsOf(batch: Batch, context: ExerciseContext): Promise<readonly string[]> {
  const { singles } = batch;
  const all = await answerOf(batch.request, context);
  if ('problem' in all) return [`all rows at once: ${all.problem}`];
  const choose = batch.answer === undefined ? onlyList(all.value, singles.length) : byPath(batch.answer);
  const list = choose?.(all.value);
  if (choose === undefined || list === undefined)
    return ['no list of answers is found: name it, such as answer: "$.predictions"'];
  if (list.length !== singles.length) return [`wanted ${singles.length} answers, got ${list.length}`];
  const problems: string[] = [];
  for (const [index, request] of singles.entries()) {
    const alone = await answerOf(request, context);
    if ('problem' in alone) return [`row ${index + 1} alone: ${alone.problem}`];
    const [wanted, ...others] = choose(alone.value) ?? [];
    if (wanted === undefined || others.length > 0)
      return [`row ${index + 1} alone: wanted 1 answer, got ${wanted === undefined ? 'none' : others.length + 1}`];
    const found = differences(list[index] ?? null, wanted, batch.tolerance);
    problems.push(...found.map((text) => `row ${index + 1} in the batch: ${text}`));
  }
  return problems;
}

type Answer = { readonly value: Json } | { readonly problem: string };

async function answerOf(request: HttpRequest, context: ExerciseContext): Promise<Answer> {
  const sent = await sendOnce(request, context);
  if (sent instanceof HttpFailure) return { problem: sent.message };
  if (sent.status < 200 || sent.status > 299) return { problem: `wanted status 2xx, got ${sent.status}` };
  const value = jsonOf(sent.body);
  return value === undefined ? { problem: 'the body is no JSON' } : { value };
}

type Choose = (value: Json) => readonly Json[] | undefined;

function byPath(path: JsonPath): Choose {
  return (value) => {
    const selected = selectOne(path, value);
    return selected.found ? listOf(selected.value) : undefined;
  };
}

/** The answer itself, or its only member that is a list with as many elements as there are rows. */
function onlyList(answer: Json, count: number): Choose | undefined {
  if (!isObject(answer)) return listOf;
  const [name, other] = Object.keys(answer).filter((key) => listOf(answer[key] ?? null)?.length === count);
  if (name === undefined || other !== undefined) return undefined;
  return (value) => listOf(member(value, name) ?? null);
}

function listOf(value: Json): readonly Json[] | undefined {
  return Array.isArray(value) ? (value as readonly Json[]) : undefined;
}
