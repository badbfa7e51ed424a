import type { DeviceAccess, DeviceRequest } from '../../../engine/index.ts';
import { UsageError } from '../usage-error.ts';

/** `/dev/x[:/dev/y][:rwm]`, or the name of a device that a CDI file has: `vendor.com/class=name`, of `--device`. @throws naming what is wrong */
export function parseDevice(text: string): DeviceRequest | string {
  if (CDI_NAME.test(text)) return text;
  const [hostPath = '', second, third, ...rest] = text.split(':');
  if (rest.length > 0 || hostPath === '') throw new UsageError(`bad format for path: ${text}`);
  absolute(hostPath);
  if (third !== undefined) return { hostPath, path: absolute(second ?? ''), access: checked(third, text) };
  if (second !== undefined && isAccess(second)) return { hostPath, path: hostPath, access: second };
  return { hostPath, path: second === undefined ? hostPath : absolute(second), access: 'rwm' };
}

/** `c 42:* rmw`, of `--device-cgroup-rule`. @throws as Docker does */
export function parseDeviceRule(text: string): DeviceAccess {
  const [, type, major = '', minor = '', access = ''] =
    /^([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})$/.exec(text) ?? [];
  if (type !== 'a' && type !== 'b' && type !== 'c') {
    throw new UsageError(`invalid device cgroup format '${text}'`, "--device-cgroup-rule 'c 42:* rmw'");
  }
  return { type, ...numberOf('major', major), ...numberOf('minor', minor), access: [...new Set(access)].join('') };
}

function numberOf(name: 'major' | 'minor', word: string): Pick<DeviceAccess, 'major' | 'minor'> {
  if (word === '*') return {};
  if (Number(word) <= 0xffff_ffff) return { [name]: Number(word) };
  throw new UsageError(`invalid ${name} number ${word} of a device`);
}

/** `vendor.com/class=name`. */
const CDI_NAME = /^[A-Za-z][\w.-]*\/[A-Za-z][\w.-]*=[A-Za-z0-9]([\w.:-]*[A-Za-z0-9])?$/;

function absolute(path: string): string {
  if (path.startsWith('/')) return path;
  throw new UsageError(`${path} is not an absolute path`, 'give the path of a device: --device /dev/fuse');
}

function isAccess(word: string): boolean {
  return /^[rwm]{1,3}$/.test(word) && new Set(word).size === word.length;
}

function checked(word: string, text: string): string {
  if (isAccess(word)) return word;
  throw new UsageError(`bad mode specified: ${word} in ${text}`, 'some of r, w and m');
}
