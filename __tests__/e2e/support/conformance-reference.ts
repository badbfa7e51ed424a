// What the conformance suite compares with: docker as Debian has it, or with BERTH_CONFORMANCE=buildkit the newest BuildKit.
import { spawnSync } from 'node:child_process';
import { startBuildKit } from './buildkit.ts';
import type { CommandOutcome } from './daemon.ts';
import { NO_DOCKER, startDocker } from './docker.ts';

/** One build of a case. */
export interface ReferenceBuild {
  readonly context: string;
  /** Path of the Dockerfile. */
  readonly file: string;
  readonly buildArgs: Readonly<Record<string, string>>;
  /** Name that the image is pushed under. */
  readonly name: string;
}

/** Another builder under way. */
export interface Reference {
  /** `docker 28.5.2 (BuildKit)`. */
  readonly name: string;
  build(build: ReferenceBuild): Promise<CommandOutcome>;
  stop(): Promise<void>;
}

/** Whether the newest BuildKit was asked for. */
export const IS_NEWEST = process.env['BERTH_CONFORMANCE'] === 'buildkit';

/** Why there is nothing to compare with: a sentence, or undefined. */
export const NO_REFERENCE = IS_NEWEST ? whyNoBuildKit() : NO_DOCKER;

function whyNoBuildKit(): string | undefined {
  if (process.getuid?.() !== 0) return 'not root: buildkitd cannot be started';
  const missing = ['go', 'runc'].filter((name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).error);
  return missing.length > 0 ? `no ${missing.join(' and no ')}: BuildKit is built from its Go module` : undefined;
}

/** Starts what is compared with. RUN has no network in it. */
export async function startReference(): Promise<Reference> {
  return IS_NEWEST ? await startBuildKit() : await dockerReference();
}

async function dockerReference(): Promise<Reference> {
  const docker = await startDocker();
  const build: Reference['build'] = async ({ context, file, buildArgs, name }) => {
    const given = Object.entries(buildArgs).flatMap(([key, value]) => ['--build-arg', `${key}=${value}`]);
    return await docker.docker(['build', '--push', '--network=none', '--tag', name, '--file', file, ...given, context]);
  };
  return { name: `docker ${docker.version} (BuildKit)`, build, stop: async () => await docker.stop() };
}
