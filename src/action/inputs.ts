import { EngineError, type BuildOutput, type Platform } from '../../engine/index.ts';
import { parseCacheInputs, type CacheSettings, type OtherCaches } from './cache-input.ts';
import { parseContextInput, type ContextInput } from './context-input.ts';
import { parseList } from './csv.ts';
import { indexForDocker } from './docker.ts';
import type { RunnerContext } from './environment.ts';
import { parseImageInput } from './image-input.ts';
import { BUILD_PUSH_INPUTS } from './input-table.ts';
import { parseOutputs } from './output-input.ts';
import { checkTestable, parsePlatforms } from './platforms-input.ts';
import { parseRunInputs, type RunInputs } from './run-inputs.ts';
import { findSecret, type Secret } from './secrets.ts';
import { parseBoolean, parseChoice, parsePairs, parseSize } from './values.ts';

/** The step's `with:`, checked. Paths are as they were written; secrets are in `password` and `secrets` alone. */
export interface ActionInputs {
  /** An image that is tested and pushed as it is; undefined: one is built. */
  readonly image: string | undefined;
  /** Hand the image to a Docker daemon. */
  readonly load: boolean;
  /** Folder that gets the image as an OCI layout. */
  readonly ociLayout: string | undefined;
  readonly context: ContextInput;
  /** `name=value`, one a line, as it was written. */
  readonly buildContexts: string;
  /** What git asks the server of this run with. */
  readonly githubToken: string;
  /** Files, folders, and how the image is packed. */
  readonly outputs: readonly BuildOutput[];
  readonly file: string | undefined;
  readonly target: string | undefined;
  readonly buildArgs: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly tags: readonly string[];
  readonly push: boolean;
  readonly pull: boolean;
  readonly noCache: boolean;
  /** Stages that are built without cache. */
  readonly noCacheFilter: readonly string[];
  readonly annotations: Readonly<Record<string, string>>;
  /** What the image is for; none is the runner's own. */
  readonly platforms: readonly Platform[];
  /** `auto`, `off`, a path or YAML. */
  readonly smokeTest: string;
  /** Host and port that username and password are for; undefined: that of the tags. */
  readonly registry: string | undefined;
  readonly username: string;
  readonly password: string;
  /** What the steps are run with. */
  readonly run: RunInputs;
  readonly isolation: Isolation;
  readonly caFile: string | undefined;
  readonly buildCa: boolean;
  /** `docker.io=https://mirror.example`, one a line; as BERTH_REGISTRY_MIRRORS says it. */
  readonly registryMirrors: readonly string[];
  readonly cache: CacheSettings & OtherCaches;
  /** Bytes that one scope of the cache may take. */
  readonly cacheMaxSize: number;
  /** Contents of `RUN --mount=type=cache` are kept in the Actions cache. */
  readonly cacheMounts: boolean;
  /** The index of the Actions cache is signed with it, and read only when it is. */
  readonly cacheSigningKey: string | undefined;
  readonly summary: boolean;
  /** Values that must be nowhere. */
  readonly secrets: readonly Secret[];
}

export type Isolation = (typeof ISOLATIONS)[number];

/** Of the repository's 10 GB. */
const CACHE_MAX_SIZE = 8_000_000_000;
const ISOLATIONS = ['auto', 'root', 'userns-full', 'userns', 'userns-single', 'chroot'] as const;

/** Variables of the process that the runner started; `INPUT_*` is taken out of them. */
export type MutableEnvironment = Record<string, string | undefined>;

/**
 * Takes every `INPUT_*` out of `env`, so that no child process inherits one (hardening.md 5, rule 2), and gives them by their names in lower
 * case. It is the first thing that the Action does.
 */
export function takeInputs(env: MutableEnvironment): ReadonlyMap<string, string> {
  const inputs = new Map<string, string>();
  for (const [key, value] of Object.entries(env)) {
    if (!key.startsWith('INPUT_')) continue;
    inputs.set(key.slice('INPUT_'.length).toLowerCase(), value ?? '');
    delete env[key];
  }
  return inputs;
}

