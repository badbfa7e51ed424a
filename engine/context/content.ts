import { createHash } from 'node:crypto';
import { accessSync, closeSync, constants, fstatSync, openSync, readSync, type BigIntStats } from 'node:fs';
import { EngineError, messageOf } from '../base/errors.ts';
import { escapeControl } from '../base/escape.ts';
import type { ObjectFormat } from './git-index.ts';
import type { ContextEntry } from './types.ts';

const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
/**
 * Up to this size a file is read here, in one synchronous go: a trip through the thread pool takes far longer than the bytes. Larger files are
 * hashed by the helper (`native/layer/src/contents.rs` has the same number), with BLAKE3.
 */
const SMALL = 64 * 1024;

/** Whether {@link hashContent} hashes the file. */
export function isSmall({ size }: ContextEntry): boolean {
  return size <= SMALL;
}

/** SHA-256 of the content of a small file, in hex. */
export function hashContent(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

/** The id that git gives to a blob of this content, in hex. */
export function blobId(content: Buffer, format: ObjectFormat): string {
  return createHash(format).update(`blob ${content.length}\0`).update(content).digest('hex');
}

/**
 * The content of a file of the context, in one synchronous go. The file that is opened must be the one that was listed, before and after it is
 * read.
 *
 * @throws `CONTEXT_CHANGED`, `CONTEXT_INVALID` naming the file
 */
export function readUnchanged(path: Buffer, entry: ContextEntry): Buffer {
  const file = attempt(path, () => openSync(path, FLAGS));
  try {
    requireSame(fstatSync(file, { bigint: true }), path, entry);
    const buffer = Buffer.allocUnsafe(entry.size + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length <= entry.size; length += read) {
      const at = length;
      read = attempt(path, () => readSync(file, buffer, at, buffer.length - at, null));
    }
    requireSame(fstatSync(file, { bigint: true }), path, entry);
    return buffer.subarray(0, entry.size);
  } finally {
    closeSync(file);
  }
}

function attempt<T>(path: Buffer, act: () => T): T {
  try {
    return act();
  } catch (cause) {
    throw notRead(path, cause);
  }
}

function notRead(path: Buffer, cause: unknown): EngineError {
  const code = (cause as NodeJS.ErrnoException).code;
  if (code === 'ENOENT' || code === 'ELOOP' || code === 'ENOTDIR') return changed(path, cause);
  return new EngineError('CONTEXT_INVALID', `Cannot read ${show(path)}: ${messageOf(cause).split(',', 1)[0] ?? ''}`, {
    cause,
    hint: unreadableHint(cause),
  });
}

/** What to do about a file or folder of the context that cannot be read. */
export function unreadableHint(cause: unknown): string {
  switch ((cause as NodeJS.ErrnoException).code) {
    case 'ENAMETOOLONG':
      return 'No path may be longer than 4095 bytes: shorten it, or name a folder above it in .dockerignore';
    case 'EIO':
      return 'The disk reports a fault: check it, or name the file in .dockerignore';
    default:
      return 'Make it readable, or name it in .dockerignore';
  }
}

/**
 * A file that this user may not read is in no image, also where the helper works with more rights than the user has.
 *
 * @throws `CONTEXT_INVALID` naming the file
 */
export function requireReadable(path: Buffer, { mode, isNormalised }: ContextEntry): void {
  if (isNormalised === true || (mode & EVERYBODY) !== EVERYBODY) attempt(path, () => accessSync(path, constants.R_OK));
}

/** What everybody may read, we may. */
const EVERYBODY = 0o444;

function requireSame(stat: BigIntStats, path: Buffer, entry: ContextEntry): void {
  const isSame =
    stat.isFile() && stat.ino === entry.inode && stat.ctimeNs === entry.ctimeNs && Number(stat.size) === entry.size;
  if (!isSame) throw changed(path);
}

/** A file is not what it was when the context was listed. */
export function changed(path: Buffer, cause?: unknown): EngineError {
  const hint = 'Start the build again when nothing writes to the context';
  return new EngineError('CONTEXT_CHANGED', `Cannot use ${show(path)}: it changed while the context was read`, {
    cause,
    hint,
  });
}

function show(path: Buffer): string {
  return escapeControl(path.toString('utf8'));
}
