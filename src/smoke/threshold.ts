/** Metrics that a threshold can be set for; `http_req_duration{name:…}` narrows to one request. */
export type Metric = 'startup' | 'memory_peak' | 'image_size' | 'http_req_duration';

/** One k6 expression, parsed: `p(95)<500`. */
export interface Threshold {
  readonly metric: Metric;
  /** The request's name, of `http_req_duration{name:one row}`. */
  readonly request?: string | undefined;
  /** As it was written. */
  readonly expression: string;
  readonly aggregate: Aggregate;
  readonly operator: Operator;
  /** In the metric's base unit: seconds for startup, milliseconds for durations, bytes for the others. */
  readonly limit: number;
}

type Aggregate = 'value' | 'avg' | 'min' | 'med' | 'max' | { readonly percentile: number };
type Operator = '<' | '<=' | '>' | '>=' | '==' | '!=';

const EXPRESSION =
  /^\s*(value|avg|min|med|max|p\(\s*(\d+(?:\.\d+)?)\s*\))\s*(<=|>=|==|!=|===|!==|<|>)\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*$/;
const METRIC = /^(http_req_duration)\{name:(.+)\}$/;

const TIME_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000 };
const BYTES: Readonly<Record<string, number>> = {
  b: 1,
  k: 1e3, kb: 1e3, m: 1e6, mb: 1e6, g: 1e9, gb: 1e9,
  ki: 2 ** 10, kib: 2 ** 10, mi: 2 ** 20, mib: 2 ** 20, gi: 2 ** 30, gib: 2 ** 30,
}; // prettier-ignore

/**
 * Parses an expression of k6's grammar. Units may follow the number; without one: seconds, milliseconds or bytes, by metric.
 *
 * @throws `Error` with what was wanted
 */
export function parseThreshold(key: string, expression: string): Threshold {
  const [, narrowed, request] = METRIC.exec(key) ?? [];
  const metric = (narrowed ?? key) as Metric;
  const match = EXPRESSION.exec(expression);
  if (match === null) throw new Error(`wanted an expression such as ${example(metric)}`);
  const [, aggregate = '', percentile, operator = '', number = '', unit = ''] = match;
  if ((metric === 'http_req_duration') === (aggregate === 'value')) {
    throw new Error(`${metric} has no ${aggregate}: wanted an expression such as ${example(metric)}`);
  }
  if (percentile !== undefined && Number(percentile) > 100) throw new Error(`p(${percentile}) is above p(100)`);
  return {
    metric,
    request,
    expression,
    aggregate: percentile === undefined ? (aggregate as Aggregate) : { percentile: Number(percentile) },
    operator: operator.slice(0, operator.startsWith('=') || operator.startsWith('!') ? 2 : undefined) as Operator,
    limit: Number(number) * factor(metric, unit),
  };
}

/** Why the numbers do not fulfil the threshold; undefined when they do. */
export function thresholdViolation(threshold: Threshold, numbers: readonly number[]): string | undefined {
  const { aggregate, expression } = threshold;
  const label = threshold.request === undefined ? threshold.metric : `${threshold.metric}{name:${threshold.request}}`;
  if (numbers.length === 0) return `${label}: wanted ${expression}, nothing was measured`;
  // One sample in a hundred is no percentile: refuse what cannot be known rather than flake.
  const needed = samplesFor(aggregate);
  if (numbers.length < needed) {
    return `${label}: ${expression} needs ${needed} measurements, there are ${numbers.length}: raise load.iterations or repeat.times`;
  }
  const value = aggregated(numbers, aggregate);
  if (holds(value, threshold.operator, threshold.limit)) return undefined;
  return `${label}: wanted ${expression}, got ${formatMetric(threshold.metric, value)}`;
}

/** A measured value with its unit, for people. */
export function formatMetric(metric: Metric, value: number): string {
  if (metric === 'startup') return `${value.toFixed(1)} s`;
  if (metric === 'http_req_duration') return `${value.toFixed(value < 10 ? 1 : 0)} ms`;
  return `${(value / 2 ** 20).toFixed(1)} MiB`;
}

function example(metric: Metric): string {
  if (metric === 'startup') return "'value<60s'";
  return metric === 'http_req_duration' ? "'p(95)<500'" : "'value<1500Mi'";
}

function factor(metric: Metric, unit: string): number {
  if (unit === '') return 1;
  const isTime = metric === 'startup' || metric === 'http_req_duration';
  const found = (isTime ? TIME_MS : BYTES)[unit.toLowerCase()];
  if (found === undefined)
    throw new Error(`unknown unit ${unit}: wanted ${isTime ? 'ms, s or m' : 'Ki, Mi, Gi, KB, MB or GB'}`);
  return metric === 'startup' ? found / 1000 : found;
}

function samplesFor(aggregate: Aggregate): number {
  if (typeof aggregate === 'string' || aggregate.percentile >= 100) return 1;
  return Math.ceil(100 / (100 - aggregate.percentile) - 1e-9);
}

function aggregated(numbers: readonly number[], aggregate: Aggregate): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  if (aggregate === 'avg') return sorted.reduce((sum, n) => sum + n, 0) / sorted.length;
  if (aggregate === 'min' || aggregate === 'value') return sorted[0] ?? NaN;
  if (aggregate === 'max') return sorted.at(-1) ?? NaN;
  return percentileOf(sorted, aggregate === 'med' ? 50 : aggregate.percentile);
}

/** k6's percentile: linear interpolation between the two nearest ranks. @param sorted ascending */
export function percentileOf(sorted: readonly number[], percentile: number): number {
  const rank = (percentile / 100) * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(rank)] ?? NaN, sorted[Math.ceil(rank)] ?? NaN];
  return low + (high - low) * (rank - Math.floor(rank));
}

function holds(value: number, operator: Operator, limit: number): boolean {
  switch (operator) {
    case '<':
      return value < limit;
    case '<=':
      return value <= limit;
    case '>':
      return value > limit;
    case '>=':
      return value >= limit;
    case '==':
      return value === limit;
    case '!=':
      return value !== limit;
  }
}
