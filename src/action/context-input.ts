import { existsSync } from 'node:fs';
import { posix, resolve } from 'node:path';
import { EngineError, parseGitSource, type BuildContext, type BuildNamedContext } from '../../engine/index.ts';
import { parseNamedContext } from '../cli/commands/build-context.ts';
import type { BuildSecret } from './build-secrets.ts';
import { parseList } from './csv.ts';
import type { RunnerContext } from './environment.ts';
import { named } from './named.ts';
import { resolveInputPath } from './paths.ts';

/** Input `context`: a folder of the workspace, or something that is fetched. */
export type ContextInput =
  | { readonly kind: 'folder'; readonly path: string }
  | {
      readonly kind: 'remote';
      readonly source: Exclude<BuildContext, string>;
      /** Names it whatever its ref, for the scope of the cache. */
      readonly name: string;
      /** Where its files are in the workspace too: the default context is the repository that was checked out. */
      readonly folder: string | undefined;
    };

const DEFAULT = /^\{\{\s*defaultContext\s*\}\}(?::(.*))?$/;

/**
 * A folder of the workspace, a repository (`https://github.com/me/app.git#ref:folder`), an archive behind a URL, or docker/build-push-action's
 * `{{defaultContext}}`, the repository at the commit of this run.
 *
 * @throws `INPUT_INVALID` for what is none of these
 */
export function parseContextInput(text: string, runner: RunnerContext): ContextInput {
  const context = text === '' ? '.' : text;
  if (existsSync(resolve(runner.workspace, context))) return { kind: 'folder', path: context };
  const [isDefault, subdir = ''] = DEFAULT.exec(context) ?? [];
  if (isDefault !== undefined) return remote(defaultContext(runner, subdir), subdir);
  if (context.includes('{{')) {
    throw new EngineError('INPUT_INVALID', `Cannot read input 'context': '${context}' is no template of a context`, {
      hint: 'Write {{defaultContext}} or {{defaultContext}}:folder',
    });
  }
  return isRemote(context) ? remote(context, undefined) : { kind: 'folder', path: context };
}

function isRemote(context: string): boolean {
  return (
    /^[a-z+]+:\/\/|^[\w.-]+@[\w.-]+:/i.test(context) || named('context', () => parseGitSource(context)) !== undefined
  );
}

function remote(text: string, folder: string | undefined): ContextInput {
  const git = named('context', () => parseGitSource(text));
  if (git) return { kind: 'remote', source: git, name: `${git.remote}:${git.subdir ?? ''}`, folder };
  if (/^https?:\/\//.test(text)) return { kind: 'remote', source: { type: 'http', url: text }, name: text, folder };
  throw new EngineError('INPUT_INVALID', `Cannot read input 'context': '${text}' is no repository and no URL`, {
    hint: 'Give a folder of the workspace, or https://github.com/OWNER/NAME.git#REF',
  });
}

/** The commit of the run; of a pull request its head, as docker/build-push-action has it. */
function defaultContext({ serverUrl, repository, ref, sha }: RunnerContext, subdir: string): string {
  const pull = ref.startsWith('refs/pull/') ? ref.replace(/\/merge$/, '/head') : undefined;
  return `${serverUrl}/${repository}.git#${pull ?? (sha || ref)}${subdir === '' ? '' : `:${posix.normalize(subdir)}`}`;
}

/**
 * Input `build-contexts`, one `name=value` a line: a folder of the workspace, a repository, a URL, `docker-image://…`, `oci-layout://…`.
 *
 * @throws `INPUT_INVALID`, `PATH_NOT_FOUND`, `PATH_OUTSIDE`
 */
export async function readBuildContexts(
  text: string,
  runner: RunnerContext,
): Promise<Readonly<Record<string, BuildNamedContext>>> {
  const contexts: [string, BuildNamedContext][] = [];
  for (const line of parseList('build-contexts', text, { ignoreComma: true })) {
    const [name, context] = named('build-contexts', () => parseNamedContext(line, runner.workspace));
    contexts.push([name, await inside(context, runner)]);
  }
  return Object.fromEntries(contexts);
}

async function inside(context: BuildNamedContext, runner: RunnerContext): Promise<BuildNamedContext> {
  if (typeof context === 'string') return await resolveInputPath('build-contexts', context, runner);
  if (context.type !== 'oci-layout') return context;
  return { ...context, path: await resolveInputPath('build-contexts', context.path, runner) };
}

/**
 * Input `github-token`: what git asks the server of this run with, and no other server; no RUN can mount it. A build secret of that name goes
 * first.
 */
export function gitToken(
  token: string,
  { serverUrl }: Pick<RunnerContext, 'serverUrl'>,
  given: readonly BuildSecret[],
): readonly BuildSecret[] {
  if (token === '' || !URL.canParse(serverUrl)) return [];
  const id = `GIT_AUTH_TOKEN.${new URL(serverUrl).host}`;
  const isGiven = given.some((secret) => [id, 'GIT_AUTH_TOKEN'].includes(secret.id));
  return isGiven ? [] : [{ id, value: Buffer.from(token) }];
}
