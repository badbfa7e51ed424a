import type { Ended } from '../../engine/index.ts';
import { budgetChecks } from './budget.ts';
import type { SmokeImage } from './container.ts';
import type { Readiness } from './ready.ts';
import type { Check, SmokeReport } from './report.ts';
import { shutdownCheck, shutdownResult } from './shutdown.ts';
import type { SmokeSpec } from './spec.ts';
import { percentileOf } from './threshold.ts';

/** What was found while the container ran. */
export interface Tested {
  readonly checks: readonly Check[];
  readonly readiness: Readiness;
  readonly durations: ReadonlyMap<string, readonly number[]>;
  readonly predict: readonly number[];
  readonly baseUrl?: string | undefined;
  /** The process ended by itself. */
  readonly died: boolean;
}

/** How the container stopped. */
export interface Stopped {
  readonly ended: Ended;
  readonly seconds: number;
}

/** The report of what was found: the shutdown and the budgets are judged last. */
export function conclude(image: SmokeImage, spec: SmokeSpec, tested: Tested, { ended, seconds }: Stopped): SmokeReport {
  const { readiness } = tested;
  const ready = readiness.kind === 'ready' ? readiness : undefined;
  const shutdown =
    tested.died || ready === undefined ? undefined : shutdownResult(ended, seconds, spec.shutdown.timeoutSeconds);
  const budgets = budgetChecks(spec, {
    startup: ready?.seconds,
    memoryPeak: ended.memoryPeak ?? undefined,
    imageSize: image.size,
    durations: tested.durations,
  });
  const checks = [
    ...tested.checks,
    ...(shutdown === undefined ? [] : [shutdownCheck(ended, shutdown, spec.shutdown, image.config)]),
    ...(ready === undefined ? [] : budgets),
  ];
  const failed = checks.find(({ status }) => status === 'failed');
  return {
    verdict: failed === undefined ? 'passed' : 'failed',
    exitReason: failed?.reason,
    checks,
    readySeconds: ready?.seconds,
    firstByteSeconds: ready?.firstByteSeconds,
    ready: ready === undefined ? undefined : { port: ready.port, path: ready.path },
    firstPredictMs: tested.predict[0],
    secondPredictMs: tested.predict[1],
    p95Ms: p95Of(tested.predict),
    baseUrl: tested.baseUrl,
    memoryPeak:
      ended.memoryPeak === null ? undefined : { bytes: ended.memoryPeak, source: ended.memorySource ?? 'unknown' },
    imageSize: image.size,
    shutdown,
  };
}

/** The report of an image that was not started, since nothing but structure tests was asked for and it is no server. */
export function concludeStructure(image: SmokeImage, spec: SmokeSpec, structure: readonly Check[]): SmokeReport {
  const checks = [...structure, NOT_STARTED, ...budgetChecks(spec, { imageSize: image.size, durations: new Map() })];
  const failed = checks.find(({ status }) => status === 'failed');
  const verdict = failed === undefined ? 'passed' : 'failed';
  return { verdict, exitReason: failed?.reason, checks, imageSize: image.size };
}

const NOT_STARTED: Check = {
  name: 'smoke test',
  status: 'untested',
  summary: 'not started: no EXPOSE, no HEALTHCHECK, and nothing in the smoke test asks for a server',
  hint: 'Write `readinessProbe` to have it started',
};

/** One sample in a hundred is no percentile. */
const MIN_SAMPLES = 20;

function p95Of(durations: readonly number[]): number | undefined {
  if (durations.length < MIN_SAMPLES) return undefined;
  return percentileOf(
    durations.toSorted((a, b) => a - b),
    95,
  );
}
