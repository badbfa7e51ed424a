import { realpath } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { EngineError, isInside } from '../../engine/index.ts';
import type { RunnerContext } from './environment.ts';

/**
 * A path of an input, resolved against the workspace, links followed.
 *
 * @throws `PATH_NOT_FOUND`; `PATH_OUTSIDE` when it leads out of the workspace, RUNNER_TEMP and the tool cache
 */
export async function resolveInputPath(name: string, path: string, runner: RunnerContext): Promise<string> {
  const wanted = resolve(runner.workspace, path);
  const real = await realpath(wanted).catch((error: unknown) => {
    throw new EngineError('PATH_NOT_FOUND', `Cannot use input '${name}': there is no ${path} in the workspace`, {
      hint: 'Run actions/checkout before, and give a path relative to the workspace',
      cause: error,
    });
  });
  const allowed = [runner.workspace, runner.temp, runner.toolCache].filter((root) => root !== undefined && root !== '');
  for (const root of allowed) if (isInside(await realpath(root ?? '').catch(() => root ?? ''), real)) return real;
  throw new EngineError('PATH_OUTSIDE', `Cannot use input '${name}': ${path} leads out of the workspace`, {
    hint: 'Copy what is needed into the workspace',
  });
}

/** A path of an input that need not be there yet. @throws `PATH_OUTSIDE` when it leads out of the workspace and RUNNER_TEMP */
export function resolveNewPath(name: string, path: string, runner: Pick<RunnerContext, 'workspace' | 'temp'>): string {
  const wanted = resolve(runner.workspace, path);
  const allowed = [runner.workspace, runner.temp].filter((root) => root !== '');
  if (allowed.some((root) => wanted !== root && isInside(root, wanted))) return wanted;
  throw new EngineError('PATH_OUTSIDE', `Cannot use input '${name}': ${path} is not below the workspace`, {
    hint: 'Give a path relative to the workspace, or one below RUNNER_TEMP',
  });
}

/** The Dockerfile: a path of the workspace, as in docker/build-push-action, else `Dockerfile` in the context. */
export async function resolveDockerfile(
  file: string | undefined,
  context: string,
  runner: RunnerContext,
): Promise<string> {
  if (file !== undefined) return await resolveInputPath('file', file, runner);
  return join(context, 'Dockerfile');
}

/** `path` as the diff of a pull request names it; undefined when it lies elsewhere. */
export function inWorkspace(
  path: string,
  runner: Pick<RunnerContext, 'workspace'>,
  context: string,
): string | undefined {
  const absolute = isAbsolute(path) ? path : resolve(context, path);
  return isInside(runner.workspace, absolute) ? relative(runner.workspace, absolute) : undefined;
}
