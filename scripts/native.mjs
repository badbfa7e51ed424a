// Whether the committed helper belongs to the sources beside it; a developer's stale one is rebuilt where cargo is.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { has } from './system.mjs';

const root = new URL('..', import.meta.url).pathname;

/** The architectures that are shipped, in Rust's names. */
export const ARCHITECTURES = ['x86_64', 'aarch64'];

/**
 * True when `dist/native/source.sha256` has the hash of the sources as they are now for each of `architectures`.
 *
 * @param {readonly string[]} [architectures] this machine's by default
 */
export function isCurrent(architectures = [thisArchitecture()]) {
  const recorded = join(root, 'dist/native/source.sha256');
  const binaries = architectures.map((architecture) => join(root, 'dist/native', `berth-native-${architecture}`));
  if (!existsSync(recorded) || !binaries.every((path) => existsSync(path))) return false;
  const { stdout, status } = spawnSync(join(root, 'native/build.sh'), ['--source-hash'], { encoding: 'utf8' });
  const lines = readFileSync(recorded, 'utf8').split('\n');
  const wanted = architectures.map((architecture) => `${stdout.trim()}  berth-native-${architecture}`);
  return status === 0 && wanted.every((line) => lines.includes(line));
}

function thisArchitecture() {
  return process.arch === 'arm64' ? 'aarch64' : 'x86_64';
}

/** Where the helper of this machine lies. */
export function helperPath() {
  return join(root, 'dist/native', `berth-native-${thisArchitecture()}`);
}

/** Makes sure that the helper is of these sources. Returns false, after saying so, when it is stale and cannot be built. */
export function ensureHelper() {
  if (isCurrent()) return true;
  if (!has('cargo')) {
    console.error(
      'helper stale: dist/native does not belong to native/, and cargo is not here to rebuild it (https://rustup.rs)',
    );
    return false;
  }
  console.log('helper stale: rebuilding it with native/build.sh');
  // The bundle carries the helper's hash.
  const commands = [
    [join(root, 'native/build.sh'), thisArchitecture()],
    [process.execPath, join(root, 'scripts/build.mjs')],
  ];
  return commands.every(([program, ...args]) => spawnSync(program, args, { stdio: 'inherit' }).status === 0);
}
