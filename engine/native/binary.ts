import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { EngineError, messageOf } from '../base/errors.ts';

/** The helper's executable and the SHA-256 (hex) that it must have; undefined skips the check (a development build). */
export interface Binary {
  readonly path: string;
  readonly sha256?: string | undefined;
}

/**
 * A function that checks the binary on its first call and remembers that it was right; it is asked before every start.
 *
 * @returns a function that resolves with the absolute path, or rejects with `HELPER_MISSING` or `HELPER_MISMATCH`
 */
export function createBinaryCheck(binary: Binary): () => Promise<string> {
  let checked: Promise<string> | undefined;
  return () => (checked ??= checkBinary(binary));
}

async function checkBinary({ path, sha256 }: Binary): Promise<string> {
  const found = await hashFile(path);
  if (sha256 === undefined || found === sha256.toLowerCase()) return path;
  throw new EngineError(
    'HELPER_MISMATCH',
    `Cannot start the helper ${path}: its SHA-256 is ${found}, expected ${sha256.toLowerCase()}`,
    { hint: 'Restore the file from the release, or build it again with `npm run build`' },
  );
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
