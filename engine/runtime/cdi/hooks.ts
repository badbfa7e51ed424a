import { basename, posix } from 'node:path';
import type { CdiHook, CdiMount } from './spec.ts';
import { sonameOf } from './library.ts';

/** What takes the place of hooks: names beside those of the mounts, and where the dynamic linker looks. */
export interface HookWork {
  readonly mounts: readonly CdiMount[];
  /** Folder of libraries to append to LD_LIBRARY_PATH; undefined when there is none. */
  readonly libraries?: string | undefined;
  /** Version of the driver that the host has, where a hook says it. */
  readonly driver?: string | undefined;
  /** Names of devices that cannot be made. */
  readonly warnings: readonly string[];
}

/**
 * A folder with nothing but the driver's libraries, which NVIDIA's own images have on their LD_LIBRARY_PATH. The system's folder is not put
 * there: its libstdc++ would then be found before the one that a Python environment brings.
 */
export const LIBRARY_FOLDER = '/usr/local/nvidia/lib64';

/** Programs of NVIDIA's toolkit whose hooks are done here, without running them: they would work in the container's files with our rights. */
const PROGRAMS = new Set(['nvidia-cdi-hook', 'nvidia-ctk']);
const LIBRARY = /^lib[\w.+-]+\.so(\.[\w.]+)?$/;

/**
 * Does the hooks of NVIDIA's toolkit: links and the names that `ldconfig` would make are mounts of the same files.
 *
 * @param nodes paths of the devices in the container: a link to one of them is no mount, and is named in a warning
 * @throws an `Error` naming a hook that is not done
 */
export async function doHooks(
  hooks: readonly CdiHook[],
  mounts: readonly CdiMount[],
  nodes: readonly string[] = [],
): Promise<HookWork> {
  const calls = hooks.map(callOf);
  const links = new Map<string, string>();
  for (const { words } of calls.filter(({ act }) => act === 'create-symlinks')) {
    for (const pair of valuesOf(words, 'link')) addLink(links, pair);
  }
  const folders = calls.filter(({ act }) => act === 'update-ldcache').flatMap(({ words }) => valuesOf(words, 'folder'));
  const libraries = await namedLibraries(mounts, folders.map(clean));
  for (const { path, name } of libraries) links.set(posix.join(posix.dirname(path), name), path);
  const taken = new Set(mounts.map(({ containerPath }) => clean(containerPath)));
  const linked = [...links].flatMap(([path]) => (taken.has(path) ? [] : mountOf(path, path, links, mounts)));
  const own = libraries.flatMap(({ path, name }) => mountOf(`${LIBRARY_FOLDER}/${name}`, path, links, mounts));
  const lost = [...links].filter(([path, target]) => !taken.has(path) && nodes.includes(target));
  const driver = calls.flatMap(({ words }) => valuesOf(words, 'host-driver-version'))[0];
  return {
    mounts: [...linked, ...own],
    ...(own.length > 0 ? { libraries: LIBRARY_FOLDER } : {}),
    ...(driver === undefined ? {} : { driver }),
    warnings: lost.map(([path, target]) => `${path} is not made: it would be a link to the device ${target}`),
  };
}

interface Call {
  readonly act: string;
  readonly words: readonly string[];
}

/** What a hook is to do. @throws for one that is somebody else's */
function callOf({ hookName, path, args }: CdiHook): Call {
  const [first, ...rest] = args.slice(1);
  const [act = '', ...words] = first === 'hook' ? rest : first === undefined ? [] : [first, ...rest];
  if (PROGRAMS.has(basename(path)) && isDone(act, words)) return { act, words };
  throw new Error(`its ${hookName} hook is not done: ${[path, ...args.slice(1, 4)].join(' ')}`);
}

function isDone(act: string, words: readonly string[]): boolean {
  switch (act) {
    case 'create-symlinks':
    case 'update-ldcache':
    // Answered by a warning where it would matter.
    case 'enable-cuda-compat':
    // The driver's libraries may make no device nodes: a container has no rights for that anyway.
    case 'disable-device-node-modification':
    case 'noop':
      return true;
    case 'chmod':
      // Folders below /dev are made with this mode.
      return valuesOf(words, 'mode').every((mode) => /^0?755$/.test(mode));
    default:
      return false;
  }
}

/** Values of `--name VALUE` and `--name=VALUE`. */
function valuesOf(words: readonly string[], name: string): readonly string[] {
  return words.flatMap((word, index) => {
    if (word === `--${name}`) return words.slice(index + 1, index + 2);
    return word.startsWith(`--${name}=`) ? [word.slice(name.length + 3)] : [];
  });
}

/** `target::link`; the target is relative to the link's folder. */
function addLink(links: Map<string, string>, pair: string): void {
  const at = pair.indexOf('::');
  if (at < 1) throw new Error(`its link "${pair}" is not of the form target::link`);
  const path = clean(pair.slice(at + 2));
  if (!links.has(path)) links.set(path, posix.resolve(posix.dirname(path), pair.slice(0, at)));
}

/** Libraries among the mounts, in those folders, by the name that programs ask for. */
async function namedLibraries(
  mounts: readonly CdiMount[],
  folders: readonly string[],
): Promise<readonly { readonly path: string; readonly name: string }[]> {
  const found: { path: string; name: string }[] = [];
  for (const { containerPath, hostPath } of mounts) {
    const path = clean(containerPath);
    if (!LIBRARY.test(posix.basename(path)) || !folders.includes(posix.dirname(path))) continue;
    const name = await sonameOf(hostPath);
    if (name !== undefined) found.push({ path, name });
  }
  return found;
}

/** The mount of the file that `path` leads to, at `place`; none for a link that leads nowhere. */
function mountOf(
  place: string,
  path: string,
  links: ReadonlyMap<string, string>,
  mounts: readonly CdiMount[],
): readonly CdiMount[] {
  let target = path;
  for (let steps = 0; steps < 8; steps += 1) {
    const home = mounts.find(({ containerPath }) => isAt(target, clean(containerPath)));
    if (home) {
      const rest = target.slice(clean(home.containerPath).length);
      return [{ ...home, hostPath: `${home.hostPath}${rest}`, containerPath: place }];
    }
    const next = links.get(target);
    if (next === undefined) return [];
    target = next;
  }
  return [];
}

function isAt(path: string, mount: string): boolean {
  return path === mount || path.startsWith(`${mount}/`);
}

function clean(path: string): string {
  return posix.resolve('/', path);
}
