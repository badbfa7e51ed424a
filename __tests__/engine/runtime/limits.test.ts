import { describe, expect, test } from '@jest/globals';
import { toResources } from '../../../engine/runtime/limits.ts';

describe('toResources', () => {
  test('asks for what was given and nothing else', () => {
    expect(toResources({}, 2)).toEqual({});
    expect(toResources({ memory: 64 << 20, memorySwap: -1, cpus: 1.5, pids: 10 }, 2)).toEqual({
      memory: { limit: 64 << 20, swap: -1 },
      cpu: { quota: 150_000, period: 100_000 },
      pids: { limit: 10 },
    });
    expect(toResources({ cpuShares: 512, cpusetCpus: '0,1', pids: 0 }, 2)).toEqual({
      cpu: { shares: 512, cpus: '0,1' },
      pids: { limit: -1 },
    });
  });

  test.each([
    [{ memory: 1024 }, 'Minimum memory limit allowed is 6MB'],
    [{ memorySwap: 64 << 20 }, 'You should always set the Memory limit'],
    [{ memory: 64 << 20, memorySwap: 32 << 20 }, 'larger than memory limit'],
    [{ memory: 64 << 20, memoryReservation: 128 << 20 }, 'less than memory reservation'],
    [{ memoryReservation: 1024 }, 'Minimum memory reservation allowed is 6MB'],
    [{ memorySwappiness: 101 }, 'range is 0-100'],
    [{ cpus: 2.5 }, 'Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available'],
    [{ cpus: 1, cpuQuota: 5 }, 'Nano CPUs and CPU Period or Quota cannot both be set'],
    [{ cpusetCpus: '0-7' }, 'requested 0-7, available: 0-1'],
    [{ cpusetCpus: 'x' }, 'Invalid value x for cpuset cpus'],
  ])('refuses %j', (limits, message) => {
    expect(() => toResources(limits, 2)).toThrow(message);
  });
});
