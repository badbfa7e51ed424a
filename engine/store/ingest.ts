import { createHash } from 'node:crypto';
import { open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '../base/errors.ts';
import type { Digest } from '../image/types.ts';
import { storeError } from './files.ts';
import type { Ingest } from './types.ts';

/**
 * A file below `ingest/`, created exclusively. What a killed process leaves there is garbage for the next prune.
 *
 * @param commit moves the file among the blobs
 */
export async function createIngest(
  root: string,
  name: string,
  commit: (ingest: string, blob: { readonly digest: Digest; readonly size: number }) => Promise<void>,
): Promise<Ingest> {
  const path = join(root, name);
  const file = await open(path, 'wx', 0o644).catch((error: unknown) => {
    throw storeError('write', path, error);
  });
  const hash = createHash('sha256');
  let size = 0;
  let isOpen = true;
  let sealed: Digest | undefined;
  const seal = (): { readonly digest: Digest; readonly size: number } => {
    sealed ??= `sha256:${hash.digest('hex')}`;
    return { digest: sealed, size };
  };
  const close = async (): Promise<void> => {
    if (isOpen) await file.close();
    isOpen = false;
  };
  const abort = async (): Promise<void> => {
    if (!isOpen) return;
    await close();
    await rm(path, { force: true }).catch(() => undefined);
  };
  return {
    abort,
    seal,
    read: async (limit) => {
      if (size > limit)
        throw new EngineError('TOO_LARGE', `Cannot read ${path}: it is over the limit of ${limit} bytes`);
      return await readFile(path);
    },
    write: async (chunk) => {
      try {
        for (let at = 0; at < chunk.length;) at += (await file.write(chunk, at)).bytesWritten;
      } catch (error) {
        throw storeError('write', path, error);
      }
      hash.update(chunk);
      size += chunk.length;
    },
    commit: async (digest) => {
      // The same file may stand under two names.
      if (!isOpen) return;
      const found = seal().digest;
      if (found !== digest) {
        await abort();
        throw new EngineError(
          'CONTENT_MISMATCH',
          `Cannot store ${digest}: the ${size} bytes that came have digest ${found}`,
        );
      }
      await close();
      await commit(name, { digest, size });
    },
  };
}
