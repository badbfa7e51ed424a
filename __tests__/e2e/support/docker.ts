// A real dockerd with BuildKit for comparisons, with everything of its own: data, sockets, cgroups, no bridge, no firewall rules.
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, openSync, closeSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { cgroupOf, endDaemon, outcomeOf, type CommandOutcome } from './daemon.ts';
import { ensureDockerPrograms, type DockerPrograms } from './docker-packages.ts';

/** Why no docker can be started here: a sentence, or undefined. */
export const NO_DOCKER =
  process.getuid?.() !== 0
    ? 'not root: dockerd cannot be started'
    : !existsSync('/usr/bin/apt-get')
      ? 'no apt-get: docker comes from Debian packages'
      : undefined;

/** What a docker command did. */
export type DockerOutcome = CommandOutcome;

/** How one docker command is started. */
export interface DockerCommand {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
}

/**
 * A daemon under way. It has no bridge: say `--network=none` or `--network=host` to `build` and `run`. Registries on loopback are plain
 * HTTP for it without being told.
 */
export interface Docker {
  /** The daemon's version: `28.5.2+dfsg4`. */
  readonly version: string;
  /** `unix://…`, for DOCKER_HOST. */
  readonly host: string;
  /** Its variables: a program of the test's own finds the daemon and the client with them. */
  readonly env: Readonly<Record<string, string>>;
  /** The daemon's process: where a test reads its memory and CPU time. */
  readonly pid: number;
  /** Runs `docker ARGS` and waits for its end; a failing command is an outcome, not an error. */
  docker(args: readonly string[], command?: DockerCommand): Promise<DockerOutcome>;
  /** Starts `docker ARGS` and does not wait: stdin, stdout and stderr are pipes. */
  spawn(args: readonly string[], command?: Omit<DockerCommand, 'input'>): ChildProcess;
  /** Ends the daemon by its pid and takes away its folder, mounts and cgroups. */
  stop(): Promise<void>;
}

/** How the daemon is started. */
export interface DockerOptions {
  /** Store images in containerd, which compresses them as a push would, rather than in the classic store. */
  readonly containerdStore?: boolean;
  /** More flags of dockerd. */
  readonly flags?: readonly string[];
}

/**
 * Starts dockerd on a folder of its own below `/var/tmp`; the packages are fetched once.
 *
 * @throws an `Error` with the last lines of the daemon's log, when it does not come up within a minute
 */
export async function startDocker(options: DockerOptions = {}): Promise<Docker> {
  const programs = ensureDockerPrograms();
  const folder = mkdtempSync('/var/tmp/berth-docker-');
  const env = environment(programs, folder);
  const daemon = launch(programs, { folder, env }, options);
  const start: Docker['spawn'] = (args, { cwd, env: more } = {}) =>
    spawn(programs.docker, args, { cwd: cwd ?? folder, env: { ...env, ...more }, stdio: 'pipe' });
  const docker: Docker['docker'] = async (args, command = {}) => await outcomeOf(start(args, command), command.input);
  const stop = async (): Promise<void> => await endDaemon(daemon, folder);
  try {
    const version = await answered(daemon, docker);
    return { version, host: env['DOCKER_HOST'] ?? '', env, pid: daemon.pid ?? 0, docker, spawn: start, stop };
  } catch (error) {
    const log = readFileSync(join(folder, 'log'), 'utf8').split('\n').slice(-15).join('\n');
    await stop();
    throw new Error(`dockerd did not start:\n${log}`, { cause: error });
  }
}

function environment(programs: DockerPrograms, folder: string): Record<string, string> {
  const config = join(folder, 'config');
  mkdirSync(join(config, 'cli-plugins'), { recursive: true });
  symlinkSync(join(programs.plugins, 'docker-buildx'), join(config, 'cli-plugins/docker-buildx'));
  return {
    PATH: [...programs.path, '/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'].join(':'),
    HOME: folder,
    DOCKER_CONFIG: config,
    DOCKER_HOST: `unix://${folder}/docker.sock`,
    DOCKER_BUILDKIT: '1',
  };
}

function launch(
  programs: DockerPrograms,
  { folder, env }: { readonly folder: string; readonly env: Readonly<Record<string, string>> },
  { containerdStore = false, flags = [] }: DockerOptions,
): ChildProcess {
  const log = openSync(join(folder, 'log'), 'w');
  const args = [
    ...['--data-root', join(folder, 'data'), '--exec-root', join(folder, 'exec'), '--pidfile', join(folder, 'pid')],
    ...['--host', env['DOCKER_HOST'] ?? '', '--cgroup-parent', cgroupOf(folder), '--log-level', 'warn'],
    ...['--bridge=none', '--iptables=false', '--ip6tables=false', '--ip-forward=false'],
    ...(containerdStore ? ['--feature', 'containerd-snapshotter=true'] : []),
    ...flags,
  ];
  const child = spawn(programs.dockerd, args, { cwd: folder, env, stdio: ['ignore', log, log] });
  closeSync(log);
  return child;
}

/** The version, as soon as the daemon answers. */
async function answered(daemon: ChildProcess, docker: Docker['docker']): Promise<string> {
  for (let tries = 0; tries < 300 && daemon.exitCode === null; tries += 1) {
    const { code, stdout } = await docker(['version', '--format', '{{.Server.Version}}']);
    if (code === 0) return stdout.trim();
    await delay(200);
  }
  throw new Error('no answer from the daemon');
}
