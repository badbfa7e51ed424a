import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { delimiter, join, relative } from 'node:path';
import type { EngineOptions } from '../../engine/index.ts';
import { readSettings, parseMirrors } from '../cli/settings.ts';
import { version } from '../cli/version.ts';
import type { PipelineRequest, RunRequest } from '../pipeline/index.ts';
import { createActionsCache, type ActionsCache } from './cache.ts';
import type { Compression } from './cache/names.ts';
import { mountScopeOf, readCacheAccess, stepScopeOf } from './cache/policy.ts';
import type { ReadSecrets } from './build-secrets.ts';
import { gitToken, readBuildContexts } from './context-input.ts';
import { createCredentials } from './credentials.ts';
import { commandEnvironment, type RunnerContext } from './environment.ts';
import { createBuiltScopes, findImageSource, type BuiltScopes, type ImageSource } from './image-input.ts';
import { parseInputs, type ActionInputs, type MutableEnvironment } from './inputs.ts';
import { resolveDockerfile, resolveInputPath, resolveNewPath } from './paths.ts';
import { scopeOfPlatforms } from './platforms-input.ts';
import type { Runner } from './runner.ts';
import { maskForms, type Secret } from './secrets.ts';
import { chooseStorePlace } from './store-place.ts';

/** Everything that is known before the engine opens. */
export interface Job {
  readonly runner: Runner;
  readonly redact: (text: string) => string;
  readonly context: RunnerContext;
  readonly inputs: ActionInputs;
  readonly request: PipelineRequest;
  /** Undefined: one is built. */
  readonly image: ImageSource | undefined;
  /** Folder for the OCI layout, absolute. */
  readonly layout: string | undefined;
  /** DOCKER_HOST. */
  readonly dockerHost: string | undefined;
  readonly settings: EngineOptions;
  readonly cache: ActionsCache;
  /** Where the layers of images of earlier steps can be had again. */
  readonly scopes: BuiltScopes;
  /** Folder of this step for what is on its way to or from the cache. */
  readonly folder: string;
  /** Dockerfile, absolute; undefined when it is no file of the workspace. */
  readonly dockerfile: string | undefined;
}

/** What the step was given. */
export interface Given {
  readonly env: MutableEnvironment;
  readonly raw: ReadonlyMap<string, string>;
  readonly context: RunnerContext;
  /** All that must be nowhere. */
  readonly secrets: readonly Secret[];
  readonly build: ReadSecrets;
  readonly runner: Runner;
  readonly redact: (text: string) => string;
}

/** Checks the inputs and finds what they name. @throws naming the input that cannot be used */
export async function prepare({ env, raw, context, secrets, build, runner, redact }: Given): Promise<Job> {
  build.check();
  const inputs = parseInputs(raw, context, secrets, env);
  const files = await findFiles(inputs, context);
  const contexts = await readBuildContexts(inputs.buildContexts, context);
  const settings = await engineSettings(env, inputs, context);
  const scopeParts = [...files.scopeParts, inputs.target ?? '', scopeOfPlatforms(inputs.platforms)];
  const folder = join(jobFolder(context), `${context.runId}-${process.pid}`);
  const cache = createActionsCache({
    access: readCacheAccess(env),
    settings: inputs.cache,
    runner: context,
    scopeParts,
    signingKey: inputs.cacheSigningKey,
    maxSize: inputs.cacheMaxSize,
    mounts: inputs.cacheMounts,
    names: inputs.tags,
    compressions: compressionsOf(env['PATH'] ?? ''),
    proxies: settings,
    engineVersion: version(),
    folder,
    warn: (message) => runner.commands.annotate('warning', redact(message)),
    mask: (values) => runner.commands.mask(values),
  });
  return {
    runner,
    redact,
    context,
    inputs,
    settings: {
      ...settings,
      cacheSource: cache.source,
      cacheMountScope: mountScopeOf(context),
      // A runner whose jobs are all of one scope may say so itself.
      cacheScope: stepScopeOf(context) ?? settings.cacheScope,
      onSecret: createMasker(runner),
    },
    cache,
    scopes: createBuiltScopes(join(jobFolder(context), 'scopes')),
    folder,
    image: inputs.image === undefined ? undefined : await findImageSource(inputs.image, context),
    layout: inputs.ociLayout === undefined ? undefined : resolveNewPath('oci-layout', inputs.ociLayout, context),
    dockerHost: env['DOCKER_HOST'] || undefined,
    dockerfile: files.dockerfile,
    request: {
      ...requestOf(inputs, context),
      environment: commandEnvironment(env),
      logFile: join(folder, 'container.log'),
      run: runRequest(inputs, build, context),
      context: files.context,
      file: files.file,
      contexts,
    },
  };
}

