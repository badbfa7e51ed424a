import { describe, expect, test } from '@jest/globals';
import { healthOf, mergeHealth } from '../../../engine/runtime/health.ts';

const image = { Test: ['CMD', 'curl', 'localhost'], Interval: 5e9, Retries: 7 };

describe('mergeHealth', () => {
  test('keeps what the image says where nothing is asked for', () => {
    expect(mergeHealth(image, undefined)).toBe(image);
    expect(mergeHealth(image, { timeout: 1e9 })).toEqual({ ...image, Timeout: 1e9 });
    expect(mergeHealth(image, { test: ['CMD-SHELL', 'true'], retries: 1 })).toEqual({
      Test: ['CMD-SHELL', 'true'],
      Interval: 5e9,
      Retries: 1,
    });
    expect(mergeHealth(undefined, { test: ['NONE'] })).toEqual({ Test: ['NONE'] });
  });
});

describe('healthOf', () => {
  test('fills in the defaults of Docker, in milliseconds', () => {
    expect(healthOf({ Healthcheck: { Test: ['CMD-SHELL', 'test -e /x && true'] } })).toEqual({
      args: ['/bin/sh', '-c', 'test -e /x && true'],
      interval: 30_000,
      timeout: 30_000,
      startPeriod: 0,
      startInterval: 5000,
      retries: 3,
    });
    expect(healthOf({ Healthcheck: image })).toMatchObject({ args: ['curl', 'localhost'], interval: 5000, retries: 7 });
  });

  test('runs a shell form in the shell of the image', () => {
    const shelled = { Healthcheck: { Test: ['CMD-SHELL', 'x'] }, Shell: ['/bin/bash', '-o', 'pipefail', '-c'] };
    expect(healthOf(shelled)?.args).toEqual(['/bin/bash', '-o', 'pipefail', '-c', 'x']);
  });

  test('takes no check, and NONE, as none, and refuses a form of its own', () => {
    expect(healthOf({})).toBeNull();
    expect(healthOf({ Healthcheck: { Test: [] } })).toBeNull();
    expect(healthOf({ Healthcheck: { Test: ['NONE'] } })).toBeNull();
    expect(() => healthOf({ Healthcheck: { Test: ['RUN', 'x'] } })).toThrow('"RUN x" is not of the form');
  });
});
