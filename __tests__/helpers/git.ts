import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Runs git in a folder with nothing of the user's or the machine's configuration; gives what it says. */
export function git(root: string, ...args: readonly (string | { readonly input: string })[]): string {
  const words = args.filter((arg): arg is string => typeof arg === 'string');
  const input = args.find((arg): arg is { readonly input: string } => typeof arg === 'object')?.input;
  return execFileSync('git', ['-c', 'user.name=A', '-c', 'user.email=a@b', ...words], {
    cwd: root,
    encoding: 'utf8',
    ...(input === undefined ? {} : { input }),
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null', HOME: '/nonexistent' },
  });
}

/** A repository with one commit of these files; those whose name ends in `!` are executable. */
export function makeRepository(
  root: string,
  files: Readonly<Record<string, string>>,
  { format = 'sha1' }: { readonly format?: string } = {},
): void {
  mkdirSync(root, { recursive: true });
  git(root, 'init', '--quiet', `--object-format=${format}`);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), content);
    if (name.endsWith('!')) chmodSync(join(root, name), 0o755);
  }
  git(root, 'add', '--all');
  git(root, 'commit', '--quiet', '--message', 'all');
}
