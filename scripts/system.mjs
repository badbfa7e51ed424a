// What the tests and the demo need from the system: look, install where we may, else name it.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Debian package of each program that tests or the demo use, and what for. */
const programs = {
  busybox: { package: 'busybox-static', use: 'base image of the tests' },
  'docker-registry': { package: 'docker-registry', use: 'a registry that is not ours' },
  newuidmap: { package: 'uidmap', use: 'the rootless rung' },
  sudo: { package: 'sudo', use: 'the rung through sudo' },
  skopeo: { package: 'skopeo', use: 'judging what we push' },
  umoci: { package: 'umoci', use: 'judging what we push' },
  runc: { package: 'runc', use: 'running what we push elsewhere' },
  mmdebstrap: { package: 'mmdebstrap', use: 'base image when Docker Hub is out of reach' },
  bsdtar: { package: 'libarchive-tools', use: 'layers of another maker' },
  setfattr: { package: 'attr', use: 'files with extended attributes' },
  setpriv: { package: 'util-linux', use: 'tests as another user' },
  strace: { package: 'strace', use: 'tests that kill at a system call' },
  zstd: { package: 'zstd', use: 'layers of another codec' },
  xz: { package: 'xz-utils', use: 'unpacking' },
  sshd: { package: 'openssh-server', use: 'repositories over ssh' },
  nft: { package: 'nftables', use: 'seeing the rules of networks' },
  git: { package: 'git', use: 'clean clones' },
};

/** Whether a program is on the PATH or in the folders of system programs. */
export function has(program) {
  const folders = [
    ...(process.env.PATH ?? '').split(delimiter),
    '/usr/local/sbin',
    '/usr/sbin',
    '/sbin',
    '/usr/bin',
    '/bin',
  ];
  return folders.some((folder) => folder && existsSync(join(folder, program)));
}

/**
 * Installs the Debian packages of programs that are missing, as root on Debian; elsewhere names them.
 *
 * @param {readonly string[]} wanted names of programs
 * @returns {readonly string[]} the programs that are still missing
 */
export function ensurePrograms(wanted) {
  const missing = wanted.filter((program) => !has(program));
  if (missing.length === 0) return [];
  const packages = missing.map((program) => programs[program]?.package ?? program);
  if (process.getuid?.() === 0 && has('apt-get')) {
    console.log(`Installing ${packages.join(', ')} with apt-get`);
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const run = (args) => spawnSync('apt-get', args, { stdio: ['ignore', 'ignore', 'inherit'], env }).status === 0;
    if (!run(['install', '-y', '-qq', '--no-install-recommends', ...packages])) {
      run(['update', '-qq']);
      run(['install', '-y', '-qq', '--no-install-recommends', ...packages]);
    }
  }
  const still = wanted.filter((program) => !has(program));
  for (const program of still) {
    const { package: name, use } = programs[program] ?? { package: program, use: 'a test' };
    console.log(`Missing ${program} (${use}); to have it: sudo apt-get install ${name}`);
  }
  return still;
}
