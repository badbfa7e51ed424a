// The newest BuildKit, whose frontend knows what the one in Debian's docker does not: built from its Go module once, started with everything of its own.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Reference, ReferenceBuild } from './conformance-reference.ts';
import { cgroupOf, endDaemon, outcomeOf, type CommandOutcome } from './daemon.ts';

const MODULE = 'github.com/moby/buildkit';
const VERSION = 'v0.32.0';
const CACHE = join(
  process.env['XDG_CACHE_HOME'] ?? `${process.env['HOME'] ?? '/root'}/.cache`,
  'berth-buildkit',
  VERSION,
);

/**
 * Starts buildkitd on a folder of its own below `/var/tmp`, with runc; the programs are built once, which takes some minutes. Registries on loopback
 * are plain HTTP for it.
 *
 * @throws an `Error` with the last lines of the daemon's log, when it does not come up within a minute
 */
export async function startBuildKit(): Promise<Reference> {
  const programs = ensurePrograms();
  const folder = mkdtempSync('/var/tmp/berth-buildkit-');
  const daemon = launch(join(programs, 'buildkitd'), folder);
  const buildctl = async (args: readonly string[]): Promise<CommandOutcome> =>
    await outcomeOf(spawn(join(programs, 'buildctl'), ['--addr', addressOf(folder), ...args], { stdio: 'pipe' }));
  const stop = async (): Promise<void> => await endDaemon(daemon, folder);
  try {
    await answered(daemon, buildctl);
  } catch (error) {
    const log = readFileSync(join(folder, 'log'), 'utf8').split('\n').slice(-15).join('\n');
    await stop();
    throw new Error(`buildkitd did not start:\n${log}`, { cause: error });
  }
  const build: Reference['build'] = async (build) => {
    // Else files of the same path, size and time are taken from the context before, whatever folder that was.
    await buildctl(['prune', '--all', '--filter=type==source.local']);
    return await buildctl(argumentsOf(build));
  };
  return { name: `BuildKit ${VERSION}`, build, stop };
}

function argumentsOf({ context, file, buildArgs, name }: ReferenceBuild): readonly string[] {
  const given = Object.entries(buildArgs).flatMap(([key, value]) => ['--opt', `build-arg:${key}=${value}`]);
  return [
    ...['build', '--progress=plain', '--frontend=dockerfile.v0', '--opt', 'force-network-mode=none'],
    ...[
      '--local',
      `context=${context}`,
      '--local',
      `dockerfile=${dirname(file)}`,
      '--opt',
      `filename=${basename(file)}`,
    ],
    ...given,
    ...['--output', `type=image,name=${name},push=true`],
  ];
}

function addressOf(folder: string): string {
  return `unix://${folder}/buildkitd.sock`;
}

function launch(buildkitd: string, folder: string): ChildProcess {
  const config = join(folder, 'buildkitd.toml');
  writeFileSync(
    config,
    [
      `root = "${folder}/root"`,
      `[grpc]\naddress = ["${addressOf(folder)}"]`,
      `[worker.oci]\nenabled = true\nbinary = "runc"\nnetworkMode = "host"\ngc = false\ndefaultCgroupParent = "${cgroupOf(folder)}"`,
      '[worker.containerd]\nenabled = false',
      '[cdi]\ndisabled = true',
    ].join('\n'),
  );
  const log = openSync(join(folder, 'log'), 'w');
  const child = spawn(buildkitd, ['--config', config], { cwd: folder, stdio: ['ignore', log, log] });
  closeSync(log);
  return child;
}

async function answered(
  daemon: ChildProcess,
  buildctl: (args: readonly string[]) => Promise<CommandOutcome>,
): Promise<void> {
  for (let tries = 0; tries < 300 && daemon.exitCode === null; tries += 1) {
    const { code } = await buildctl(['debug', 'workers']);
    if (code === 0) return;
    await delay(200);
  }
  throw new Error('no answer from the daemon');
}

/** The folder of `buildkitd` and `buildctl`: from the cache, or else built by way of the Go module proxy that `go env` names. */
function ensurePrograms(): string {
  if (existsSync(CACHE)) return CACHE;
  mkdirSync(dirname(CACHE), { recursive: true });
  const work = mkdtempSync(`${CACHE}-part-`);
  const commands = ['buildkitd', 'buildctl'].map((name) => `${MODULE}/cmd/${name}`);
  const go = (args: readonly string[]): unknown =>
    execFileSync('go', args, { cwd: work, env: { ...process.env, CGO_ENABLED: '0' }, stdio: 'pipe' });
  try {
    go(['mod', 'init', 'peer']);
    go(['get', ...commands.map((command) => `${command}@${VERSION}`)]);
    mkdirSync(join(work, 'bin'));
    go(['build', '-trimpath', '-ldflags', `-s -w -X ${MODULE}/version.Version=${VERSION}`, '-o', 'bin/', ...commands]);
    renameSync(join(work, 'bin'), CACHE);
    return CACHE;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
