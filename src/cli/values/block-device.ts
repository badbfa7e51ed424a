import { UsageError } from '../usage-error.ts';
import { parseSize } from './size.ts';

/** `/dev/sda:1mb`, bytes a second. @throws as Docker does */
export function parseByteRate(text: string): { readonly path: string; readonly rate: number } {
  const { path, value } = split(text);
  return {
    path,
    rate: read(
      () => (/^\d/.test(value) ? parseSize(value) : undefined),
      `invalid rate for device: ${text}. The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb`,
    ),
  };
}

/** `/dev/sda:1000`, operations a second. @throws as Docker does */
export function parseOperationRate(text: string): { readonly path: string; readonly rate: number } {
  const { path, value } = split(text);
  return {
    path,
    rate: read(
      () => (/^\d+$/.test(value) && Number.isSafeInteger(Number(value)) ? Number(value) : undefined),
      `invalid rate for device: ${text}. The correct format is <device-path>:<number>. Number must be a positive integer`,
    ),
  };
}

/** `/dev/sda:200`, of `--blkio-weight-device`; 0 is none. @throws as Docker does */
export function parseWeight(text: string): { readonly path: string; readonly weight: number } {
  const { path, value } = split(text);
  const weight = /^\d{1,5}$/.test(value) ? Number(value) : NaN;
  if (weight === 0 || (weight >= 10 && weight <= 1000)) return { path, weight };
  throw new UsageError(`invalid weight for device: ${text}`, 'a weight is a number from 10 to 1000');
}

function split(text: string): { readonly path: string; readonly value: string } {
  const at = text.indexOf(':');
  if (at < 1 || at === text.length - 1) throw new UsageError(`bad format: ${text}`, '/dev/sda:1mb');
  const path = text.slice(0, at);
  if (!path.startsWith('/dev/')) throw new UsageError(`bad format for device path: ${text}`, '/dev/sda:1mb');
  return { path, value: text.slice(at + 1) };
}

function read(parse: () => number | undefined, message: string): number {
  try {
    const value = parse();
    if (value !== undefined) return value;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
  }
  throw new UsageError(message);
}
