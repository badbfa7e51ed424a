import { lstat, readdir, realpath, stat } from 'node:fs/promises';
import { isAbsolute, posix } from 'node:path';
import { EngineError } from '../base/errors.ts';
import type { DeviceAccess, DeviceRequest } from '../engine.ts';
import type { Device, DeviceRule } from '../native/protocol.ts';

/** Nodes of a container, and who may use them. */
export interface Devices {
  readonly nodes: Device[];
  readonly rules: DeviceRule[];
}

/** Folders of the host's /dev that a container has for itself. */
const OWN = new Set(['pts', 'shm', 'mqueue', 'fd', 'core', 'console', 'ptmx', 'stdin', 'stdout', 'stderr']);
const MODE = 0o7777;

/** What every container may use, by spec/hardening.md 4; all else is refused. */
export function defaultRules(): DeviceRule[] {
  const numbers = [
    [1, 3],
    [1, 5],
    [1, 7],
    [1, 8],
    [1, 9],
    [5, 0],
    [5, 1],
    [5, 2],
  ] as const;
  return [
    { allow: false, access: 'rwm' },
    ...numbers.map(([major, minor]) => ({ allow: true, type: 'c', major, minor, access: 'rwm' })),
    { allow: true, type: 'c', major: 136, access: 'rwm' },
  ];
}

/**
 * The devices of `--device`, which may name a folder.
 *
 * @throws `DEVICE_REFUSED` naming one that is not there or is none
 */
export async function requestedDevices(
  asked: readonly DeviceRequest[],
  further: readonly DeviceAccess[] = [],
): Promise<Devices> {
  const found = await Promise.all(asked.map(toDevices));
  return {
    nodes: found.flat().map(({ node }) => node),
    rules: [
      ...found.flat().map(({ node, access }) => ({
        allow: true,
        type: node.type,
        major: node.major,
        minor: node.minor,
        access,
      })),
      ...further.map(({ type, major, minor, access }) => ({
        allow: true,
        type,
        ...(major === undefined ? {} : { major }),
        ...(minor === undefined ? {} : { minor }),
        access,
      })),
    ],
  };
}

/** Every device of the host, for `--privileged`. */
export async function hostDevices(): Promise<Devices> {
  const nodes = await below('/dev', '/dev', (name) => !OWN.has(name));
  return { nodes, rules: [{ allow: true, access: 'rwm' }] };
}

async function toDevices(
  request: DeviceRequest,
): Promise<readonly { readonly node: Device; readonly access: string }[]> {
  const { hostPath, path, access } = request;
  const refused = (why: string, code = 'DEVICE_REFUSED'): EngineError =>
    new EngineError(code, `Cannot add device ${hostPath}: ${why}`, {
      hint: 'ls -l /dev shows what devices there are',
    });
  if (!isAbsolute(hostPath) || !isAbsolute(path)) throw refused('it is not an absolute path');
  const target = posix.normalize(path);
  if (!target.startsWith('/dev/')) {
    throw refused(`it can only be given below /dev, not at ${path}`);
  }
  const real = await realpath(hostPath).catch(() => undefined);
  if (real === undefined) throw refused('no such file or directory', 'DEVICE_NOT_FOUND');
  const stats = await stat(real);
  if (stats.isDirectory()) {
    const nodes = await below(real, target, () => true);
    if (nodes.length === 0) throw refused('there is no device in the folder');
    return nodes.map((node) => ({ node, access }));
  }
  const node = await deviceAt(real, target);
  if (!node) throw refused('not a device node');
  return [{ node, access }];
}

async function below(folder: string, target: string, wanted: (name: string) => boolean): Promise<Device[]> {
  const names = (await readdir(folder).catch((): string[] => [])).filter(wanted).sort();
  const found = await Promise.all(
    names.map(async (name) => {
      const [path, inside] = [`${folder}/${name}`, `${target}/${name}`];
      const stats = await lstat(path).catch(() => undefined);
      if (stats?.isDirectory()) return await below(path, inside, () => true);
      return [await deviceAt(path, inside)].filter((device) => device !== undefined);
    }),
  );
  return found.flat();
}

async function deviceAt(hostPath: string, path: string): Promise<Device | undefined> {
  const stats = await lstat(hostPath).catch(() => undefined);
  if (!stats || !(stats.isCharacterDevice() || stats.isBlockDevice())) return undefined;
  const { major, minor } = numbersOf(BigInt(stats.rdev));
  return {
    path,
    type: stats.isBlockDevice() ? 'b' : 'c',
    major,
    minor,
    fileMode: stats.mode & MODE,
    uid: stats.uid,
    gid: stats.gid,
  };
}

/** As glibc's makedev packs them. */
export function numbersOf(device: bigint): { readonly major: number; readonly minor: number } {
  const major = ((device >> 32n) & 0xff_ff_f0_00n) | ((device >> 8n) & 0xf_ffn);
  const minor = ((device >> 12n) & 0xff_ff_ff_00n) | (device & 0xffn);
  return { major: Number(major), minor: Number(minor) };
}
