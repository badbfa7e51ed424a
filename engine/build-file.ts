import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { EngineError, messageOf } from './base/errors.ts';
import type { BuildRequest } from './engine.ts';

/** Bytes of the largest Dockerfile that is read; the parser has the same limit. */
const MAX_DOCKERFILE = 1024 * 1024;

/** A Dockerfile: its text, what to call it in messages, and its path when it is a file. */
export interface DockerfileSource {
  readonly text: Uint8Array | string;
  readonly file: string;
  readonly path?: string | undefined;
}

/**
 * Reads the Dockerfile of a request: its text, the file that it names, or `Dockerfile` in the context (then `dockerfile`, as Docker).
 *
 * @throws `DOCKERFILE_NOT_FOUND`, `DOCKERFILE_INVALID`
 */
export async function readDockerfile({ context, file, dockerfile }: BuildRequest): Promise<DockerfileSource> {
  if (dockerfile !== undefined) return { text: dockerfile, file: 'Dockerfile' };
  const path = file ?? (await findDefault(context));
  try {
    const found = await stat(path);
    if (!found.isFile()) throw new EngineError('DOCKERFILE_INVALID', `Cannot read ${path}: it is not a regular file`);
    if (found.size > MAX_DOCKERFILE) {
      throw new EngineError(
        'DOCKERFILE_TOO_LARGE',
        `Cannot read ${path}: ${found.size} bytes are over the limit of ${MAX_DOCKERFILE}`,
      );
    }
    return { text: await readFile(path), file: basename(path), path };
  } catch (error) {
    if (error instanceof EngineError) throw error;
    throw await notFound(context, path, error);
  }
}

async function findDefault(context: string): Promise<string> {
  const names = await readdir(context).catch((): string[] => []);
  return join(context, !names.includes('Dockerfile') && names.includes('dockerfile') ? 'dockerfile' : 'Dockerfile');
}

async function notFound(context: string, path: string, cause: unknown): Promise<EngineError> {
  const names = await readdir(context).catch(() => undefined);
  if (names === undefined) {
    return new EngineError('CONTEXT_INVALID', `Cannot build ${context}: it is not a folder that can be read`, {
      cause,
    });
  }
  const like = names.filter((name) => /dockerfile|containerfile/i.test(name) && !name.endsWith('.dockerignore')).sort();
  const hint = like.length > 0 ? `Name it with -f: ${like.slice(0, 5).join(', ')}` : 'Name the Dockerfile with -f';
  return new EngineError('DOCKERFILE_NOT_FOUND', `Cannot read ${path}: ${messageOf(cause)}`, { cause, hint });
}
