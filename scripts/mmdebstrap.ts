// A Debian root file system as a tar, by mmdebstrap: as root, through sudo, or in a user namespace of the user's own.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, constants, open } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

/** The suite whose python3 is 3.11. */
export const SUITE = 'bookworm';
/** Time stamps of the files, so that the same packages give the same bytes. */
export const EPOCH = 1735689600;
/** What the official image has beside Python itself. */
export const PACKAGES = [
  'python3',
  'python3-pip',
  'python3-venv',
  'python3-setuptools',
  'python3-wheel',
  'ca-certificates',
  'netbase',
  'tzdata',
];

/** Debian's own names, whatever mirror this machine uses: the image must work where it is built. */
const SOURCES = [
  `deb http://deb.debian.org/debian ${SUITE} main`,
  `deb http://deb.debian.org/debian ${SUITE}-updates main`,
  `deb http://deb.debian.org/debian-security ${SUITE}-security main`,
];

/** How this user may make a root file system: as root, through sudo, or in a user namespace of his own. */
type Way = { readonly prefix: readonly string[]; readonly mode: readonly string[] };

/**
 * Writes the root file system to `tar`, which must not exist.
 *
 * @throws an `Error` that names the package to install, or has mmdebstrap's last lines
 */
export async function bootstrap(tar: string, signal: AbortSignal | undefined): Promise<void> {
  const sudo = await sudoPrefix();
  const mmdebstrap = await findMmdebstrap(sudo);
  const { prefix, mode } = wayOf(sudo);
  const environment = [
    `SOURCE_DATE_EPOCH=${EPOCH}`,
    'LC_ALL=C.UTF-8',
    `PATH=${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`,
  ];
  const args = ['env', ...environment, mmdebstrap, ...mode, ...mmdebstrapArguments(), SUITE, '-', ...SOURCES];
  const output = await open(tar, 'wx');
  try {
    await execute([...prefix, ...args], { stdout: output.fd, signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw new Error(`Cannot make python:3.11-slim from Debian packages: ${messageOf(error)}`, { cause: error });
  } finally {
    await output.close();
  }
}

function mmdebstrapArguments(): readonly string[] {
  const excluded = ['/usr/share/man/*', '/usr/share/info/*', '/usr/share/doc/*', '/usr/share/locale/*'];
  return [
    '--variant=minbase',
    '--format=tar',
    `--include=${PACKAGES.join(',')}`,
    '--aptopt=Acquire::Languages "none"',
    '--aptopt=APT::Install-Recommends "false"',
    ...excluded.map((path) => `--dpkgopt=path-exclude=${path}`),
    '--dpkgopt=path-include=/usr/share/doc/*/copyright',
    // The next three make pip and python behave as in the official image: system-wide installs are allowed, `python` is there.
    '--customize-hook=rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED',
    '--customize-hook=ln -s ../../bin/python3 "$1/usr/local/bin/python"',
    '--customize-hook=ln -s ../../bin/python3 "$1/usr/local/bin/python3"',
    '--customize-hook=rm -f "$1/etc/hostname" "$1/etc/resolv.conf" "$1/etc/machine-id"',
    '--customize-hook=rm -rf "$1"/var/log/*.log "$1"/var/log/apt "$1"/var/cache/ldconfig/aux-cache',
    '--customize-hook=find "$1/usr" -name __pycache__ -prune -exec rm -rf {} +',
  ];
}

/** Words before a command that needs root; undefined when this user cannot have it. */
async function sudoPrefix(): Promise<readonly string[] | undefined> {
  if (process.getuid?.() === 0) return [];
  const prefix = ['sudo', '-n'];
  return await execute([...prefix, 'true']).then(
    () => prefix,
    () => undefined,
  );
}

function wayOf(sudo: readonly string[] | undefined): Way {
  return sudo === undefined ? { prefix: [], mode: ['--mode=unshare'] } : { prefix: sudo, mode: ['--mode=root'] };
}

async function findMmdebstrap(sudo: readonly string[] | undefined): Promise<string> {
  const found = await which('mmdebstrap');
  if (found !== undefined) return found;
  const packages = ['mmdebstrap', 'debian-archive-keyring'];
  if (sudo !== undefined && (await which('apt-get')) !== undefined) {
    const apt = [...sudo, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get'];
    await execute([...apt, 'update']);
    await execute([...apt, 'install', '-y', '--no-install-recommends', ...packages]);
    const installed = await which('mmdebstrap');
    if (installed !== undefined) return installed;
  }
  throw new Error(
    `Cannot make python:3.11-slim from Debian packages: mmdebstrap is not installed; run \`sudo apt-get install ${packages.join(' ')}\``,
  );
}

/** @throws an `Error` with the last lines of its standard error, when the program fails */
async function execute(
  [program = '', ...args]: readonly string[],
  options: { readonly stdout?: number; readonly signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const child = spawn(program, args, {
    stdio: ['ignore', options.stdout ?? 'ignore', 'pipe'],
    ...(options.signal ? { signal: options.signal } : {}),
  });
  const lines: string[] = [];
  child.stderr?.setEncoding('utf8').on('data', (text: string) => void lines.push(...text.split('\n')));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code === 0) return;
  const said = lines.filter((line) => line.trim() !== '').slice(-8);
  throw new Error([`${program} ${args[0] ?? ''} failed`, ...said].join('\n'));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Absolute path of a program, or undefined. */
async function which(name: string): Promise<string | undefined> {
  for (const folder of [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin']) {
    const path = join(folder, name);
    const executable = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (folder !== '' && executable) return path;
  }
  return undefined;
}
