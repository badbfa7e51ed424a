import type { Check } from './report.ts';
import type { SmokeSpec } from './spec.ts';
import { formatMetric, thresholdViolation, type Metric, type Threshold } from './threshold.ts';

/** What was measured, in the metrics' base units; durations by request name. */
export interface Measurements {
  readonly startup?: number | undefined;
  readonly memoryPeak?: number | undefined;
  readonly imageSize?: number | undefined;
  readonly durations: ReadonlyMap<string, readonly number[]>;
}

/** A row for each of `thresholds:`. */
export function budgetChecks(spec: SmokeSpec, measured: Measurements): readonly Check[] {
  return spec.thresholds.map((threshold) => {
    const numbers = numbersFor(threshold, measured);
    const name = threshold.request === undefined ? threshold.metric : `${threshold.metric}{name:${threshold.request}}`;
    const base = { name: `${name} ${threshold.expression}`, location: threshold.location };
    const problem = thresholdViolation(threshold, numbers);
    if (problem !== undefined) {
      return {
        ...base,
        status: 'failed',
        reason: 'budget',
        summary: problem,
        failure: { problems: [problem] },
      };
    }
    return { ...base, status: 'passed', summary: summaryOf(threshold.metric, numbers) };
  });
}

function numbersFor({ metric, request }: Threshold, measured: Measurements): readonly number[] {
  switch (metric) {
    case 'startup':
      return present(measured.startup);
    case 'memory_peak':
      return present(measured.memoryPeak);
    case 'image_size':
      return present(measured.imageSize);
    case 'http_req_duration':
      return request === undefined ? [...measured.durations.values()].flat() : (measured.durations.get(request) ?? []);
  }
}

function present(value: number | undefined): readonly number[] {
  return value === undefined ? [] : [value];
}

function summaryOf(metric: Metric, numbers: readonly number[]): string {
  const [only] = numbers;
  return numbers.length === 1 && only !== undefined ? formatMetric(metric, only) : `${numbers.length} measurements`;
}
