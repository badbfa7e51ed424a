import { execFileSync, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

/** The program nektos/act: `ACT`, or on the PATH, or where `go install github.com/nektos/act@latest` puts it. */
export function findAct(): string | undefined {
  const { ACT, GOPATH, PATH = '' } = process.env;
  const places = [...PATH.split(delimiter), join(GOPATH ?? join(homedir(), 'go'), 'bin')].map((folder) =>
    join(folder, 'act'),
  );
  return [...(ACT ? [ACT] : []), ...places].find(isExecutable);
}

/** A run of act, on the host itself. */
export interface ActRun {
  /** Folder of the repository, whose workflows are run. */
  readonly repository: string;
  readonly workflow: string;
  readonly event: string;
  /** File with the event's payload. */
  readonly payload: string;
  /** `owner/name@ref` and the folder that takes its place. */
  readonly action: readonly [string, string];
  readonly secrets: Readonly<Record<string, string>>;
  /** For every step. */
  readonly env: Readonly<Record<string, string>>;
  /** Of act itself. */
  readonly own: NodeJS.ProcessEnv;
  readonly more?: readonly string[] | undefined;
}

/** Runs act to its end. */
export async function runAct(
  act: string,
  { repository, workflow, event, payload, action, secrets, env, own, more = [] }: ActRun,
): Promise<{ readonly code: number | null; readonly output: string }> {
  const pairs = (flag: string, values: Readonly<Record<string, string>>): readonly string[] =>
    Object.entries(values).flatMap(([name, value]) => [flag, `${name}=${value}`]);
  const args = [
    event,
    ...['-W', join('.github/workflows', workflow), '-e', payload],
    ...['-P', 'ubuntu-24.04=-self-hosted', '-P', 'ubuntu-latest=-self-hosted'],
    ...['--local-repository', action.join('='), '--action-offline-mode', '--no-cache-server'],
    ...pairs('--env', env),
    // By name alone: act reads their values from its environment.
    ...Object.keys(secrets).flatMap((name) => ['-s', name]),
    ...more,
  ];
  const child = spawn(act, args, { cwd: repository, env: { ...own, ...secrets }, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const take = (chunk: Buffer): void => void (output += chunk.toString());
  child.stdout.on('data', take);
  child.stderr.on('data', take);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { code, output };
}

/** Makes a folder a repository with one commit on `main`. */
export function commitAll(folder: string): void {
  const git = (...args: readonly string[]): void =>
    void execFileSync('git', ['-c', 'user.name=e2e', '-c', 'user.email=e2e@localhost', ...args], { cwd: folder });
  git('init', '--quiet', '--initial-branch=main');
  git('remote', 'add', 'origin', 'https://github.com/octo/app.git');
  git('add', '--all');
  git('commit', '--quiet', '--message=app');
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
