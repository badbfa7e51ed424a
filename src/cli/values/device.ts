import type { DeviceRequest } from '../../../engine/index.ts';
import { UsageError } from '../usage-error.ts';

/** `/dev/x[:/dev/y][:rwm]`, of `--device`. @throws naming what is wrong */
export function parseDevice(text: string): DeviceRequest {
  const [hostPath = '', second, third, ...rest] = text.split(':');
  if (rest.length > 0 || hostPath === '') throw new UsageError(`invalid device specification: ${text}`);
  if (!hostPath.startsWith('/')) {
    throw new UsageError(
      `Cannot use device "${text}": devices by name (CDI) are not supported yet`,
      'give the path of a device: --device /dev/fuse',
    );
  }
  if (third !== undefined) return { hostPath, path: second || hostPath, access: checked(third, text) };
  if (second !== undefined && isAccess(second)) return { hostPath, path: hostPath, access: second };
  return { hostPath, path: second || hostPath, access: 'rwm' };
}

function isAccess(word: string): boolean {
  return /^[rwm]{1,3}$/.test(word) && new Set(word).size === word.length;
}

function checked(word: string, text: string): string {
  if (isAccess(word)) return word;
  throw new UsageError(`invalid device mode: ${word} in ${text}`, 'some of r, w and m');
}
