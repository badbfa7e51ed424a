import { EngineError } from '../base/errors.ts';
import type { GpuRequest, RunSpec } from '../engine.ts';
import type { Device, DeviceRule, IdMap, Mount } from '../native/protocol.ts';
import type { Connection } from './dependencies.ts';
import { hostDevices, requestedDevices } from './devices.ts';
import { rootHint } from './root-hint.ts';
import type { Identity } from './user.ts';

/** What a container's devices, by path and by name, put into its configuration. */
export interface PlannedDevices {
  readonly nodes: readonly Device[];
  readonly rules: readonly DeviceRule[];
  /** `NAME=value`, over the image's and the caller's; further processes get it too. */
  readonly env: readonly string[];
  /** They take the place of what was asked for at the same path. */
  readonly mounts: readonly Mount[];
  readonly additionalGids: readonly number[];
  readonly warnings: readonly string[];
}

/** Works out the devices of a container whose environment is `env`. @throws `DEVICE_REFUSED`, and `RUNG_REFUSED` for rules where none are kept */
export async function planDevices(
  { cdi, helper }: Pick<Connection, 'cdi'> & { readonly helper: { readonly idMap: IdMap } },
  spec: RunSpec,
  { identity, env }: { readonly identity: Identity; readonly env: readonly string[] },
): Promise<PlannedDevices> {
  if (helper.idMap.kind !== 'root' && spec.deviceRules?.length) throw noRules('--device-cgroup-rule', helper.idMap);
  const own = await (spec.privileged ? hostDevices() : requestedDevices(spec.devices ?? [], spec.deviceRules));
  checkAccess(own, helper.idMap);
  const { deviceNames = [] } = spec;
  const { gpus, flag } = cardsOf(spec, env);
  if (deviceNames.length + gpus.length === 0) return { ...own, env: [], mounts: [], additionalGids: [], warnings: [] };
  const { deviceEdits } = await import('./cdi/index.ts');
  const edits = await deviceEdits({ deviceNames, gpus, flag }, identity, cdi);
  checkAccess(edits, helper.idMap);
  const nodes = new Map([...own.nodes, ...edits.nodes].map((node) => [node.path, node]));
  const path = edits.libraries === undefined ? [] : [appended(env, edits.libraries)];
  return {
    nodes: [...nodes.values()],
    rules: [...own.rules, ...edits.rules],
    env: [...edits.env, ...path],
    mounts: edits.mounts,
    additionalGids: edits.additionalGids,
    warnings: [...edits.warnings, ...olderDriver(env, edits.driver)],
  };
}

/**
 * The cards that were asked for: by `--gpus`, or by NVIDIA_VISIBLE_DEVICES where `--runtime nvidia` has it read. As with NVIDIA's runtime, a
 * container that names none there gets none.
 */
function cardsOf(
  { gpus = [], runtime }: RunSpec,
  env: readonly string[],
): { readonly gpus: readonly GpuRequest[]; readonly flag?: string } {
  // Docker writes what `--gpus` asks for over the variable.
  if (runtime !== 'nvidia' || gpus.length > 0) return { gpus };
  const named = valueOf(env, 'NVIDIA_VISIBLE_DEVICES')?.split(',') ?? [];
  const devices = named.map((name) => name.trim()).filter((name) => !NO_CARD.has(name));
  if (devices.length === 0) return { gpus: [] };
  const asked = devices.includes('all') ? { count: -1, devices: [] } : { count: 0, devices };
  return { gpus: [{ ...asked, capabilities: ['gpu'] }], flag: '--runtime nvidia' };
}

/** Words of NVIDIA_VISIBLE_DEVICES for no card at all. */
const NO_CARD: ReadonlySet<string> = new Set(['', 'void', 'none']);

/** In a user namespace a node is the host's, bound, and gives all that its mode does. */
function checkAccess({ nodes, rules }: Pick<PlannedDevices, 'nodes' | 'rules'>, idMap: IdMap): void {
  if (idMap.kind === 'root') return;
  const less = rules.find(({ access = 'rwm' }) => !(access.includes('r') && access.includes('w')));
  if (less === undefined) return;
  const node = nodes.find(({ major, minor }) => major === less.major && minor === less.minor);
  throw noRules(`access ${less.access} to ${node?.path ?? 'a device'}`, idMap);
}

function noRules(what: string, idMap: IdMap): EngineError {
  return new EngineError('RUNG_REFUSED', `Cannot use ${what}: a user namespace keeps a container to no device rules`, {
    hint: `give the device with rw; else ${rootHint(idMap)}`,
  });
}

function appended(env: readonly string[], folder: string): string {
  const folders = (valueOf(env, 'LD_LIBRARY_PATH') ?? '').split(':').filter(Boolean);
  return `LD_LIBRARY_PATH=${(folders.includes(folder) ? folders : [...folders, folder]).join(':')}`;
}

/** Oldest driver that runs programs of a CUDA version without the libraries of `cuda-compat`. */
const OLDEST_DRIVERS: Readonly<Record<string, number>> = { '11': 450, '12': 525, '13': 580 };

/** NVIDIA's runtime puts the image's `cuda-compat` first then; here that is the user's to say. */
function olderDriver(env: readonly string[], driver: string | undefined): readonly string[] {
  const cuda = valueOf(env, 'CUDA_VERSION')?.split('.')[0];
  const [oldest, major] = [OLDEST_DRIVERS[cuda ?? ''], Number(driver?.split('.')[0])];
  if (oldest === undefined || !(major < oldest)) return [];
  return [
    `the image has CUDA ${cuda}, which wants driver ${oldest} or later, and this machine has ${driver}: ` +
      'where the image brings cuda-compat, add -e LD_LIBRARY_PATH=/usr/local/cuda/compat',
  ];
}

function valueOf(env: readonly string[], name: string): string | undefined {
  return env.findLast((line) => line.startsWith(`${name}=`))?.slice(name.length + 1);
}
