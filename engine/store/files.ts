import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { copyFile, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { EngineError, messageOf } from '../base/errors.ts';

/** A name that nothing else has. */
export function randomName(): string {
  return randomBytes(16).toString('hex');
}

/** Makes what was renamed into a folder outlive a power cut. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/**
 * Replaces a small file at once: a reader sees the old content or the new, never a half. With `backup` the old content stays as `.bak`.
 *
 * @throws `STORE_WRITE` naming the path
 */
export async function replaceFile(path: string, content: string, { backup = false, sync = true } = {}): Promise<void> {
  const part = `${path}.${randomName()}.tmp`;
  try {
    const file = await open(part, 'wx', 0o644);
    try {
      await file.writeFile(content);
      if (sync) await file.sync();
    } finally {
      await file.close();
    }
    // A copy, not a rename: the file itself is there at every moment.
    if (backup) await copyFile(path, `${path}.bak`).catch(ignoreMissing);
    await rename(part, path);
    if (sync) await syncFolder(dirname(path));
  } catch (error) {
    await rm(part, { force: true }).catch(() => undefined);
    throw storeError('write', path, error);
  }
}

/**
 * Text of a small file; undefined when it is not there. Read at once: asking another thread to open, stat, read and close takes a hundred
 * times as long as that, and a command reads dozens.
 */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw storeError('read', path, error);
  }
}

/** JSON of a file: its value, `missing`, or `broken` with the reason. */
export type JsonFile = { readonly value: unknown } | { readonly missing: true } | { readonly broken: string };

/** Names in a folder of the store, read at once. */
export function listFolder(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    throw storeError('read', path, error);
  }
}

/** Reads a small JSON file and says what it found; only errors of the disk are thrown. */
export function readJson(path: string): JsonFile {
  const text = readText(path);
  if (text === undefined) return { missing: true };
  try {
    return { value: JSON.parse(text) as unknown };
  } catch (error) {
    return { broken: messageOf(error) };
  }
}

/** All that our records are. */
export { isRecord } from '../base/is-record.ts';

/** `ENOENT` and its like; undefined when the error is no system error. */
export function errnoOf(error: unknown): string | undefined {
  // By shape: an error of Node's own may come from another realm (a vm context), where instanceof says no.
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined;
}

/** An error of the disk with the path; no space and no permission with what to do. */
export function storeError(verb: string, path: string, error: unknown): EngineError {
  if (error instanceof EngineError) return error;
  const errno = errnoOf(error);
  const hint = HINTS[errno ?? ''];
  const code = errno === 'ENOSPC' || errno === 'EDQUOT' ? 'STORE_NO_SPACE' : 'STORE_IO';
  return new EngineError(code, `Cannot ${verb} ${path}: ${messageOf(error)}`, { cause: error, hint });
}

function ignoreMissing(error: unknown): void {
  if (errnoOf(error) !== 'ENOENT') throw error;
}

const HINTS: Readonly<Record<string, string>> = {
  ENOSPC: 'Free space or inodes: `berth system prune`, or set BERTH_ROOT to a larger file system',
  EDQUOT: 'The quota is used up: `berth system prune`, or set BERTH_ROOT to another file system',
  EACCES: 'Run as the owner of the store, or set BERTH_ROOT to a folder of yours',
  EROFS: 'Set BERTH_ROOT to a folder on a writable file system',
};
