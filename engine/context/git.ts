import { execFile, type ExecFileOptions } from 'node:child_process';
import { existsSync } from 'node:fs';
import { lutimes, mkdir, readdir, realpath, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '../base/errors.ts';
import { escapeControl } from '../base/escape.ts';
import { redact } from '../base/redact.ts';

/** The files of a commit that are wanted. */
export interface GitTree {
  readonly remote: string;
  readonly ref?: string | undefined;
  readonly subdir?: string | undefined;
  /** Commit, or the beginning of one, that the ref must lead to. */
  readonly checksum?: string | undefined;
  readonly keepGitDir: boolean;
  readonly submodules: boolean;
  /** `commit`: files get the time of the commit. */
  readonly mtime?: 'checkout' | 'commit' | undefined;
}

/** How git is run. Nothing is read from the environment or from the user's configuration. */
export interface GitOptions {
  /** Value of an `Authorization` header for the remote. */
  readonly authorization?: string | undefined;
  /** hostPath of the socket of the agent that ssh asks for keys; without one it has none. */
  readonly agent?: string | undefined;
  /** hostPath of the file that keeps the keys of hosts that nobody knew before, so that they stay the same for this build. */
  readonly knownHosts?: string | undefined;
  readonly caFile?: string | undefined;
  readonly httpProxy?: string | undefined;
  readonly httpsProxy?: string | undefined;
  readonly noProxy?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Where git lies: PATH may come from a stranger. */
const PLACES: readonly string[] = ['/usr/bin/git', '/usr/local/bin/git', '/bin/git'];
const COMMIT = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;
const MAX_OUTPUT = 64 * 1024 * 1024;

/**
 * The commit that the tree is of, asked of the remote; nothing is fetched.
 *
 * @throws `GIT_FAILED`, `GIT_REF_NOT_FOUND`, `CHECKSUM_MISMATCH`
 */
export async function resolveCommit(tree: GitTree, options: GitOptions): Promise<string> {
  const { ref = 'HEAD' } = tree;
  if (COMMIT.test(ref)) return checked(tree, ref);
  refuseOption(ref);
  const output = await git(['ls-remote', '--', tree.remote, ref, `${ref}^{}`], tree, options);
  const found = new Map(
    output.split('\n').flatMap((line) => (line === '' ? [] : [[line.split('\t')[1] ?? '', line.split('\t')[0] ?? '']])),
  );
  const names = [ref, `refs/heads/${ref}`, `refs/tags/${ref}`].flatMap((name) => [`${name}^{}`, name]);
  const commit = names.map((name) => found.get(name)).find((one) => one !== undefined && COMMIT.test(one));
  if (commit !== undefined) return checked(tree, commit);
  throw new EngineError(
    'GIT_REF_NOT_FOUND',
    `Cannot read ${redact(tree.remote)}: it has no ref "${escapeControl(ref)}"`,
    {
      hint: 'Name a branch, a tag or the full id of a commit',
    },
  );
}

/** Files of a commit. */
export interface CheckedOut {
  readonly directory: string;
  /** When the commit was made, in seconds since 1970. */
  readonly time: number;
}

/**
 * Checks a commit out into an empty folder, with its submodules, and gives the folder that is wanted of it.
 *
 * @throws `GIT_FAILED`; `CONTEXT_INVALID` for a subdirectory that is none, or that a link leads out of
 */
export async function checkOut(
  tree: GitTree,
  commit: string,
  folder: string,
  options: GitOptions,
): Promise<CheckedOut> {
  const work = join(folder, 'tree');
  await mkdir(work);
  const run: Run = (args) => git(args, tree, options, work);
  await run(['init', '--quiet']);
  await fetchCommit(tree, commit, run);
  await run(['checkout', '--quiet', '--force', '--detach', commit]);
  if (tree.submodules && existsSync(join(work, '.gitmodules'))) {
    await addOrigin(tree, run);
    await run(['submodule', 'update', '--quiet', '--init', '--recursive', '--depth=1']);
  }
  const time = Number(await run(['show', '--no-patch', '--format=%ct', commit]));
  if (tree.mtime === 'commit') await setTimes(work, new Date(time * 1000));
  if (tree.keepGitDir) await nameKept(tree, commit, run);
  else await removeGit(work);
  return { directory: await subdirectory(tree, work), time };
}

/** A commit by its id where the server gives it so; else all branches and tags, in one of which it must be. */
async function fetchCommit({ remote }: GitTree, commit: string, run: Run): Promise<void> {
  try {
    await run([...FETCH, '--depth=1', '--', remote, commit]);
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    await run([...FETCH, '--', remote, '+refs/heads/*:refs/remotes/origin/*', '+refs/tags/*:refs/tags/*']);
  }
}

type Run = (args: readonly string[]) => Promise<string>;

async function addOrigin({ remote }: GitTree, run: Run): Promise<void> {
  await run(['remote', 'add', 'origin', withoutUser(remote)]);
}

/**
 * Gives a repository that is kept its origin, and the tag that was asked for: `git describe`, by which many tools number their builds, goes by it. Of
 * other tags nothing is known, as with BuildKit. FETCH_HEAD goes, since it may hold a name and a password of the address.
 */
async function nameKept(tree: GitTree, commit: string, run: Run): Promise<void> {
  if (!(await run(['remote'])).split('\n').includes('origin')) await addOrigin(tree, run);
  const tag = (tree.ref ?? '').replace(/^refs\/tags\//, '');
  if (tag !== '' && !tag.startsWith('refs/') && !COMMIT.test(tag)) {
    const name = `refs/tags/${tag}`;
    const found = await run(['ls-remote', '--', tree.remote, name, `${name}^{}`]);
    if (found.includes(commit)) await run([...FETCH, '--depth=1', '--', tree.remote, `+${name}:${name}`]);
  }
  await rm(join(await gitFolder(run), 'FETCH_HEAD'), { force: true });
}

async function gitFolder(run: Run): Promise<string> {
  return (await run(['rev-parse', '--absolute-git-dir'])).trim();
}

const FETCH: readonly string[] = ['fetch', '--quiet', '--no-tags'];

function checked({ remote, checksum }: GitTree, commit: string): string {
  if (checksum === undefined) return commit;
  if (/^[0-9a-f]{7,64}$/.test(checksum) && commit.startsWith(checksum)) return commit;
  const state = `the ref leads to the commit ${commit}, and ${escapeControl(checksum)} was wanted`;
  throw new EngineError('CHECKSUM_MISMATCH', `Cannot use ${redact(remote)}: ${state}`, {
    hint: 'Give seven or more digits of the commit that the ref leads to',
  });
}

async function subdirectory({ remote, subdir = '' }: GitTree, work: string): Promise<string> {
  const path = join(work, subdir);
  const refuse = (state: string): EngineError =>
    new EngineError('CONTEXT_INVALID', `Cannot use ${escapeControl(subdir)} of ${redact(remote)}: ${state}`);
  const [root, real] = [await realpath(work), await realpath(path).catch(() => undefined)];
  if (real === undefined) throw refuse('there is no such directory');
  if (real !== root && !real.startsWith(`${root}/`)) throw refuse('it leads out of the repository');
  if (!(await stat(real)).isDirectory()) throw refuse('it is no directory');
  return real;
}

/** `.git` of the repository and of its submodules. */
async function removeGit(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.name === '.git') await rm(path, { recursive: true, force: true });
    else if (entry.isDirectory()) await removeGit(path);
  }
}

async function setTimes(folder: string, time: Date): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.name === '.git') continue;
    if (entry.isDirectory()) await setTimes(join(folder, entry.name), time);
    await lutimes(join(folder, entry.name), time, time);
  }
}

