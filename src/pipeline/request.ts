import type { BuildContext, BuildRequest } from '../../engine/index.ts';

/** The part of a build request that says how its steps are run. */
export type RunRequest = Pick<
  BuildRequest,
  | 'secrets'
  | 'gitSecrets'
  | 'knownSecrets'
  | 'allowSecretInLayer'
  | 'ssh'
  | 'network'
  | 'allowHostNetwork'
  | 'extraHosts'
  | 'shmSize'
  | 'ulimits'
>;

/** What the pipeline is asked to do; made by `src/cli/` or `src/action/`, the only places that read flags, inputs and environment. */
export interface PipelineRequest {
  /** An image of the store, by name, id or digest: it is tested and pushed as it is, and nothing is built. */
  readonly image?: string | undefined;
  /** Directory of the build context, absolute; or where it is fetched from. */
  readonly context: BuildContext;
  /** Dockerfile, absolute, or inside a context that is fetched; default `Dockerfile` in the context. */
  readonly file?: string | undefined;
  readonly target?: string | undefined;
  readonly buildArgs?: Readonly<Record<string, string>> | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Names to give the tested image, as the user wrote them; every one is pushed when `push` is set. */
  readonly tags: readonly string[];
  readonly push: boolean;
  /** `auto`, `off`, a path, or YAML (smoke-test.md 4.2). */
  readonly smokeTest: string;
  /** What relative paths in `smokeTest` are relative to, absolute. */
  readonly workingDirectory: string;
  readonly noCache?: boolean | undefined;
  /** Stages that are built without cache. */
  readonly noCacheFilter?: readonly string[] | undefined;
  /** Annotations of the manifest. */
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  /** What RUN is given, and what must not be in the image. */
  readonly run?: RunRequest | undefined;
  readonly contexts?: BuildRequest['contexts'];
  /** Files and folders that the build makes of its result, and how the image is packed; nothing is pushed by them. */
  readonly outputs?: BuildRequest['outputs'];
  /** Caches beside that of the store; they are written when the build ends, whatever the smoke test then says. */
  readonly cacheFrom?: BuildRequest['cacheFrom'];
  readonly cacheTo?: BuildRequest['cacheTo'];
  /** What the image is for; with more than one an index is built, and the image for this machine is tested. */
  readonly platforms?: BuildRequest['platforms'];
  /** Ask the registry again for base images. */
  readonly pull?: boolean | undefined;
  /** Variables that the smoke test may take over and its command gets; default none. */
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined;
  /** File that takes what the tested container says, absolute; default none. */
  readonly logFile?: string | undefined;
  /** Values that must not appear in any report. */
  readonly secrets?: readonly string[] | undefined;
}
