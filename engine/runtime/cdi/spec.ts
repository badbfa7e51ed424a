import { messageOf } from '../../base/errors.ts';
import { createReader, type Reader } from './reader.ts';

/** A device node that a container gets (CDI SPEC.md, "deviceNodes"). */
export interface DeviceNode {
  /** Path in the container. */
  readonly path: string;
  /** Where it is on this machine, when it is elsewhere. */
  readonly hostPath?: string | undefined;
  readonly type?: string | undefined;
  readonly major?: number | undefined;
  readonly minor?: number | undefined;
  readonly fileMode?: number | undefined;
  /** Some of `r`, `w`, `m`. */
  readonly permissions?: string | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

/** A mount that a container gets. */
export interface CdiMount {
  readonly hostPath: string;
  readonly containerPath: string;
  readonly type?: string | undefined;
  readonly options: readonly string[];
}

/** A program that the vendor wants to be run at a point of the container's life. */
export interface CdiHook {
  readonly hookName: string;
  readonly path: string;
  readonly args: readonly string[];
}

/** What a device changes in a container. */
export interface ContainerEdits {
  /** `NAME=value`. */
  readonly env: readonly string[];
  readonly deviceNodes: readonly DeviceNode[];
  readonly mounts: readonly CdiMount[];
  readonly hooks: readonly CdiHook[];
  readonly additionalGids: readonly number[];
  /** Names of edits that are not done: whoever asks for such a device is told. */
  readonly refused: readonly string[];
}

/** A file of a vendor: devices by their names, and what each of them brings beside its own edits. */
export interface CdiSpec {
  /** `nvidia.com/gpu`. */
  readonly kind: string;
  readonly edits: ContainerEdits;
  readonly devices: ReadonlyMap<string, ContainerEdits>;
}

/** No edits at all. */
export const NO_EDITS: ContainerEdits = {
  env: [],
  deviceNodes: [],
  mounts: [],
  hooks: [],
  additionalGids: [],
  refused: [],
};

const VERSION = /^v?[01]\.\d+\.\d+$/;
const KIND = /^[A-Za-z][A-Za-z0-9_.-]*[A-Za-z0-9]\/[A-Za-z](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?$/;
const DEVICE = /^[A-Za-z0-9](?:[A-Za-z0-9_.:-]*[A-Za-z0-9])?$/;
const HOOKS = ['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop'];

/**
 * A CDI specification, of version 0.3 to 1.x, from its parsed document.
 *
 * @throws an `Error` naming the field that is wrong or unknown
 */
export function parseSpec(document: unknown): CdiSpec {
  const root = createReader(document, '');
  root.known(['cdiVersion', 'kind', 'annotations', 'devices', 'containerEdits']);
  const version = root.text('cdiVersion');
  if (!VERSION.test(version)) throw new Error(`cdiVersion ${version} is not known`);
  const kind = root.text('kind');
  if (!KIND.test(kind)) throw new Error(`kind "${kind}" is not of the form vendor.com/class`);
  const devices = new Map<string, ContainerEdits>();
  for (const device of root.objects('devices')) {
    const [name, edits] = parseDevice(device);
    if (devices.has(name)) throw new Error(`device "${name}" is there twice`);
    devices.set(name, edits);
  }
  if (devices.size === 0) throw new Error('it has no devices');
  return { kind, devices, edits: parseEdits(root.object('containerEdits')) };
}

/** `vendor.com/class=name` → its parts; undefined for what is no such name. */
export function parseDeviceName(text: string): { readonly kind: string; readonly name: string } | undefined {
  const at = text.indexOf('=');
  const [kind, name] = [text.slice(0, Math.max(at, 0)), text.slice(at + 1)];
  return at > 0 && KIND.test(kind) && DEVICE.test(name) ? { kind, name } : undefined;
}

function parseDevice(device: Reader): readonly [string, ContainerEdits] {
  device.known(['name', 'annotations', 'containerEdits']);
  const name = device.text('name');
  if (!DEVICE.test(name)) throw new Error(`device name "${name}" is not valid`);
  try {
    return [name, parseEdits(device.object('containerEdits'))];
  } catch (error) {
    throw new Error(`device "${name}": ${messageOf(error)}`, { cause: error });
  }
}

function parseEdits(edits: Reader | undefined): ContainerEdits {
  if (!edits) return NO_EDITS;
  edits.known(['env', 'deviceNodes', 'hooks', 'mounts', 'intelRdt', 'netDevices', 'additionalGids']);
  const env = edits.texts('env');
  const wrong = env.find((line) => line.indexOf('=') < 1);
  if (wrong !== undefined) throw new Error(`"${wrong}" is no environment variable`);
  return {
    env,
    deviceNodes: edits.objects('deviceNodes').map(parseNode),
    mounts: edits.objects('mounts').map(parseMount),
    hooks: edits.objects('hooks').map(parseHook),
    additionalGids: edits.numbers('additionalGids'),
    refused: ['intelRdt', 'netDevices'].filter((name) => edits.has(name)),
  };
}

function parseNode(node: Reader): DeviceNode {
  node.known(['path', 'hostPath', 'type', 'major', 'minor', 'fileMode', 'permissions', 'uid', 'gid']);
  const [type, permissions] = [node.optional('type') || undefined, node.optional('permissions') || undefined];
  const path = node.text('path');
  if (type !== undefined && !/^[bcup]$/.test(type)) throw new Error(`device ${path}: type "${type}" is not known`);
  if (permissions !== undefined && !/^[rwm]+$/.test(permissions)) {
    throw new Error(`device ${path}: permissions "${permissions}" are not some of r, w and m`);
  }
  return {
    path,
    type,
    permissions,
    hostPath: node.optional('hostPath') || undefined,
    major: node.number('major'),
    minor: node.number('minor'),
    fileMode: node.number('fileMode'),
    uid: node.number('uid'),
    gid: node.number('gid'),
  };
}

function parseMount(mount: Reader): CdiMount {
  mount.known(['hostPath', 'containerPath', 'options', 'type']);
  return {
    hostPath: mount.text('hostPath'),
    containerPath: mount.text('containerPath'),
    type: mount.optional('type') || undefined,
    options: mount.texts('options'),
  };
}

function parseHook(hook: Reader): CdiHook {
  hook.known(['hookName', 'path', 'args', 'env', 'timeout']);
  const hookName = hook.text('hookName');
  if (!HOOKS.includes(hookName)) throw new Error(`hook "${hookName}" is not known`);
  return { hookName, path: hook.text('path'), args: hook.texts('args') };
}