function withoutUser(remote: string): string {
  return remote.replace(/^(https?:\/\/)[^/@]*@/, '$1');
}

function refuseOption(ref: string): void {
  if (!ref.startsWith('-')) return;
  throw new EngineError('GIT_REF_NOT_FOUND', `Cannot read the ref "${escapeControl(ref)}": it is no name of one`);
}

async function git(args: readonly string[], tree: GitTree, options: GitOptions, cwd = '/'): Promise<string> {
  const path = PLACES.find((place) => existsSync(place));
  if (path === undefined) {
    throw new EngineError('GIT_MISSING', `Cannot read ${redact(tree.remote)}: git is not installed in /usr/bin`, {
      hint: 'Install git, or give a directory',
    });
  }
  const settings = ['core.hooksPath=/dev/null', 'protocol.file.allow=never', 'advice.detachedHead=false', 'gc.auto=0'];
  const run: ExecFileOptions = {
    cwd,
    env: environment(tree, options),
    maxBuffer: MAX_OUTPUT,
    ...(options.signal ? { signal: options.signal } : {}),
  };
  return await new Promise((resolve, reject) => {
    execFile(path, [...settings.flatMap((one) => ['-c', one]), ...args], run, (error, stdout, stderr) => {
      if (!error) return resolve(String(stdout));
      if (options.signal?.aborted) return reject(options.signal.reason as Error);
      reject(failure(tree, options, String(stderr), error));
    });
  });
}

