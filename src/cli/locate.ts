import { existsSync } from 'node:fs';
import { arch } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { UsageError } from './usage-error.ts';

/** Lines of `sha256sum`, set by the bundler: the helper that this bundle was made with. */
declare const BERTH_NATIVE_HASHES: string | undefined;

const NAMES: Readonly<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64' };

/**
 * Where the helper is: `given` (BERTH_NATIVE), else beside the bundle or, from the sources, in `dist/native`. A bundle knows the hash that
 * it must have.
 *
 * @throws {UsageError} naming the place when there is none for this machine
 */
export function locateHelper(given: string | undefined): { readonly helper: string; readonly helperSha256?: string } {
  if (given) {
    if (!isAbsolute(given)) throw new UsageError(`Cannot use BERTH_NATIVE: "${given}" is not an absolute path`);
    return { helper: given };
  }
  const machine = NAMES[arch()];
  if (machine === undefined) throw new UsageError(`Cannot run on ${arch()}: berth has helpers for x86-64 and arm64`);
  const name = `berth-native-${machine}`;
  const helper = ['../native/', '../../dist/native/']
    .map((folder) => join(dirname(import.meta.filename), folder, name))
    .find(existsSync);
  if (helper === undefined) {
    throw new UsageError(
      `Cannot find the helper ${name}: it is not in dist/native`,
      'build it with native/build.sh, or set BERTH_NATIVE',
    );
  }
  const helperSha256 = hashOf(name);
  return { helper, ...(helperSha256 === undefined ? {} : { helperSha256 }) };
}

function hashOf(name: string): string | undefined {
  const hashes = typeof BERTH_NATIVE_HASHES === 'string' ? BERTH_NATIVE_HASHES : '';
  const line = hashes.split('\n').find((candidate) => candidate.trim().endsWith(name));
  return line ? /^[0-9a-f]{64}/.exec(line)?.[0] : undefined;
}
