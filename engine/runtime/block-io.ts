import { stat } from 'node:fs/promises';
import { EngineError } from '../base/errors.ts';
import type { DeviceRate, Limits } from '../engine.ts';
import type { BlockIo, ThrottleDevice } from '../native/protocol.ts';
import { numbersOf } from './devices.ts';

const [LIGHTEST, HEAVIEST] = [10, 1000];

/**
 * Limits of block devices as the runtime specification has them, by the numbers of their nodes on this machine; undefined where none was asked
 * for. The helper applies each of them or fails.
 *
 * @throws `LIMIT_INVALID` for a weight that is none, `DEVICE_REFUSED` naming what is no block device, `DEVICE_NOT_FOUND` what is not there
 */
export async function blockIoOf(limits: Limits): Promise<BlockIo | undefined> {
  const { blkioWeight: weight = 0, blkioWeightDevice = [] } = limits;
  const rates = [limits.deviceReadBps, limits.deviceWriteBps, limits.deviceReadIops, limits.deviceWriteIops];
  if (weight === 0 && blkioWeightDevice.length === 0 && rates.every((list = []) => list.length === 0)) return undefined;
  if (weight !== 0 && (weight < LIGHTEST || weight > HEAVIEST)) {
    throw new EngineError(
      'LIMIT_INVALID',
      `Cannot limit the container: Range of blkio weight is from ${LIGHTEST} to ${HEAVIEST}`,
    );
  }
  const [readBps = [], writeBps = [], readIops = [], writeIops = []] = await Promise.all(rates.map(toThrottles));
  return {
    ...(weight === 0 ? {} : { weight }),
    weightDevice: await Promise.all(
      blkioWeightDevice.map(async ({ path, weight: its }) => ({ ...(await blockDevice(path)), weight: its })),
    ),
    throttleReadBpsDevice: readBps,
    throttleWriteBpsDevice: writeBps,
    throttleReadIOPSDevice: readIops,
    throttleWriteIOPSDevice: writeIops,
  };
}

async function toThrottles(rates: readonly DeviceRate[] = []): Promise<ThrottleDevice[]> {
  return await Promise.all(rates.map(async ({ path, rate }) => ({ ...(await blockDevice(path)), rate })));
}

async function blockDevice(path: string): Promise<{ readonly major: number; readonly minor: number }> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isBlockDevice()) return numbersOf(BigInt(found.rdev));
  const [code, why] = found
    ? ['DEVICE_REFUSED', 'it is no block device']
    : ['DEVICE_NOT_FOUND', 'no such file or directory'];
  throw new EngineError(code, `Cannot limit device ${path}: ${why}`, {
    hint: 'lsblk --paths shows what block devices there are',
  });
}
