import { stat } from 'node:fs/promises';
import { isAbsolute, posix } from 'node:path';
import { EngineError, messageOf } from '../../base/errors.ts';
import { isMissing } from '../../base/missing.ts';
import type { Device, DeviceRule, Mount } from '../../native/protocol.ts';
import { numbersOf } from '../devices.ts';
import type { CdiDevice } from './registry.ts';
import { doHooks, type HookWork } from './hooks.ts';
import type { CdiMount, ContainerEdits, DeviceNode } from './spec.ts';

/** What devices by name change in a container's configuration. */
export interface DeviceEdits {
  /** `NAME=value`, over the image's and the caller's. */
  readonly env: readonly string[];
  readonly nodes: readonly Device[];
  readonly rules: readonly DeviceRule[];
  readonly mounts: readonly Mount[];
  readonly additionalGids: readonly number[];
  /** A folder to append to LD_LIBRARY_PATH. */
  readonly libraries?: string | undefined;
  /** Version of NVIDIA's driver, where it is known. */
  readonly driver?: string | undefined;
  readonly warnings: readonly string[];
}

/** Who owns a node that its vendor gave no owner: the process of the container. */
interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * The edits of some devices, in their order; what comes with a file comes once (CDI SPEC.md, "containerEdits").
 *
 * @throws `DEVICE_REFUSED` naming the device and what of it cannot be done here
 */
export async function editsOf(devices: ReadonlyMap<string, CdiDevice>, owner: Owner): Promise<DeviceEdits> {
  const all: ContainerEdits[] = [];
  const nodes = new Map<string, { node: Device; access: string }>();
  const work: HookWork[] = [];
  const specs = new Set<CdiDevice['spec']>();
  for (const [name, { spec, edits }] of devices) {
    const own = specs.has(spec) ? [edits] : [spec.edits, edits];
    specs.add(spec);
    all.push(...own);
    await attempt(name, async () => {
      for (const { refused } of own) if (refused[0] !== undefined) throw new Error(`${refused[0]} is not done`);
      for (const node of own.flatMap(({ deviceNodes }) => deviceNodes)) {
        const made = await toNode(node, owner);
        nodes.set(made.node.path, made);
      }
      await checkMounts(own.flatMap(({ mounts }) => mounts));
    });
  }
  const mounts = all.flatMap((edits) => edits.mounts);
  await attempt([...devices.keys()].join(', '), async () => {
    work.push(
      await doHooks(
        all.flatMap(({ hooks }) => hooks),
        mounts,
        [...nodes.keys()],
      ),
    );
  });
  const [hooks] = work;
  return {
    env: all.flatMap(({ env }) => env),
    nodes: [...nodes.values()].map(({ node }) => node),
    rules: [...nodes.values()].filter(({ node }) => node.type !== 'p').map(toRule),
    mounts: lastByPlace([...mounts, ...(hooks?.mounts ?? [])].map(toMount)),
    additionalGids: [...new Set(all.flatMap(({ additionalGids }) => additionalGids))].filter((gid) => gid !== 0),
    libraries: hooks?.libraries,
    driver: hooks?.driver,
    warnings: hooks?.warnings ?? [],
  };
}

async function attempt(name: string, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    throw new EngineError('DEVICE_REFUSED', `Cannot add device ${name}: ${messageOf(error)}`, { cause: error });
  }
}

async function toNode(
  { path, hostPath = path, type, major, minor, fileMode, permissions = 'rwm', uid, gid }: DeviceNode,
  owner: Owner,
): Promise<{ readonly node: Device; readonly access: string }> {
  const inside = posix.normalize(path);
  if (!inside.startsWith('/dev/')) throw new Error(`its node ${path} is not below /dev`);
  const known = type !== undefined && (type === 'p' || major !== undefined);
  const found = known ? { type, major: major ?? 0, minor: minor ?? 0 } : await deviceAt(hostPath);
  if (type !== undefined && type !== found.type) throw new Error(`${hostPath} is of type ${found.type}, not ${type}`);
  const node = {
    path: inside,
    ...found,
    fileMode: (fileMode ?? 0o666) & 0o7777,
    uid: uid ?? owner.uid,
    gid: gid ?? owner.gid,
  };
  return { node, access: permissions };
}

async function deviceAt(path: string): Promise<Pick<Device, 'type' | 'major' | 'minor'>> {
  const stats = await stat(path).catch((error: unknown) => {
    throw new Error(isMissing(error) ? absent(path) : `${path} cannot be looked at: ${messageOf(error)}`, {
      cause: error,
    });
  });
  if (stats.isFIFO()) return { type: 'p', major: 0, minor: 0 };
  if (!stats.isCharacterDevice() && !stats.isBlockDevice()) throw new Error(`${path} is no device node`);
  return { type: stats.isBlockDevice() ? 'b' : 'c', ...numbersOf(BigInt(stats.rdev)) };
}

async function checkMounts(mounts: readonly CdiMount[]): Promise<void> {
  for (const { hostPath, containerPath, type = 'bind' } of mounts) {
    if (!isAbsolute(containerPath) || posix.normalize(containerPath) === '/') {
      throw new Error(`its mount on "${containerPath}" has no absolute path below /`);
    }
    if (type === 'tmpfs') continue;
    if (type !== 'bind' && type !== 'none')
      throw new Error(`its mount of type ${type} on ${containerPath} is not done`);
    if (!isAbsolute(hostPath)) throw new Error(`its mount of ${hostPath} has no absolute path`);
    await stat(hostPath).catch((error: unknown) => {
      // What this process may not look at, the helper may; it says what is wrong.
      if (isMissing(error)) throw new Error(absent(hostPath), { cause: error });
    });
  }
}

function absent(path: string): string {
  return `there is no ${path} on this machine`;
}

function toRule({
  node: { type, major, minor },
  access,
}: {
  readonly node: Device;
  readonly access: string;
}): DeviceRule {
  // A character device by its other name.
  return { allow: true, type: type === 'u' ? 'c' : type, major, minor, access };
}

function toMount({ hostPath, containerPath, type, options }: CdiMount): Mount {
  const destination = posix.normalize(containerPath).replace(/\/+$/, '');
  if (type === 'tmpfs') return { destination, type, source: 'tmpfs', options: [...options] };
  const bind = options.some((word) => word === 'bind' || word === 'rbind');
  return { destination, type: 'bind', source: hostPath, options: [...(bind ? [] : ['rbind']), ...options] };
}

function lastByPlace(mounts: readonly Mount[]): readonly Mount[] {
  return [...new Map(mounts.map((mount) => [mount.destination, mount])).values()];
}