/** The secrets among the inputs, before anything about them is known to be right: they are masked first of all. */
export function secretsOf(raw: ReadonlyMap<string, string>, tokens: readonly Secret[]): readonly Secret[] {
  const named = ['password', 'secrets', 'github-token', 'cache-signing-key'].map((name) => ({
    name,
    value: (raw.get(name) ?? '').trim(),
  }));
  return [...named, ...tokens].filter(({ value }) => value !== '');
}

/**
 * Checks the inputs. Inputs that nobody declared are left to the runner, which warns of them by name.
 *
 * @param secrets all that must be nowhere
 * @param env where `build-args` without a value look it up
 * @throws `INPUT_INVALID`, `INPUT_REFUSED`, `INPUT_SECRET`, `CREDENTIAL_EMPTY`, each naming the input
 */
export function parseInputs(
  raw: ReadonlyMap<string, string>,
  runner: RunnerContext,
  secrets: readonly Secret[],
  env: Readonly<MutableEnvironment>,
): ActionInputs {
  refuse(raw);
  const outputs = parseOutputs(raw.get('outputs') ?? '', runner);
  const text = (name: string): string => (raw.get(name) ?? '').trim();
  const flag = (name: string, fallback: boolean): boolean => parseBoolean(name, text(name), fallback);
  const inputs: ActionInputs = {
    image: parseImageInput(raw),
    load: flag('load', false) || outputs.load,
    ociLayout: text('oci-layout') || undefined,
    context: parseContextInput(text('context'), runner),
    buildContexts: raw.get('build-contexts') ?? '',
    githubToken: text('github-token'),
    outputs: outputs.outputs,
    file: text('file') || undefined,
    target: text('target') || undefined,
    buildArgs: {
      ...epochOf(env),
      ...parsePairs('build-args', lines(raw, 'build-args'), (key) => env[key]),
    },
    labels: parsePairs('labels', lines(raw, 'labels'), () => ''),
    tags: [...new Set([...parseList('tags', raw.get('tags') ?? ''), ...outputs.names])],
    push: flag('push', false) || outputs.push,
    pull: flag('pull', false),
    noCache: flag('no-cache', false),
    noCacheFilter: parseList('no-cache-filters', raw.get('no-cache-filters') ?? ''),
    annotations: parsePairs('annotations', lines(raw, 'annotations').map(ofManifest), () => ''),
    platforms: parsePlatforms(raw.get('platforms') ?? ''),
    smokeTest: (raw.get('smoke-test') ?? '').trim() || 'auto',
    registry: text('registry') || undefined,
    username: text('username'),
    password: text('password'),
    run: parseRunInputs(raw, env),
    isolation: parseChoice('isolation', text('isolation'), ISOLATIONS),
    caFile: text('ca-file') || undefined,
    buildCa: flag('build-ca', false),
    registryMirrors: parseList('registry-mirrors', raw.get('registry-mirrors') ?? '', { comment: true }),
    cache: parseCacheInputs(text('cache'), raw.get('cache-from') ?? '', raw.get('cache-to') ?? '', runner),
    cacheMaxSize: parseSize('cache-max-size', text('cache-max-size'), CACHE_MAX_SIZE),
    cacheMounts: flag('cache-mounts', false),
    cacheSigningKey: signingKeyOf(raw),
    summary: flag('summary', true),
    secrets,
  };
  checkPush(inputs, runner);
  checkTestable(inputs.platforms, inputs.smokeTest);
  if (inputs.load && inputs.platforms.length > 1) throw indexForDocker();
  checkSecrets(inputs);
  return inputs;
}

function lines(raw: ReadonlyMap<string, string>, name: string): readonly string[] {
  return parseList(name, raw.get(name) ?? '', { ignoreComma: true, comment: name !== 'tags' });
}