const NEEDS_LOGIN = /could not read (?:Username|Password)|Authentication failed|HTTP 40[13]/i;
const SSH_REFUSED = /Permission denied \(|Host key verification failed/;

/** What to type next, by what git or ssh said. */
function hintFor(stderr: string, { agent }: GitOptions): string {
  if (NEEDS_LOGIN.test(stderr)) return 'Give a token: --secret id=GIT_AUTH_TOKEN,env=NAME';
  if (!SSH_REFUSED.test(stderr)) return 'Check the address and the ref';
  if (agent === undefined || stderr.includes('Permission denied')) {
    return 'Add the key to an agent with ssh-add, and give the agent: --ssh default';
  }
  return 'The host has another key than ~/.ssh/known_hosts says: find out why before you remove that line';
}

function failure({ remote }: GitTree, options: GitOptions, stderr: string, cause: unknown): EngineError {
  const lines = stderr.split(/\r?\n/).filter((line) => line.trim() !== '' && !line.startsWith('hint:'));
  const guilty = [SSH_REFUSED, /^fatal:/].map((pattern) => lines.find((line) => pattern.test(line)));
  const said = escapeControl(redact(guilty.find((line) => line !== undefined) ?? lines.at(-1) ?? 'git failed'));
  return new EngineError('GIT_FAILED', `Cannot read ${redact(remote)}: ${said.replace(/^fatal: /, '')}`, {
    cause,
    hint: hintFor(stderr, options),
  });
}

/** The little that git and ssh need. A token is never on the command line, where every user of the machine could read it. */
function environment({ remote }: GitTree, options: GitOptions): NodeJS.ProcessEnv {
  const { authorization, caFile, httpProxy, httpsProxy, noProxy } = options;
  const origin = /^https?:\/\/[^/]*/.exec(withoutUser(remote))?.[0];
  return {
    PATH: '/usr/local/bin:/usr/bin:/bin',
    LC_ALL: 'C',
    HOME: '/nonexistent',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ALLOW_PROTOCOL: 'https:http:ssh:git',
    GIT_SSH_COMMAND: sshCommand(options),
    ...(caFile === undefined ? {} : { GIT_SSL_CAINFO: caFile }),
    ...(httpProxy ? { http_proxy: httpProxy } : {}),
    ...(httpsProxy ? { https_proxy: httpsProxy } : {}),
    ...(noProxy ? { no_proxy: noProxy } : {}),
    ...(authorization === undefined || origin === undefined
      ? {}
      : {
          GIT_CONFIG_COUNT: '1',
          GIT_CONFIG_KEY_0: `http.${origin}/.extraheader`,
          GIT_CONFIG_VALUE_0: `Authorization: ${authorization}`,
        }),
  };
}

/**
 * As BuildKit: keys are those of the agent that the user lends, and a host is believed the first time. Where the user knows the host, it must
 * have the key that he knows. Keys in files of the user are for him, not for what a Dockerfile names.
 */
function sshCommand({ agent, knownHosts }: GitOptions): string {
  const hosts = [...(knownHosts === undefined ? [] : [quoted(knownHosts)]), '~/.ssh/known_hosts'].join(' ');
  const settings = [
    'BatchMode=yes',
    `StrictHostKeyChecking=${knownHosts === undefined ? 'yes' : 'accept-new'}`,
    `UserKnownHostsFile=${hosts}`,
    'IdentityFile=none',
    `IdentityAgent=${agent === undefined ? 'none' : quoted(agent)}`,
  ];
  return ['ssh -F /dev/null', ...settings.map((one) => `-o '${one.replaceAll("'", "'\\''")}'`)].join(' ');
}

/** A path as ssh reads it in an option: `%` and `$` would begin something else. */
function quoted(path: string): string {
  return `"${path.replaceAll('%', '%%').replaceAll(/(["\\])/g, '\\$1')}"`;
}
