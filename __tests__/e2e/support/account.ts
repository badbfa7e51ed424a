import { execFileSync, spawn } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';

/** Who runs a command, and how he can become root. */
export type AccountKind = 'root' | 'sudo' | 'sudo with use_pty' | 'subuid';

/** An identity to start programs with. */
export interface Account {
  readonly kind: AccountKind;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
  /** Words that programs are started through in a pod, which is where the account is then. */
  readonly enter?: (
    account: Account,
    options: { readonly cwd: string; readonly env: Environment },
  ) => readonly string[];
}

type Environment = Readonly<Record<string, string>>;

/** Jest's number of this worker: files that run beside each other have a user each. */
const WORKER = Number(process.env['JEST_WORKER_ID'] ?? 1);
const NAME = WORKER === 1 ? 'berth-e2e' : `berth-e2e-${WORKER}`;
const SUDOERS = `/etc/sudoers.d/${NAME}`;
/** The programs that change users end when another has the list of users open. */
const ALONE = ['flock', '/run/lock/berth-e2e'];

/** Needs root: it makes the user, his range of subordinate ids and his sudo rule. */
export const NO_ACCOUNTS = process.getuid?.() === 0 ? undefined : 'not root: other users cannot be imitated';

/** The account of that kind; a user is made once, and his sudo rule is set or taken away. */
export function takeAccount(kind: AccountKind): Account {
  if (kind === 'root') return { kind, uid: 0, gid: 0, home: process.env['HOME'] ?? '/root' };
  if (!exists()) {
    // The user of most machines and runners.
    const uid = WORKER === 1 && isFree(1001) ? ['--uid', '1001'] : [];
    change(['useradd', '--create-home', '--shell', '/bin/sh', ...uid, NAME]);
  }
  ensureRange('uids', '/etc/subuid');
  ensureRange('gids', '/etc/subgid');
  rmSync(SUDOERS, { force: true });
  if (kind !== 'subuid') {
    const pty = kind === 'sudo with use_pty' ? 'use_pty' : '!use_pty';
    writeFileSync(SUDOERS, `Defaults:${NAME} ${pty}\n${NAME} ALL=(ALL) NOPASSWD:ALL\n`, { mode: 0o440 });
  }
  return { kind, uid: number('-u'), gid: number('-g'), home: `/home/${NAME}` };
}

/** Takes the user and his rules away again. */
export function removeAccounts(): void {
  rmSync(SUDOERS, { force: true });
  if (exists()) change(['userdel', '--remove', NAME]);
}

/** Starts `argv` as the account, with exactly `env`. */
export function spawnAs(
  account: Account,
  argv: readonly string[],
  options: { readonly cwd: string; readonly env: Environment },
): ReturnType<typeof spawn> {
  const env = { HOME: account.home, ...options.env };
  if (account.enter) {
    const [program = '', ...rest] = [...account.enter(account, { cwd: options.cwd, env }), ...argv];
    return spawn(program, rest, { stdio: 'pipe' });
  }
  const drop = account.uid === 0 ? [] : ['setpriv', `--reuid=${NAME}`, `--regid=${account.gid}`, '--init-groups', '--'];
  const [program = '', ...rest] = [...drop, ...argv];
  return spawn(program, rest, { cwd: options.cwd, env, stdio: 'pipe' });
}

function ensureRange(which: 'uids' | 'gids', file: string): void {
  const has = execFileSync('sh', ['-c', `grep -c '^${NAME}:' ${file} || true`], { encoding: 'utf8' }).trim();
  const first = 300_000 + 65_536 * (WORKER - 1);
  if (has === '0') change(['usermod', `--add-sub${which}`, `${first}-${first + 65_535}`, NAME]);
}

function change(argv: readonly string[]): void {
  const [program = '', ...args] = [...ALONE, ...argv];
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

function exists(): boolean {
  return run(['getent', 'passwd', NAME]);
}

function isFree(uid: number): boolean {
  return !run(['getent', 'passwd', String(uid)]);
}

function run([program = '', ...args]: readonly string[]): boolean {
  try {
    execFileSync(program, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function number(flag: '-u' | '-g'): number {
  return Number(execFileSync('id', [flag, NAME], { encoding: 'utf8' }));
}