/** Where the files of a build are. */
interface BuildFiles extends Pick<PipelineRequest, 'context' | 'file'> {
  /** As the workspace has it, for annotations. */
  readonly dockerfile: string | undefined;
  /** What the scope of the cache is named by. */
  readonly scopeParts: readonly string[];
}

async function findFiles({ context: input, file }: ActionInputs, runner: RunnerContext): Promise<BuildFiles> {
  if (input.kind === 'remote') {
    const { source, name, folder } = input;
    const dockerfile = folder === undefined ? undefined : join(runner.workspace, folder, file ?? 'Dockerfile');
    return { context: source, file, dockerfile, scopeParts: [name, file ?? ''] };
  }
  const context = await resolveInputPath('context', input.path, runner);
  const given = file === undefined ? undefined : await resolveDockerfile(file, context, runner);
  const dockerfile = given ?? (await resolveDockerfile(undefined, context, runner));
  const scopeParts = [relative(runner.workspace, context), relative(runner.workspace, dockerfile)];
  return { context, file: given, dockerfile, scopeParts };
}

/** Build secrets for the steps that ask for them; of those and of all others the values that must not be in the image. */
function runRequest(
  { run, secrets, githubToken }: ActionInputs,
  build: ReadSecrets,
  runner: RunnerContext,
): RunRequest {
  const knownSecrets = secrets.map(({ name, value }) => ({ id: name, value: Buffer.from(value) }));
  const gitSecrets = gitToken(githubToken, runner, build.secrets);
  return { ...run, secrets: build.secrets, gitSecrets, knownSecrets };
}

/** Folder that the steps of a job share; the post step of the first of them removes it. */
export function jobFolder({ temp }: RunnerContext): string {
  return join(temp, 'berth-cache');
}

function requestOf(inputs: ActionInputs, context: RunnerContext): Omit<PipelineRequest, 'context'> {
  return {
    target: inputs.target,
    buildArgs: inputs.buildArgs,
    labels: inputs.labels,
    tags: inputs.tags,
    push: inputs.push,
    smokeTest: inputs.smokeTest,
    workingDirectory: context.workspace,
    noCache: inputs.noCache,
    noCacheFilter: inputs.noCacheFilter,
    annotations: inputs.annotations,
    pull: inputs.pull,
    platforms: inputs.platforms,
    outputs: inputs.outputs,
    cacheFrom: inputs.cache.from,
    cacheTo: inputs.cache.to,
    secrets: inputs.secrets.map(({ value }) => value),
  };
}

async function engineSettings(
  env: MutableEnvironment,
  inputs: ActionInputs,
  context: RunnerContext,
): Promise<EngineOptions> {
  const { root } = await chooseStorePlace(context.temp, env['BERTH_ROOT']);
  const settings = readSettings({ ...env, BERTH_ROOT: root }, { uid: process.getuid?.() ?? 0 });
  const caFile =
    inputs.caFile === undefined ? settings.caFile : await resolveInputPath('ca-file', inputs.caFile, context);
  return {
    ...settings,
    isolation: inputs.isolation === 'auto' ? settings.isolation : inputs.isolation,
    mirrors: { ...settings.mirrors, ...parseMirrors(inputs.registryMirrors.join(',')) },
    credentials: createCredentials(inputs, settings.credentials),
    caFile,
    buildCa: inputs.buildCa,
  };
}

/** The event's payload, if there is one. */
export async function readEvent(path: string | undefined): Promise<unknown> {
  if (!path) return undefined;
  try {
    return JSON.parse(await readFile(path, 'utf8')) as unknown;
  } catch {
    // No event: then no pull request either, and no default branch to save on.
    return undefined;
  }
}

/** A shorter one would be found in every line. */
const SHORTEST = 8;

/** Masks what registries and their helpers give on the way, each once (hardening.md 5, rule 1). */
function createMasker({ commands }: Runner): (value: string) => void {
  const known = new Set<string>();
  return (value) => {
    if (known.has(value) || value.length < SHORTEST) return;
    known.add(value);
    commands.mask(maskForms(value));
  };
}

/** The toolkit's choice: zstd where the program is on the PATH. */
function compressionsOf(path: string): readonly [Compression, ...Compression[]] {
  const hasZstd = path.split(delimiter).some((folder) => folder !== '' && existsSync(join(folder, 'zstd')));
  return hasZstd ? ['zstd-without-long', 'gzip'] : ['gzip', 'zstd-without-long'];
}
