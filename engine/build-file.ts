import { constants, type Stats } from 'node:fs';
import { lstat, open, readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, relative, sep } from 'node:path';
import { EngineError, messageOf } from './base/errors.ts';
import { MAX_DOCKERFILE } from './dockerfile/index.ts';
import type { LocalRequest } from './build-inputs.ts';

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
export async function readDockerfile({
  context,
  file,
  dockerfile,
  contextName,
}: Pick<LocalRequest, 'context' | 'file' | 'dockerfile' | 'contextName'>): Promise<DockerfileSource> {
  if (dockerfile !== undefined) return { text: dockerfile, file: 'Dockerfile' };
  const path = file ?? (await findDefault(context));
  try {
    return { text: await readBounded(await resolveLink(context, path), path), file: basename(path), path };
  } catch (error) {
    if (error instanceof EngineError) throw error;
    throw await notFound({ context, path, contextName, isNamed: file !== undefined }, error);
  }
}

/**
 * Where a Dockerfile that is a link lies. A context may come from a stranger: its link must not lead to a file of this machine, whose lines
 * an error would show. Beside the context or the link itself is fine.
 */
async function resolveLink(context: string, path: string): Promise<string> {
  if (!(await lstat(path)).isSymbolicLink()) return path;
  const target = await realpath(path);
  const homes = await Promise.all([context, dirname(path)].map((folder) => realpath(folder)));
  if (homes.some((home) => target.startsWith(home.endsWith(sep) ? home : `${home}${sep}`))) return target;
  throw new EngineError(
    'DOCKERFILE_INVALID',
    `Cannot read ${path}: it is a symbolic link to ${target}, outside the build context`,
    { hint: `Name the file itself: -f ${target}` },
  );
}

/** The bytes of a regular file; nothing else is opened, and what takes its place in between must not block. */
async function readBounded(target: string, path: string): Promise<Uint8Array> {
  requireFile(await stat(target), path);
  const handle = await open(target, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    const found = await handle.stat();
    requireFile(found, path);
    if (found.size > MAX_DOCKERFILE) {
      throw new EngineError(
        'DOCKERFILE_TOO_LARGE',
        `Cannot read ${path}: it has ${found.size} bytes, the limit is ${MAX_DOCKERFILE}`,
      );
    }
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}

function requireFile(found: Stats, path: string): void {
  if (found.isFile()) return;
  const hint = found.isDirectory()
    ? `Name the file in it: -f ${join(path, 'Dockerfile')}`
    : 'Name a regular file: -f FILE';
  throw new EngineError('DOCKERFILE_INVALID', `Cannot read ${path}: it is not a regular file`, { hint });
}

async function findDefault(context: string): Promise<string> {
  const names = await readdir(context).catch((): string[] => []);
  return join(context, !names.includes('Dockerfile') && names.includes('dockerfile') ? 'dockerfile' : 'Dockerfile');
}

/** A Dockerfile that was looked for. */
interface Sought {
  readonly context: string;
  readonly path: string;
  readonly contextName: string | undefined;
  /** By `-f`. */
  readonly isNamed: boolean;
}

async function notFound({ context, path, contextName, isNamed }: Sought, cause: unknown): Promise<EngineError> {
  const names = await readdir(context).catch(() => undefined);
  if (names === undefined) {
    return new EngineError('CONTEXT_INVALID', `Cannot build ${context}: it is not a folder that can be read`, {
      cause,
    });
  }
  const like = names.filter((name) => /dockerfile|containerfile/i.test(name) && !name.endsWith('.dockerignore')).sort();
  const shown = contextName === undefined ? path : `${relative(context, path)} of the context ${contextName}`;
  const other = isNamed ? 'Give -f the path of a Dockerfile' : 'Name the Dockerfile with -f';
  const hint =
    like.length > 0 ? `Name it with -f: ${like.slice(0, 5).join(', ')}` : `${other}, or make one that begins with FROM`;
  return new EngineError('DOCKERFILE_NOT_FOUND', `Cannot read ${shown}: ${stateOf(cause)}`, { cause, hint });
}

function stateOf(cause: unknown): string {
  const { code } = cause as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'there is no such file';
  if (code === 'EACCES') return 'permission denied (EACCES)';
  if (code === 'ELOOP') return 'its symbolic links lead in a circle (ELOOP)';
  return messageOf(cause);
}
