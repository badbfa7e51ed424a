import { open, readdir } from 'node:fs/promises';
import { constants } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../base/errors.ts';
import { type CdiSpec, type ContainerEdits, parseSpec } from './spec.ts';

/** Where vendors put their files; those of a later folder count before those of an earlier one. */
export const CDI_FOLDERS: readonly string[] = ['/etc/cdi', '/var/run/cdi'];

/** A device with the file that it stands in. */
export interface CdiDevice {
  readonly file: string;
  readonly spec: CdiSpec;
  readonly edits: ContainerEdits;
}

/** All devices that this machine's files name. */
export interface CdiRegistry {
  /** By `vendor.com/class=name`. */
  readonly devices: ReadonlyMap<string, CdiDevice>;
  /** What is wrong with files and names, as sentences; what they say does not count. */
  readonly problems: readonly string[];
}

/** Bytes of a file; those of a machine with eight cards have some hundred thousand. */
const MAX_SIZE = 4 * 1024 * 1024;

/** Reads the CDI files below `folders`. A file that is wrong is a problem of its own devices alone. */
export async function readRegistry(folders: readonly string[] = CDI_FOLDERS): Promise<CdiRegistry> {
  const [devices, problems] = [new Map<string, CdiDevice>(), [] as string[]];
  for (const folder of folders) {
    const own = new Map<string, CdiDevice[]>();
    for (const file of await filesOf(folder)) {
      try {
        const spec = parseSpec(await readDocument(file));
        for (const [name, edits] of spec.devices) add(own, `${spec.kind}=${name}`, { file, spec, edits });
      } catch (error) {
        problems.push(`${file}: ${messageOf(error)}`);
      }
    }
    for (const [name, [found, other]] of own) {
      if (other) problems.push(`${name} stands in ${found?.file} and in ${other.file}`);
      if (found && !other) devices.set(name, found);
      else devices.delete(name);
    }
  }
  return { devices, problems };
}

function add(devices: Map<string, CdiDevice[]>, name: string, device: CdiDevice): void {
  devices.set(name, [...(devices.get(name) ?? []), device]);
}

async function filesOf(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch((): string[] => []);
  return names
    .filter((name) => /\.(json|yaml)$/.test(name))
    .sort()
    .map((name) => join(folder, name));
}

async function readDocument(path: string): Promise<unknown> {
  const text = await readBounded(path);
  if (path.endsWith('.json')) return JSON.parse(text) as unknown;
  // Only who asks for a device by name needs it.
  const { parse } = await import('yaml');
  return parse(text, { maxAliasCount: 100 }) as unknown;
}

async function readBounded(path: string): Promise<string> {
  // A pipe must not be waited for.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw new Error('it is no file');
    if (stats.size > MAX_SIZE) throw new Error(`it has ${stats.size} bytes, over the limit of ${MAX_SIZE}`);
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}
