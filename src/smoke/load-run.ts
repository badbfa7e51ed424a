import { checkAnswer } from './assert.ts';
import type { ExerciseContext } from './exercise.ts';
import { HttpFailure } from './http.ts';
import type { Check } from './report.ts';
import { sendOnce } from './send.ts';
import type { Placed, RequestItem } from './spec.ts';
import { percentileOf } from './threshold.ts';

/** `load:` in k6's words. */
export interface Load extends Placed {
  readonly iterations: number;
  /** Requests at the same time. */
  readonly vus: number;
  /** Requests before the first that is measured. */
  readonly warmup: number;
  /** Name of the request that is repeated; undefined: the first predict. */
  readonly request?: string | undefined;
}

/** What a load showed. */
export interface Loaded {
  readonly check: Check;
  /** Milliseconds of every good answer. */
  readonly durations: readonly number[];
}

/** Repeats one request; an answer that is not as it should be fails the test. */
export async function runLoad(load: Load, item: RequestItem, context: ExerciseContext): Promise<Loaded> {
  const start = performance.now();
  const durations: number[] = [];
  const problems: string[] = [];
  let left = load.iterations;
  const once = async (isMeasured: boolean): Promise<void> => {
    const sent = await sendOnce(item.request, context);
    if (sent instanceof HttpFailure) problems.push(sent.message);
    else {
      problems.push(
        ...checkAnswer(sent, item.response)
          .map(({ message }) => message)
          .slice(0, 1),
      );
      if (isMeasured) durations.push(sent.totalMs);
    }
  };
  const work = async (): Promise<void> => {
    while (left > 0 && context.container.ended() === undefined) {
      left -= 1;
      await once(true);
    }
  };
  for (let time = 0; time < load.warmup && problems.length === 0; time += 1) await once(false);
  if (problems.length === 0) await Promise.all(Array.from({ length: load.vus }, work));
  return {
    check: toCheck(load, item, { durations, problems, milliseconds: performance.now() - start }, context),
    durations,
  };
}

function toCheck(
  load: Load,
  item: RequestItem,
  seen: { readonly durations: readonly number[]; readonly problems: readonly string[]; readonly milliseconds: number },
  { mask }: ExerciseContext,
): Check {
  const { durations, problems, milliseconds } = seen;
  const sorted = durations.toSorted((a, b) => a - b);
  const times =
    sorted.length === 0 ? '' : `: median ${ms(percentileOf(sorted, 50))}, p95 ${ms(percentileOf(sorted, 95))}`;
  const summary = `${durations.length} of ${item.name}, ${load.vus} at a time${times}`;
  const base = { name: 'load', milliseconds, location: load.location };
  if (problems.length === 0) return { ...base, status: 'passed', summary: mask(summary) };
  const told = `${problems.length} of ${load.warmup + load.iterations} were not answered well: ${problems[0] ?? ''}`;
  const failure = { problems: [mask(told)] };
  return { ...base, status: 'failed', reason: 'assertion', summary: mask(told), failure };
}

function ms(milliseconds: number): string {
  return `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms`;
}
