import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync, type BigIntStats } from 'node:fs';
import { open } from 'node:fs/promises';
import { EngineError, messageOf } from '../base/errors.ts';
import { escapeControl } from '../base/escape.ts';
import type { ContextEntry } from './types.ts';

const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const CHUNK = 1024 * 1024;
/** Up to this size a file is read in one synchronous go: five trips through the thread pool take far longer than the bytes. */
const SMALL = 64 * 1024;

/**
 * SHA-256 of a file of the context, in hex. The file that is opened must be the one that was listed, before and after it is read.
 *
 * @throws `CONTEXT_CHANGED`, `CONTEXT_INVALID` naming the file
 */
export async function hashFile(path: Buffer, entry: ContextEntry, signal?: AbortSignal): Promise<string> {
  signal?.throwIfAborted();
  return entry.size <= SMALL ? hashSmall(path, entry) : await hashLarge(path, entry, signal);
}

function hashSmall(path: Buffer, entry: ContextEntry): string {
  const file = attempt(path, () => openSync(path, FLAGS));
  try {
    requireSame(fstatSync(file, { bigint: true }), path, entry);
    const buffer = Buffer.allocUnsafe(entry.size + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length <= entry.size; length += read) {
      read = readSync(file, buffer, length, buffer.length - length, null);
    }
    requireSame(fstatSync(file, { bigint: true }), path, entry);
    return createHash('sha256').update(buffer.subarray(0, entry.size)).digest('hex');
  } finally {
    closeSync(file);
  }
}

async function hashLarge(path: Buffer, entry: ContextEntry, signal?: AbortSignal): Promise<string> {
  const file = await open(path, FLAGS).catch((cause: unknown) => {
    throw notOpened(path, cause);
  });
  try {
    requireSame(await file.stat({ bigint: true }), path, entry);
    const hash = createHash('sha256');
    const buffer = Buffer.allocUnsafe(CHUNK);
    for (let read = -1, at = 0; read !== 0 && at <= entry.size; at += read) {
      signal?.throwIfAborted();
      read = (await file.read(buffer, 0, buffer.length, at)).bytesRead;
      hash.update(buffer.subarray(0, read));
    }
    requireSame(await file.stat({ bigint: true }), path, entry);
    return hash.digest('hex');
  } finally {
    await file.close();
  }
}

function attempt<T>(path: Buffer, act: () => T): T {
  try {
    return act();
  } catch (cause) {
    throw notOpened(path, cause);
  }
}

function notOpened(path: Buffer, cause: unknown): EngineError {
  const code = (cause as NodeJS.ErrnoException).code;
  if (code === 'ENOENT' || code === 'ELOOP' || code === 'ENOTDIR') return changed(path, cause);
  return new EngineError('CONTEXT_INVALID', `Cannot read ${show(path)}: ${messageOf(cause).split(',', 1)[0] ?? ''}`, {
    cause,
  });
}

function requireSame(stat: BigIntStats, path: Buffer, entry: ContextEntry): void {
  const isSame =
    stat.isFile() && stat.ino === entry.inode && stat.ctimeNs === entry.ctimeNs && Number(stat.size) === entry.size;
  if (!isSame) throw changed(path);
}

function changed(path: Buffer, cause?: unknown): EngineError {
  const hint = 'Start the build again when nothing writes to the context';
  return new EngineError('CONTEXT_CHANGED', `Cannot use ${show(path)}: it changed while the context was read`, {
    cause,
    hint,
  });
}

function show(path: Buffer): string {
  return escapeControl(path.toString('utf8'));
}
