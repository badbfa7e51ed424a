import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { EngineError } from '../base/errors.ts';

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
  const { code, act, limit } = options;
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY;
  const opened = await open(path, flags).then(
    (file) => ({ file }),
    (error: NodeJS.ErrnoException) => ({ error }),
  );
  if ('error' in opened) {
    const errno = opened.error.code ?? 'unknown error';
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return undefined;
    const state = errno === 'ELOOP' ? 'it is a symbolic link' : errno === 'ENXIO' ? 'it is a socket' : errno;
    throw new EngineError(code, `Cannot ${act} ${path}: ${state}`, { cause: opened.error });
  }
  const handle = opened.file;
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) throw new EngineError(code, `Cannot ${act} ${path}: it is ${kindOf(stat)}, not a regular file`);
    if (stat.size > limit)
      throw new EngineError(code, `Cannot ${act} ${path}: it has ${stat.size} bytes, the limit is ${limit}`);
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}

function kindOf(stat: { isDirectory(): boolean; isFIFO(): boolean }): string {
  if (stat.isDirectory()) return 'a directory';
  return stat.isFIFO() ? 'a FIFO' : 'a device';
}
