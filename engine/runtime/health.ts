import type { HealthOptions } from '../engine.ts';
import { EngineError } from '../base/errors.ts';
import type { ContainerConfig, Healthcheck } from '../image/types.ts';
import type { Health } from '../native/protocol.ts';

const SECOND = 1e9;
const MILLISECOND = 1e6;
/** Docker's values where nothing is set, in nanoseconds. */
const DEFAULTS = { interval: 30 * SECOND, timeout: 30 * SECOND, startPeriod: 0, startInterval: 5 * SECOND, retries: 3 };

/**
 * The check that is left of the image's after `--health-*`: without a command of its own the image's is kept, and a value that is not given
 * comes from there.
 */
export function mergeHealth(image: Healthcheck | undefined, asked: HealthOptions | undefined): Healthcheck | undefined {
  if (!asked) return image;
  const merged = {
    Interval: asked.interval ?? image?.Interval,
    Timeout: asked.timeout ?? image?.Timeout,
    StartPeriod: asked.startPeriod ?? image?.StartPeriod,
    StartInterval: asked.startInterval ?? image?.StartInterval,
    Retries: asked.retries ?? image?.Retries,
  };
  const given = Object.entries(merged).filter(([, value]) => value !== undefined);
  return { Test: asked.test ?? image?.Test ?? [], ...Object.fromEntries(given) };
}

/**
 * What the monitor checks; null where there is no check.
 *
 * @throws `HEALTHCHECK_INVALID` for a form of test that is none of Docker's
 */
export function healthOf({ Healthcheck: check, Shell: shell }: ContainerConfig): Health | null {
  const [form, ...words] = check?.Test ?? [];
  if (!check || form === undefined || form === 'NONE') return null;
  const milliseconds = (value: number | undefined, fallback: number): number =>
    Math.max(1, Math.round((value || fallback) / MILLISECOND));
  return {
    args: argsOf(form, words, shell),
    interval: milliseconds(check.Interval, DEFAULTS.interval),
    timeout: milliseconds(check.Timeout, DEFAULTS.timeout),
    startPeriod: Math.round((check.StartPeriod ?? DEFAULTS.startPeriod) / MILLISECOND),
    startInterval: milliseconds(check.StartInterval, DEFAULTS.startInterval),
    retries: check.Retries || DEFAULTS.retries,
  };
}

function argsOf(form: string, words: readonly string[], shell: readonly string[] = ['/bin/sh', '-c']): string[] {
  if (form === 'CMD' && words.length > 0) return [...words];
  if (form === 'CMD-SHELL') return [...shell, words.join(' ')];
  throw new EngineError(
    'HEALTHCHECK_INVALID',
    `Cannot check the container's health: "${[form, ...words].join(' ')}" is not of the form CMD or CMD-SHELL`,
    { hint: 'berth run --health-cmd COMMAND gives another check, --no-healthcheck none' },
  );
}
