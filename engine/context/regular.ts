import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { EngineError } from '../base/errors.ts';

/** A FIFO must not block, and a terminal must not become ours. */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY;

/** How {@link readRegularFile} behaves. */
export interface ReadRegularOptions {
  /** For errors: the code, and the act that fails. */
  readonly code: string;
  readonly act: string;
  /** The largest file in bytes. */
  readonly limit: number;
}

/**
 * The bytes of a small regular file. Links are not followed, and nothing else is opened for reading: a FIFO would hang, a device never end.
 *
 * @returns undefined when there is no such file
 * @throws the given code, naming the path and what is there
 */
export async function readRegularFile(path: string, options: ReadRegularOptions): Promise<Buffer | undefined> {
  const handle = await openQuietly(path, options);
  if (!handle) return undefined;
  const refuse = (state: string): EngineError => refusal(path, options, state);
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) throw refuse(`it is ${kindOf(stat)}, not a regular file`);
    if (stat.size > options.limit) throw refuse(`it has ${stat.size} bytes, the limit is ${options.limit}`);
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}

async function openQuietly(path: string, options: ReadRegularOptions): Promise<FileHandle | undefined> {
  try {
    return await open(path, FLAGS);
  } catch (cause) {
    const errno = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return undefined;
    const state = errno === 'ELOOP' ? 'it is a symbolic link' : errno === 'ENXIO' ? 'it is a socket' : errno;
    throw refusal(path, options, state, cause);
  }
}

function refusal(path: string, { code, act }: ReadRegularOptions, state: string, cause?: unknown): EngineError {
  return new EngineError(code, `Cannot ${act} ${path}: ${state}`, { cause });
}

function kindOf(stat: { isDirectory(): boolean; isFIFO(): boolean }): string {
  if (stat.isDirectory()) return 'a directory';
  return stat.isFIFO() ? 'a FIFO' : 'a device';
}
