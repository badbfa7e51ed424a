import { checkAnswer, checkSame, matchesStatus, type Violation } from './assert.ts';
import type { TestContainer } from './container.ts';
import { toCurl } from './curl.ts';
import { endedCheck } from './ended.ts';
import { HttpFailure, type HttpAnswer } from './http.ts';
import type { Check, Failure } from './report.ts';
import { sendOnce } from './send.ts';
import type { RequestItem } from './spec.ts';
import { excerptOf, type Mask } from './text.ts';

/** What a request is sent with. */
export interface ExerciseContext {
  readonly container: TestContainer;
  /** Container port. */
  readonly port: number;
  readonly mask: Mask;
  readonly signal?: AbortSignal | undefined;
}

/** What came of one item of `requests:`. */
export interface Exercised {
  readonly check: Check;
  /** Milliseconds of every answer, in order. */
  readonly durations: readonly number[];
  /** False when the server does not answer any more: what follows is skipped. */
  readonly alive: boolean;
}

/** Milliseconds that a dying process gets to be seen dead before its silence is called the server's fault. */
const DEATH_RATTLE = 500;

/**
 * Sends one item, as often as it says, without any retry, and judges the answers. Stops at the first bad one.
 *
 * @param options `lenient`: nobody wrote this request for this test, so that what is only not as expected is a warning; a first predict that
 *   breaks, a number that is not finite and the end of the process stay failures (DESIGN.md 8)
 */
export async function exercise(
  item: RequestItem,
  context: ExerciseContext,
  options: { readonly firstPredict: boolean; readonly lenient?: boolean },
): Promise<Exercised> {
  const exercised = await sendItem(item, context, options);
  return options.lenient === true ? { ...exercised, check: leniently(exercised.check) } : exercised;
}

function leniently(check: Check): Check {
  if (check.status !== 'failed' || check.reason !== 'assertion') return check;
  return { ...check, status: 'warning', reason: undefined };
}

async function sendItem(
  item: RequestItem,
  context: ExerciseContext,
  options: { readonly firstPredict: boolean; readonly lenient?: boolean },
): Promise<Exercised> {
  const durations: number[] = [];
  let first: HttpAnswer | undefined;
  for (let time = 1; time <= (item.repeat?.times ?? 1); time += 1) {
    const mark = context.container.log.mark();
    const lied = options.firstPredict && time === 1;
    const sent = await sendOnce(item.request, context);
    if (sent instanceof HttpFailure) {
      const died = await diedOf(context, mark);
      if (died !== undefined) return { check: ofItem(died, item, context), durations, alive: false };
      // Slow is no lie: only a limit that somebody set makes it a failure.
      const broke = lied && !(options.lenient === true && sent.kind === 'timeout');
      return { check: transportFailure(item, sent, context, { mark, lied: broke }), durations, alive: false };
    }
    durations.push(sent.totalMs);
    const problems = [...checkAnswer(sent, item.response), ...sameViolations(item, first, sent, time)];
    first ??= sent;
    if (problems.length > 0) {
      await context.container.log.settle();
      return { check: badAnswer(item, sent, problems, context, { mark, lied }), durations, alive: true };
    }
  }
  return { check: passed(item, first, durations), durations, alive: true };
}

/** The check that says that the process is gone, if it is, or is in a moment. */
async function diedOf({ container, mask }: ExerciseContext, mark: number): Promise<Check | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<undefined>((resolve) => (timer = setTimeout(() => resolve(undefined), DEATH_RATTLE)));
  const ended = await Promise.race([container.whenEnded, patience]);
  clearTimeout(timer);
  await container.log.settle();
  return ended === undefined ? undefined : endedCheck(container, ended, { mask, mark });
}

/** The end of the process, told as the failure of the request that saw it. */
function ofItem(died: Check, item: RequestItem, context: ExerciseContext): Check {
  const failure = died.failure && { ...died.failure, curl: curlOf(item, context) };
  return { ...died, name: item.name, location: item.location, failure };
}

function sameViolations(
  item: RequestItem,
  first: HttpAnswer | undefined,
  answer: HttpAnswer,
  time: number,
): readonly Violation[] {
  const same = item.repeat?.same;
  if (same === undefined || first === undefined) return [];
  return checkSame(first, answer, same).map((text) => ({
    reason: 'assertion',
    message: `answer ${time} differs from the first: ${text}`,
  }));
}

interface When {
  readonly mark: number;
  /** It was the first predict after ready. */
  readonly lied: boolean;
}

function transportFailure(
  item: RequestItem,
  failure: HttpFailure,
  context: ExerciseContext,
  { mark, lied }: When,
): Check {
  const summary = lied ? `ready, but the first request failed: ${failure.message}` : failure.message;
  return {
    name: item.name,
    status: 'failed',
    milliseconds: failure.milliseconds,
    reason: lied ? 'readiness-lied' : 'assertion',
    summary,
    failure: { ...describe(item, context, mark), problems: [failure.message], status: failure.status },
    location: item.location,
  };
}

function badAnswer(
  item: RequestItem,
  answer: HttpAnswer,
  problems: readonly Violation[],
  context: ExerciseContext,
  { mark, lied }: When,
): Check {
  const readinessLied = lied && answer.status >= 500 && !matchesStatus(answer.status, item.response.status);
  const messages = problems.map(({ message }) => context.mask(message));
  const [first = ''] = messages;
  return {
    name: item.name,
    status: 'failed',
    milliseconds: answer.totalMs,
    reason: readinessLied
      ? 'readiness-lied'
      : (problems.find(({ reason }) => reason === 'non-finite') ?? problems[0])?.reason,
    summary: readinessLied ? `ready, but the first request failed: ${first}` : first,
    failure: {
      ...describe(item, context, mark),
      problems: messages,
      status: answer.status,
      body: context.mask(excerptOf(answer.body, answer.headers['content-type'] ?? '')),
    },
    location: problems.find(({ location }) => location !== undefined)?.location ?? item.location,
  };
}

function describe(item: RequestItem, context: ExerciseContext, mark: number): Omit<Failure, 'problems'> {
  return { curl: curlOf(item, context), log: context.container.log.since(mark).map(context.mask) };
}

/** The published port is gone with the container: what a person can repeat is the container's own. */
function curlOf(item: RequestItem, { container, port, mask }: ExerciseContext): string {
  const base = container.ports.get(port) === undefined ? '' : `http://127.0.0.1:${port}`;
  return mask(toCurl(item.request, base));
}

function passed(item: RequestItem, answer: HttpAnswer | undefined, durations: readonly number[]): Check {
  const times = durations.length > 1 ? `, ${durations.length} times` : '';
  return {
    name: item.name,
    status: 'passed',
    milliseconds: durations[0],
    summary: `${item.request.method} ${item.request.path} → ${answer?.status ?? 0}${times}`,
    location: item.location,
  };
}
