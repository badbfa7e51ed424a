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
 * NVIDIA's driver as a CDI specification, for a machine where nobody has written one: the cards that are here as devices `0`, `1` …, numbered
 * as `nvidia-smi` does, and by their UUID, `all` of them, the driver's own libraries, programs and sockets. Undefined where there is no such driver.
 *
 * @param host hostPath of the machine's root; another one in tests
 */
export async function describeDriver(host = '/'): Promise<CdiSpec | undefined> {
  const version = await driverVersion(host);
  const known = await knownCards(host);
  const cards = await cardsOf(host, known);
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
  const edits = (some: readonly string[]): ContainerEdits => ({
    ...NO_EDITS,
    deviceNodes: some.map((card) => nodeOf(host, `/dev/nvidia${card}`)),
  });
  return {
    kind: 'nvidia.com/gpu',
    devices: new Map([
      ...cards.map((card, index) => [String(index), edits([card])] as const),
      ...known.filter(({ minor }) => cards.includes(minor)).map(({ uuid, minor }) => [uuid, edits([minor])] as const),
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

/** Numbers of the nodes of the cards that are here, in the order of their addresses; last those that the driver does not name. */
async function cardsOf(host: string, known: readonly KnownCard[]): Promise<readonly string[]> {
  const names = await readdir(join(host, 'dev')).catch((): string[] => []);
  const nodes = names.flatMap((name) => /^nvidia(\d+)$/.exec(name)?.[1] ?? []).sort((a, b) => Number(a) - Number(b));
  const named = known.map(({ minor }) => minor).filter((minor) => nodes.includes(minor));
  return [...named, ...nodes.filter((node) => !named.includes(node))];
}

interface KnownCard {
  readonly uuid: string;
  /** Number of its node. */
  readonly minor: string;
}

/** What the driver says of its cards, in the order of their PCI addresses: a container that was given some of them sees all. */
async function knownCards(host: string): Promise<readonly KnownCard[]> {
  const folder = join(host, 'proc/driver/nvidia/gpus');
  const addresses = (await readdir(folder).catch((): string[] => [])).sort();
  const found = await Promise.all(
    addresses.map(async (address) => {
      const text = (await textOf(join(folder, address, 'information'))) ?? '';
      const [uuid, minor] = [/GPU UUID:\s+(GPU-[\w-]+)/.exec(text)?.[1], /Device Minor:\s+(\d+)/.exec(text)?.[1]];
      return uuid === undefined || minor === undefined ? [] : [{ uuid, minor }];
    }),
  );
  return found.flat();
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
