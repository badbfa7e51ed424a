// What daemons of the tests have in common: a folder, a cgroup of its name, and an end that leaves nothing of them.
import { execFileSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** What a command did. */
export interface CommandOutcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Waits for the end of a command; a failing one is an outcome, not an error. */
export async function outcomeOf(child: ChildProcess, input: string | Uint8Array = ''): Promise<CommandOutcome> {
  const [out, err]: [Buffer[], Buffer[]] = [[], []];
  child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
  // A command that does not read its input closes the pipe.
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code: code ?? -1, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() };
}

/** Ends a daemon by its pid and takes away its folder, mounts and cgroups. */
export async function endDaemon(daemon: ChildProcess, folder: string): Promise<void> {
  if (daemon.exitCode === null && daemon.signalCode === null && daemon.kill('SIGTERM')) await once(daemon, 'exit');
  for (const mount of mountsBelow(folder)) execFileSync('umount', ['--lazy', mount]);
  rmSync(folder, { recursive: true, force: true });
  removeCgroups('/sys/fs/cgroup', cgroupOf(folder));
}

/** The cgroup of a daemon: the last part of its folder's name, which nothing else has. */
export function cgroupOf(folder: string): string {
  return `/${folder.slice(folder.lastIndexOf('/') + 1)}`;
}

function mountsBelow(folder: string): readonly string[] {
  const points = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '');
  return points.filter((point) => point.startsWith(`${folder}/`)).reverse();
}

/** Cgroups of the daemon in the one hierarchy of version 2, or in each of version 1. */
function removeCgroups(mount: string, name: string): void {
  for (const hierarchy of ['', ...readdirSync(mount)]) removeTree(join(mount, hierarchy, name));
}

function removeTree(folder: string): void {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) removeTree(join(folder, entry.name));
  }
  rmdirSync(folder);
}
