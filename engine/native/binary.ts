import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
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
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  } catch (error) {
    throw new EngineError('HELPER_MISSING', `Cannot start the helper ${path}: ${messageOf(error)}`, {
      cause: error,
      hint: `berth ships a helper for x86_64 and aarch64 Linux; this machine is ${process.platform} ${process.arch}`,
    });
  }
  return hash.digest('hex');
}
