import type { HealthOptions } from '../../../engine/index.ts';
import { single, text, toggle, type Values } from '../flags.ts';
import { UsageError } from '../usage-error.ts';
import { parseNumber } from './limit-flags.ts';
import { parseDuration } from '../values/time.ts';

/** `--health-*` of `run` and `create`. */
export const HEALTH_FLAGS = {
  healthCmd: text('--health-cmd COMMAND', 'command that checks the health'),
  healthInterval: single('--health-interval TIME', 'time between checks (30s)', parseTime),
  healthRetries: single('--health-retries NUMBER', 'failures in a row that mean unhealthy (3)', parseNumber),
  healthStartInterval: single(
    '--health-start-interval TIME',
    'time between checks in the start period (5s)',
    parseTime,
  ),
  healthStartPeriod: single('--health-start-period TIME', 'time in which failures do not count (0s)', parseTime),
  healthTimeout: single('--health-timeout TIME', 'time that a check may take (30s)', parseTime),
  noHealthcheck: toggle('--no-healthcheck', "do not run the image's check"),
} as const;

/** What was asked for; undefined leaves the image's check as it is. @throws for flags that exclude each other */
export function toHealth(values: Values<typeof HEALTH_FLAGS>): HealthOptions | undefined {
  const given: HealthOptions = {
    ...(values.healthCmd === undefined ? {} : { test: ['CMD-SHELL', values.healthCmd] }),
    ...pick('interval', values.healthInterval),
    ...pick('timeout', values.healthTimeout),
    ...pick('startPeriod', values.healthStartPeriod),
    ...pick('startInterval', values.healthStartInterval),
    ...pick('retries', values.healthRetries),
  };
  if (values.noHealthcheck) {
    if (Object.keys(given).length > 0) throw new UsageError('--no-healthcheck conflicts with --health-* options');
    return { test: ['NONE'] };
  }
  if ((values.healthRetries ?? 0) < 0) throw new UsageError('--health-retries cannot be negative');
  return Object.keys(given).length > 0 ? given : undefined;
}

function pick<K extends string>(name: K, value: number | undefined): Partial<Record<K, number>> {
  // Type: a record of the one key K, which TypeScript widens to string.
  return (value === undefined ? {} : { [name]: value }) as Partial<Record<K, number>>;
}

/** Nanoseconds. */
function parseTime(word: string): number {
  if (word.startsWith('-')) throw new UsageError('the duration cannot be negative');
  const milliseconds = word === '0' ? 0 : parseDuration(word);
  if (milliseconds === undefined) throw new UsageError(`time: invalid duration "${word}"`, 'write 30s, 1m30s or 500ms');
  if (milliseconds > 0 && milliseconds < 1) throw new UsageError('the duration must be at least 1ms');
  return milliseconds * 1e6;
}
