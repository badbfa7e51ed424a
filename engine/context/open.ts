import { EngineError } from '../base/errors.ts';
import type { WarningEvent } from '../base/progress.ts';
import type { Context } from './types.ts';

/** Content hashes of files that have not changed since they were read; kept by the caller. Key: path and stat, value: hex SHA-256. */
export interface StatCache {
  load(): Promise<Map<string, string>>;
  save(entries: Map<string, string>): Promise<void>;
}

/** How a context is opened. */
export interface OpenContextOptions {
  /** Path of the Dockerfile; its `<name>.dockerignore` goes before `.dockerignore`. */
  readonly dockerfile?: string | undefined;
  /** An ignore file to use instead of both. */
  readonly ignoreFile?: string | undefined;
  /** Directories that must not lie inside the context: the engine's store. */
  readonly forbid?: readonly string[] | undefined;
  readonly statCache?: StatCache | undefined;
  readonly onEvent?: ((event: WarningEvent) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Lists a local directory as build context.
 *
 * @throws `CONTEXT_INVALID` when it is no directory, is `/` or holds a forbidden directory; `DOCKERIGNORE_INVALID`
 */
export async function openContext(root: string, options: OpenContextOptions = {}): Promise<Context> {
  options.signal?.throwIfAborted();
  throw new EngineError('UNSUPPORTED', `Cannot open ${root}: reading of contexts is not built in yet`);
}
