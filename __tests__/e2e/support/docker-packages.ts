// Docker as Debian packages it, unpacked beside the system: nothing of it is installed, and a second run finds it there.
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

/** Suites whose packages are tried, the newest Docker first; the first one that this machine's C library can run is taken. */
const SUITES: readonly string[] = ['sid', 'trixie'];
/** runc stays the system's: it alone is linked to a C library as new as its suite's. */
const PACKAGES: readonly string[] = ['docker.io', 'docker-cli', 'docker-buildx', 'containerd', 'tini-static'];
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const ARCHITECTURE = process.arch === 'x64' ? 'amd64' : process.arch;
const CACHE = join(process.env['XDG_CACHE_HOME'] ?? `${process.env['HOME'] ?? '/root'}/.cache`, 'berth-docker');

/** Docker's programs, unpacked. */
export interface DockerPrograms {
  /** Folders for a PATH, before the system's. */
  readonly path: readonly string[];
  /** The client. */
  readonly docker: string;
  /** The daemon. */
  readonly dockerd: string;
  /** Folder with `docker-buildx`. */
  readonly plugins: string;
}

/**
 * Docker's programs from the cache, or else from Debian's archive (80 MB, once).
 *
 * @throws an `Error` with what failed for each suite
 */
export function ensureDockerPrograms(): DockerPrograms {
  const failures: string[] = [];
  for (const suite of SUITES) {
    try {
      const root = join(CACHE, `${suite}-${ARCHITECTURE}`);
      if (!existsSync(root)) unpack(suite, root);
      return programsOf(root);
    } catch (error) {
      failures.push(`${suite}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new Error(`Cannot get docker from Debian's packages: ${failures.join('; ')}`);
}

function programsOf(root: string): DockerPrograms {
  const programs = {
    path: [join(root, 'usr/sbin'), join(root, 'usr/bin')],
    docker: join(root, 'usr/bin/docker'),
    dockerd: join(root, 'usr/sbin/dockerd'),
    plugins: join(root, 'usr/libexec/docker/cli-plugins'),
  };
  for (const program of [programs.dockerd, programs.docker]) execFileSync(program, ['--version'], { stdio: 'pipe' });
  return programs;
}

/** apt with sources, lists and state of its own: the system's stay as they are. */
function unpack(suite: string, root: string): void {
  mkdirSync(CACHE, { recursive: true });
  const work = mkdtempSync(join(CACHE, `${suite}-part-`));
  try {
    for (const folder of ['lists/partial', 'archives/partial', 'debs', 'root']) {
      mkdirSync(join(work, folder), { recursive: true });
    }
    writeFileSync(
      join(work, 'sources.list'),
      `deb [signed-by=${KEYRING}] http://deb.debian.org/debian ${suite} main\n`,
    );
    writeFileSync(join(work, 'status'), '');
    apt(work, ['update']);
    apt(work, ['download', ...PACKAGES]);
    const debs = join(work, 'debs');
    for (const name of readdirSync(debs)) execFileSync('dpkg', ['-x', join(debs, name), join(work, 'root')]);
    const init = join(work, 'root/usr/bin/docker-init');
    if (!existsSync(init)) symlinkSync('tini-static', init);
    renameSync(join(work, 'root'), root);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function apt(work: string, args: readonly string[]): void {
  const settings = [
    `Dir::Etc::sourcelist=${work}/sources.list`,
    'Dir::Etc::sourceparts=/dev/null',
    `Dir::State::lists=${work}/lists`,
    `Dir::State::status=${work}/status`,
    `Dir::Cache=${work}`,
    'Acquire::Languages=none',
    'APT::Sandbox::User=root',
  ];
  const flags = settings.flatMap((setting) => ['-o', setting]);
  execFileSync('apt-get', [...flags, '-qq', ...args], { cwd: join(work, 'debs'), stdio: 'pipe', timeout: 300_000 });
}
