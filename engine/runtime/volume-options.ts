import { stat } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { EngineError } from '../base/errors.ts';
import { isMissing } from '../base/missing.ts';
import type { Mount } from '../native/protocol.ts';

/** What a volume with options is mounted from, instead of a folder of the store. */
export interface VolumeOrigin {
  readonly type: 'bind' | 'tmpfs';
  /** hostPath of a bind. */
  readonly device: string;
  readonly options: readonly string[];
}

const KNOWN = new Set(['type', 'device', 'o']);

/**
 * Reads the options of Docker's local driver: a bind (`type=none,o=bind,device=/path`) or a tmpfs. Undefined without any.
 *
 * @throws `VOLUME_INVALID` naming what is missing, unknown or not done
 */
export function originOf(name: string, options: Readonly<Record<string, string>> = {}): VolumeOrigin | undefined {
  const words = Object.keys(options);
  if (words.length === 0) return undefined;
  const unknown = words.find((word) => !KNOWN.has(word));
  if (unknown === 'size') throw invalid(name, 'quota size requested but no quota support', TMPFS);
  if (unknown !== undefined) throw invalid(name, `invalid option: "${unknown}"`, 'type, device and o are known');
  const { type = '', device = '', o = '' } = options;
  if (device === '') throw invalid(name, 'missing required option: "device"', '-o device=/path');
  const list = o.split(',').filter(Boolean);
  if (type === 'tmpfs') return { type, device, options: list };
  const binds = list.some((word) => word === 'bind' || word === 'rbind');
  if ((type === 'none' || type === '' || type === 'bind') && binds) {
    if (!isAbsolute(device)) throw invalid(name, `device ${device} is no absolute path`, '-o device="$PWD/folder"');
    return { type: 'bind', device, options: list };
  }
  if (type === '') throw invalid(name, 'missing required option: "type"', '-o type=none -o o=bind, or -o type=tmpfs');
  throw invalid(
    name,
    `a volume of type ${type} is not done`,
    'mount it on this machine, and bind the folder: -o type=none -o o=bind -o device=/mnt/folder',
  );
}

/** The mount of such a volume. @throws `MOUNT_SOURCE_MISSING` for a bind whose folder is gone, in Docker's words */
export async function mountOrigin(
  { type, device, options }: VolumeOrigin,
  {
    name,
    target,
    readonly = false,
  }: { readonly name: string; readonly target: string; readonly readonly?: boolean | undefined },
): Promise<Mount> {
  const access = readonly && !options.includes('ro') ? ['ro'] : [];
  if (type === 'tmpfs') return { destination: target, type, source: 'tmpfs', options: [...options, ...access] };
  await stat(device).catch((error: unknown) => {
    // What this process may not look at, the helper may; it says what is wrong.
    if (!isMissing(error)) return;
    throw new EngineError(
      'MOUNT_SOURCE_MISSING',
      `Cannot mount volume ${name}: failed to mount local volume: mount ${device}: no such file or directory`,
      { hint: `mkdir -p ${device}`, cause: error },
    );
  });
  return { destination: target, type: 'bind', source: device, options: [...options, 'rprivate', ...access] };
}

const TMPFS = 'a tmpfs has one: -o type=tmpfs -o device=tmpfs -o o=size=64m';

function invalid(name: string, why: string, hint: string): EngineError {
  return new EngineError('VOLUME_INVALID', `Cannot create volume ${name}: create ${name}: ${why}`, { hint });
}
