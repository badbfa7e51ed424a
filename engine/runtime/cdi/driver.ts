import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type CdiHook, type CdiMount, type CdiSpec, type ContainerEdits, NO_EDITS } from './spec.ts';

/** Folders that distributions keep libraries in. */
const LIBRARIES = [
  '/usr/lib/x86_64-linux-gnu',
  '/usr/lib/aarch64-linux-gnu',
  '/usr/lib64',
  '/usr/lib',
  '/lib64',
  '/lib',
];
const NODES = ['nvidiactl', 'nvidia-uvm', 'nvidia-uvm-tools', 'nvidia-modeset'];
const PROGRAMS = [
  'nvidia-smi',
  'nvidia-debugdump',
  'nvidia-persistenced',
  'nvidia-cuda-mps-control',
  'nvidia-cuda-mps-server',
];
const SOCKETS = ['/run/nvidia-persistenced/socket', '/run/nvidia-fabricmanager/socket'];
const READ_ONLY = ['ro', 'nosuid', 'nodev', 'rbind', 'rprivate'];
/** Links that programs look for beside the names that `ldconfig` makes. */
const LINKS: readonly (readonly [target: string, link: string])[] = [['libcuda.so.1', 'libcuda.so']];

/**
 * NVIDIA's driver as a CDI specification, for a machine where nobody has written one: the cards as devices `0`, `1` … and by their UUID,
 * `all` of them, the driver's own libraries, programs and sockets. Undefined where there is no such driver.
 *
 * @param host hostPath of the machine's root; another one in tests
 */
export async function describeDriver(host = '/'): Promise<CdiSpec | undefined> {
  const version = await driverVersion(host);
  const cards = await cardsOf(host);
  if (version === undefined || cards.length === 0) return undefined;
  const nodes = (
    await present(
      host,
      NODES.map((name) => `/dev/${name}`),
    )
  ).map((path) => nodeOf(host, path));
  const { folder, mounts } = await librariesOf(host, version);
  const files = [
    ...(await present(
      host,
      PROGRAMS.map((name) => `/usr/bin/${name}`),
    )),
    ...(await present(host, [...SOCKETS, `/lib/firmware/nvidia/${version}`])),
  ];
  const ids = await uuidsOf(host);
  const edits = (some: readonly string[]): ContainerEdits => ({
    ...NO_EDITS,
    deviceNodes: some.map((card) => nodeOf(host, `/dev/nvidia${card}`)),
  });
  return {
    kind: 'nvidia.com/gpu',
    devices: new Map([
      ...cards.map((card) => [card, edits([card])] as const),
      ...cards.flatMap((card) => [...(ids.get(card) ?? [])].map((id) => [id, edits([card])] as const)),
      ['all', edits(cards)] as const,
    ]),
    edits: {
      ...NO_EDITS,
      env: ['NVIDIA_VISIBLE_DEVICES=void'],
      deviceNodes: nodes,
      mounts: [...mounts, ...files.map((path) => mountOf(host, path))],
      hooks: folder === undefined ? [] : hooksOf(folder, version),
    },
  };
}

async function driverVersion(host: string): Promise<string | undefined> {
  const [long, short] = await Promise.all(
    ['proc/driver/nvidia/version', 'sys/module/nvidia/version'].map((path) => textOf(join(host, path))),
  );
  const version = /Kernel Module(?: for \S+)?\s+(\d+(?:\.\d+)+)/.exec(long ?? '')?.[1] ?? short?.trim();
  return version !== undefined && /^\d+(\.\d+)+$/.test(version) ? version : undefined;
}

/** Numbers of the cards. */
async function cardsOf(host: string): Promise<readonly string[]> {
  const names = await readdir(join(host, 'dev')).catch((): string[] => []);
  return names.flatMap((name) => /^nvidia(\d+)$/.exec(name)?.[1] ?? []).sort((a, b) => Number(a) - Number(b));
}

/** UUIDs by the number of the card. */
async function uuidsOf(host: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const folder = join(host, 'proc/driver/nvidia/gpus');
  const ids = new Map<string, readonly string[]>();
  for (const name of await readdir(folder).catch((): string[] => [])) {
    const text = (await textOf(join(folder, name, 'information'))) ?? '';
    const [uuid, minor] = [/GPU UUID:\s+(GPU-[\w-]+)/.exec(text)?.[1], /Device Minor:\s+(\d+)/.exec(text)?.[1]];
    if (uuid !== undefined && minor !== undefined) ids.set(minor, [uuid]);
  }
  return ids;
}

/** The driver's libraries end with its version; those of CUDA, which images bring, do not. */
async function librariesOf(
  host: string,
  version: string,
): Promise<{ readonly folder?: string; readonly mounts: readonly CdiMount[] }> {
  for (const folder of LIBRARIES) {
    const names = await readdir(join(host, folder)).catch((): string[] => []);
    const own = names.filter((name) => name.startsWith('lib') && name.endsWith(`.so.${version}`)).sort();
    if (own.includes(`libcuda.so.${version}`)) {
      return { folder, mounts: own.map((name) => mountOf(host, `${folder}/${name}`)) };
    }
  }
  return { mounts: [] };
}

function hooksOf(folder: string, version: string): readonly CdiHook[] {
  const hook = (...words: readonly string[]): CdiHook => ({
    hookName: 'createContainer',
    path: 'nvidia-cdi-hook',
    args: ['nvidia-cdi-hook', ...words],
  });
  return [
    hook('create-symlinks', ...LINKS.flatMap(([target, link]) => ['--link', `${target}::${folder}/${link}`])),
    hook('enable-cuda-compat', '--host-driver-version', version),
    hook('update-ldcache', '--folder', folder),
  ];
}

function nodeOf(host: string, path: string): ContainerEdits['deviceNodes'][number] {
  return { path, hostPath: join(host, path) };
}

function mountOf(host: string, path: string): CdiMount {
  return { hostPath: join(host, path), containerPath: path, options: READ_ONLY };
}

async function present(host: string, paths: readonly string[]): Promise<readonly string[]> {
  const found = await Promise.all(
    paths.map(
      async (path) =>
        await stat(join(host, path)).then(
          () => path,
          () => undefined,
        ),
    ),
  );
  return found.filter((path) => path !== undefined);
}

async function textOf(path: string): Promise<string | undefined> {
  return await readFile(path, 'utf8').catch(() => undefined);
}
