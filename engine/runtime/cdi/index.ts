import { EngineError } from '../../base/errors.ts';
import type { GpuRequest } from '../../engine.ts';
import { describeDriver } from './driver.ts';
import { type DeviceEdits, editsOf } from './edits.ts';
import { type CdiDevice, CDI_FOLDERS, type CdiRegistry, readRegistry } from './registry.ts';

export { CDI_FOLDERS, readRegistry } from './registry.ts';

/** What was asked for by name. */
export interface AskedDevices {
  readonly deviceNames: readonly string[];
  readonly gpus: readonly GpuRequest[];
  /** The flag that asked for `gpus`, as errors name it; `--gpus` when left out. */
  readonly flag?: string | undefined;
}

const GPU = 'nvidia.com/gpu';
/** What Docker's own driver for NVIDIA's cards can be asked for. */
const CAPABILITIES = new Set(['gpu', 'nvidia', 'compute', 'compat32', 'graphics', 'utility', 'video', 'display']);

/**
 * What `--device vendor.com/class=name` and `--gpus` change in a container: found in the CDI files of `folders`, or in NVIDIA's driver itself.
 *
 * @throws `DEVICE_REFUSED` in Docker's words, with what to do
 */
export async function deviceEdits(
  { deviceNames, gpus, flag = '--gpus' }: AskedDevices,
  owner: { readonly uid: number; readonly gid: number },
  folders: readonly string[] = CDI_FOLDERS,
): Promise<DeviceEdits> {
  const registry = await readRegistry(folders);
  const cards = gpus.length > 0 ? await withDriver(registry) : registry;
  const names = [...deviceNames, ...gpus.flatMap((request) => namesOf(request, cards, flag))];
  return await editsOf(choose([...new Set(names)], cards), owner);
}

/** The vendor's file says most; without one, what the driver itself shows is taken. */
async function withDriver(registry: CdiRegistry): Promise<CdiRegistry> {
  if ([...registry.devices.values()].some(({ spec }) => spec.kind === GPU)) return registry;
  const spec = await describeDriver();
  if (!spec) return registry;
  const devices = new Map(registry.devices);
  for (const [name, edits] of spec.devices) devices.set(`${GPU}=${name}`, { file: '/dev', spec, edits });
  return { ...registry, devices };
}

/** Names of the devices that `--gpus`, or the flag in its place, asks for. */
function namesOf(
  { driver = '', count, devices, capabilities }: GpuRequest,
  registry: CdiRegistry,
  flag: string,
): readonly string[] {
  const known = [...registry.devices.keys()].some((name) => name.startsWith(`${GPU}=`));
  const wanted = `could not select device driver "${driver}" with capabilities: [[${capabilities.join(' ')}]]`;
  if (
    !known ||
    !(driver === '' || driver === 'nvidia' || driver === 'cdi') ||
    !capabilities.every((one) => CAPABILITIES.has(one))
  ) {
    const [problem] = registry.problems;
    throw refused(
      flag,
      wanted,
      problem ??
        (known
          ? 'driver nvidia is known, with some of compute, utility, graphics, video, display and compat32'
          : "install NVIDIA's driver, or write a CDI file: nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"),
    );
  }
  if (count !== 0 && devices.length > 0) {
    throw refused(flag, 'cannot set both Count and DeviceIDs on device request', 'quote them: --gpus \'"device=0,1"\'');
  }
  if (devices.length > 0) return devices.map((id) => (id.includes('=') ? id : `${GPU}=${id}`));
  if (count < 0) return [`${GPU}=all`];
  const cards = numberedCards(registry);
  // More than there are: the names of those that are missing end up in Docker's error.
  const missing = Array.from({ length: count + cards.length }, (_, index) => `${GPU}=${index}`);
  return [...cards, ...missing.filter((name) => !registry.devices.has(name))].slice(0, count);
}

/** Cards by their number; where a file has no numbers, all that it names but `all`, in its order. */
function numberedCards({ devices }: CdiRegistry): readonly string[] {
  const names = [...devices.keys()].filter((name) => name.startsWith(`${GPU}=`) && name !== `${GPU}=all`);
  const numberOf = (name: string): number => Number(name.slice(GPU.length + 1));
  const numbered = names.filter((name) => Number.isInteger(numberOf(name)));
  return numbered.length > 0 ? numbered.sort((a, b) => numberOf(a) - numberOf(b)) : names;
}

function choose(names: readonly string[], { devices, problems }: CdiRegistry): ReadonlyMap<string, CdiDevice> {
  const missing = names.filter((name) => !devices.has(name));
  if (missing.length > 0) {
    const known = [...devices.keys()].sort();
    const there =
      known.length > 0 ? `there are ${known.slice(0, 8).join(', ')}` : 'no CDI file of this machine names a device';
    throw refused(
      missing.join(', '),
      `CDI device injection failed: unresolvable CDI devices ${missing.join(', ')}`,
      [...problems.slice(0, 1), there].join('; '),
    );
  }
  return new Map(names.flatMap((name) => [...devices].filter(([known]) => known === name)));
}

function refused(device: string, why: string, hint: string): EngineError {
  const act = device.startsWith('--') ? 'use' : 'add device';
  return new EngineError('DEVICE_REFUSED', `Cannot ${act} ${device}: ${why}`, { hint });
}
