import { describe, expect, test } from '@jest/globals';
import { blockIoOf } from '../../../engine/runtime/block-io.ts';
import { cgroupBelow } from '../../../engine/runtime/cgroup-parent.ts';
import { withSwap } from '../../../engine/runtime/swap.ts';
import { parseByteRate, parseOperationRate, parseWeight } from '../../../src/cli/values/block-device.ts';

describe('limits of block devices', () => {
  test.each([
    ['/dev/sda:1mb', 1024 ** 2],
    ['/dev/sda:2048', 2048],
    ['/dev/sda:2gb', 2 * 1024 ** 3],
    ['/dev/sda:0', 0],
  ])('reads %s', (text, rate) => expect(parseByteRate(text)).toEqual({ path: '/dev/sda', rate }));

  test.each([
    ['/dev/sda', /bad format: \/dev\/sda/],
    ['sda:1mb', /bad format for device path: sda:1mb/],
    ['/dev/sda:', /bad format/],
    ['/dev/sda:-1', /invalid rate for device: \/dev\/sda:-1/],
    ['/dev/sda:much', /Unit is optional and can be kb, mb, or gb/],
  ])('refuses %s', (text, words) => expect(() => parseByteRate(text)).toThrow(words));

  test('counts operations without a unit, and weights from 10 to 1000', () => {
    expect(parseOperationRate('/dev/sda:100')).toEqual({ path: '/dev/sda', rate: 100 });
    expect(() => parseOperationRate('/dev/sda:1mb')).toThrow(/Number must be a positive integer$/);
    expect(parseWeight('/dev/sda:200')).toEqual({ path: '/dev/sda', weight: 200 });
    for (const text of ['/dev/sda:5', '/dev/sda:1001', '/dev/sda:x']) {
      expect(() => parseWeight(text)).toThrow(`invalid weight for device: ${text}`);
    }
  });

  test('asks for nothing where nothing was said, and names what is no block device', async () => {
    await expect(blockIoOf({})).resolves.toBeUndefined();
    await expect(blockIoOf({ blkioWeight: 0 })).resolves.toBeUndefined();
    await expect(blockIoOf({ blkioWeight: 300 })).resolves.toMatchObject({ weight: 300, weightDevice: [] });
    await expect(blockIoOf({ blkioWeight: 5 })).rejects.toThrow('Range of blkio weight is from 10 to 1000');
    const rate = (path: string): Promise<unknown> => blockIoOf({ deviceReadBps: [{ path, rate: 1 }] });
    await expect(rate('/dev/null')).rejects.toThrow('Cannot limit device /dev/null: it is no block device');
    await expect(rate('/dev/nowhere')).rejects.toThrow('Cannot limit device /dev/nowhere: no such file or directory');
  });
});

test('a limit of memory bounds swap as well where the kernel counts it, and leaves what was asked for', async () => {
  const none = { cgroup: { mode: 'none', controllers: [] } };
  await expect(withSwap({ memory: 64 }, none)).resolves.toEqual({ memory: 64 });
  await expect(withSwap({ memory: 64, memorySwap: -1 }, none)).resolves.toEqual({ memory: 64, memorySwap: -1 });
  await expect(withSwap({ cpus: 1 }, none)).resolves.toEqual({ cpus: 1 });
});

test('a cgroup lies below the one that was asked for, and nowhere else', () => {
  expect(cgroupBelow(undefined, 'id')).toBeUndefined();
  expect(cgroupBelow('/jobs/mine', 'id')).toBe('/jobs/mine/id');
  expect(cgroupBelow('jobs', 'id')).toBe('/jobs/id');
  for (const parent of ['/', '../x', '/a/../b', '/cgroup.procs', 'user.slice']) {
    expect(() => cgroupBelow(parent, 'id')).toThrow(`Cannot use --cgroup-parent ${parent}`);
  }
});
