import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { EngineError, messageOf } from '../base/errors.ts';
import { versionOf } from './facts.ts';
import { readKept, writeKept } from './kept.ts';

/** The helper's executable and the SHA-256 (hex) that it must have; undefined skips the check (a development build). */
export interface Binary {
  readonly path: string;
  readonly sha256?: string | undefined;
  /** A file that keeps which version of the executable was found right, so that not every command reads all of it. */
  readonly kept?: string | undefined;
}

/** How old an executable must be, in milliseconds, before its version tells it from a later one: below, two writes may have the same time. */
const SETTLED = 2_000;

/**
 * A function that checks the binary on its first call and remembers that it was right; it is asked before every start.
 *
 * @returns a function that resolves with the absolute path, or rejects with `HELPER_MISSING` or `HELPER_MISMATCH`
 */
export function createBinaryCheck(binary: Binary): () => Promise<string> {
  let checked: Promise<string> | undefined;
  return () => (checked ??= checkBinary(binary));
}

async function checkBinary({ path, sha256, kept }: Binary): Promise<string> {
  const wanted = sha256?.toLowerCase();
  // Read before the content: what is written meanwhile is another version.
  const version = versionOf(path);
  if (isKept(kept, version, wanted)) return path;
  const found = await hashFile(path);
  if (wanted !== undefined && found !== wanted) {
    throw new EngineError(
      'HELPER_MISMATCH',
      `Cannot start the helper ${path}: its SHA-256 is ${found}, expected ${wanted}`,
      { hint: 'Restore the file from the release, or build it again with `npm run build`' },
    );
  }
  if (kept !== undefined && wanted !== undefined && version && isSettled(version)) {
    writeKept(kept, { version, sha256: wanted });
  }
  return path;
}

/** Whether the file was found right as it is: its inode and its time of change, which no program can set, are the same. */
function isKept(kept: string | undefined, version: readonly string[] | null, sha256: string | undefined): boolean {
  if (kept === undefined || version === null || sha256 === undefined) return false;
  const known = readKept(kept);
  return known?.['sha256'] === sha256 && JSON.stringify(known['version']) === JSON.stringify(version);
}

function isSettled(version: readonly string[]): boolean {
  const changed = Number(BigInt(version.at(-1) ?? '0') / 1_000_000n);
  return Date.now() - changed > SETTLED;
}

async function hashFile(path: string): Promise<string> {
  try {
    // In one piece: a stream of 4 MB takes several times as long as the hash of it.
    return createHash('sha256').update(await readFile(path)).digest('hex');
  } catch (error) {
    throw new EngineError('HELPER_MISSING', `Cannot start the helper ${path}: ${messageOf(error)}`, {
      cause: error,
      hint: `berth ships a helper for x86_64 and aarch64 Linux; this machine is ${process.platform} ${process.arch}`,
    });
  }
}