/** `manifest:key=value` is what `key=value` means; nothing else is annotated. */
function ofManifest(line: string): string {
  const [, kinds, pair = line] =
    /^((?:manifest|index|manifest-descriptor|index-descriptor)(?:\[[^\]]*\])?(?:,[a-z-]+)*):(.*)$/s.exec(line) ?? [];
  if (kinds === undefined || kinds === 'manifest') return pair;
  throw new EngineError(
    'INPUT_REFUSED',
    `Cannot use input 'annotations': only manifests are annotated, and ${kinds} was asked for`,
    {
      hint: 'Write key=value, which annotates the manifest of every platform',
    },
  );
}

/** Inputs of docker/build-push-action that ask for something that is not done. */
function refuse(raw: ReadonlyMap<string, string>): void {
  for (const [name, fate] of Object.entries(BUILD_PUSH_INPUTS)) {
    const value = (raw.get(name) ?? '').trim();
    if (fate.done || value === '' || fate.idle.includes(value.toLowerCase())) continue;
    throw new EngineError('INPUT_REFUSED', `Cannot use input '${name}': this action does not do it`, {
      hint: fate.hint,
    });
  }
}

/** SOURCE_DATE_EPOCH of the step is a build argument, as with docker's. */
function epochOf(env: Readonly<MutableEnvironment>): Readonly<Record<string, string>> {
  const epoch = env['SOURCE_DATE_EPOCH'];
  return epoch ? { SOURCE_DATE_EPOCH: epoch } : {};
}

/** A key that can be guessed signs nothing. */
const MIN_KEY = 16;

/** Input `cache-signing-key`. @throws `INPUT_INVALID` for a short one, without its value */
export function signingKeyOf(raw: ReadonlyMap<string, string>): string | undefined {
  const key = (raw.get('cache-signing-key') ?? '').trim();
  if (key === '') return undefined;
  if (Buffer.byteLength(key) >= MIN_KEY) return key;
  throw new EngineError('INPUT_INVALID', `Cannot use input 'cache-signing-key': it has fewer than ${MIN_KEY} bytes`, {
    hint: 'Make one with openssl rand -base64 32, and keep it as a secret of the repository',
  });
}

/** What a push needs is asked for before the build, not after it. */
function checkPush(inputs: ActionInputs, runner: RunnerContext): void {
  if (inputs.username !== '' && inputs.password === '' && inputs.push) throw emptyPassword(runner);
  if (!inputs.push) return;
  if (runner.fork && inputs.password === '') throw emptyPassword(runner);
  if (inputs.tags.length > 0) return;
  throw new EngineError('INPUT_INVALID', "Cannot push: input 'tags' is empty", {
    hint: 'Write tags: ghcr.io/OWNER/NAME:TAG',
  });
}

function emptyPassword(runner: RunnerContext): EngineError {
  const why = runner.fork ? 'pull requests from forks get no secrets' : 'the secret behind it may not exist';
  return new EngineError('CREDENTIAL_EMPTY', `Cannot push: input 'password' is empty, ${why}`, {
    hint: runner.fork
      ? "Write push: ${{ github.event_name != 'pull_request' }}"
      : 'Look at the name of the secret in `password:`, or at the environment that holds it',
  });
}

/** No secret in what becomes part of the image or of a name (hardening.md 5, rule 7). */
function checkSecrets(inputs: ActionInputs): void {
  const places: readonly (readonly [string, string])[] = [
    ...Object.entries(inputs.buildArgs).map(([key, value]) => [`build-args: ${key}`, value] as const),
    ...Object.entries(inputs.labels).map(([key, value]) => [`labels: ${key}`, value] as const),
    ...Object.entries(inputs.annotations).map(([key, value]) => [`annotations: ${key}`, value] as const),
    ...inputs.tags.map((tag) => ['tags', tag] as const),
    ['target', inputs.target ?? ''],
    ['cache scope', inputs.cache.scope ?? ''],
    ['build-contexts', inputs.buildContexts],
    ['cache-to', JSON.stringify(inputs.cache.to)],
  ];
  for (const [place, value] of places) {
    const secret = findSecret(value, inputs.secrets);
    if (secret === undefined) continue;
    throw new EngineError('INPUT_SECRET', `Cannot use ${place}: its value holds the secret '${secret}'`, {
      hint: 'It would be readable in the image: use secrets: and RUN --mount=type=secret',
    });
  }
}
