import { randomBytes } from 'node:crypto';
import { open, rename, rm, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Context } from './context.ts';
import { OperandsError } from './usage-error.ts';

/** Takes bytes; awaited before more is made. */
export type Write = (chunk: Uint8Array) => Promise<void>;

/**
 * Lets `act` write to a file, or to standard output where none is named. A file appears under its name when it is complete; until then, and
 * after a failure, what was there before stays.
 *
 * @throws {OperandsError} for a terminal, which bytes would upset
 */
export async function withSink<T>(
  { cwd, stdout }: Pick<Context, 'cwd' | 'stdout'>,
  file: string | undefined,
  act: (write: Write) => Promise<T>,
): Promise<T> {
  if (file === undefined || file === '-') {
    if (stdout.isTTY)
      throw new OperandsError(
        'Cannot write to the terminal: these are bytes of an archive',
        'use -o FILE, or redirect',
      );
    return await act((chunk) => stdout.send(chunk));
  }
  const path = resolve(cwd, file);
  const special = await stat(path).then(
    (found) => !found.isFile(),
    () => false,
  );
  return special ? await writeTo({ path, named: path, flags: 'w' }, act) : await writeAside(path, act);
}

async function writeAside<T>(path: string, act: (write: Write) => Promise<T>): Promise<T> {
  const part = `${path}.part-${randomBytes(8).toString('hex')}`;
  try {
    const result = await writeTo({ path: part, named: path, flags: 'wx' }, act);
    await rename(part, path);
    return result;
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}

async function writeTo<T>(
  { path, named, flags }: { readonly path: string; readonly named: string; readonly flags: string },
  act: (write: Write) => Promise<T>,
): Promise<T> {
  // For its owner alone, as with Docker: what an image or a container holds is nobody else's.
  const handle = await open(path, flags, 0o600).catch((error: unknown) => {
    throw new OperandsError(`Cannot write ${named}: ${reasonOf(error)}`);
  });
  try {
    return await act(async (chunk) => {
      for (let at = 0; at < chunk.length;) at += (await handle.write(chunk, at)).bytesWritten;
    });
  } finally {
    await handle.close();
  }
}

/** Why a file could not be opened, in words for what people run into. */
function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'there is no such folder';
  if (code === 'EISDIR') return 'it is a folder';
  return error instanceof Error ? error.message : String(error);
}
