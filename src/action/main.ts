import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, delimiter, join, relative } from 'node:path';
import { createEngine, EngineError, messageOf, type Engine, type EngineOptions } from '../../engine/index.ts';
import { readSettings, parseMirrors } from '../cli/settings.ts';
import { version } from '../cli/version.ts';
import {
  formatReport,
  runPipeline,
  verdict,
  type PassedBefore,
  type PipelineRequest,
  type PipelineResult,
} from '../pipeline/index.ts';
import { annotate, annotationsOf, errorAnnotation } from './annotations.ts';
import { createActionsCache, type ActionsCache, type RestoreReport } from './cache.ts';
import type { Compression } from './cache/names.ts';
import { readCacheAccess } from './cache/policy.ts';
import { createCredentials } from './credentials.ts';
import { readRunnerContext, readTokens, type RunnerContext } from './environment.ts';
import { parseInputs, secretsOf, takeInputs, type ActionInputs, type MutableEnvironment } from './inputs.ts';
import { createLog } from './log.ts';
import { outputsOf, type CacheFigures } from './outputs.ts';
import { engineIdentity } from './identity.ts';
import { inWorkspace, resolveDockerfile, resolveInputPath } from './paths.ts';
import { formatSummary } from './report.ts';
import type { Runner } from './runner.ts';
import { basicForms, createRedactor, maskForms, type Secret } from './secrets.ts';
import { listen } from './signals.ts';
import { chooseStorePlace } from './store-place.ts';
import { installTools, locateTools } from './tools.ts';

/** How often a pipeline is begun again because a layer of the cache turned out to be lost. */
const MAX_REPEATS = 5;

/**
 * The main step: inputs → cache → build, smoke test, push → outputs, summary.
 *
 * @returns the exit code
 */
export async function main(env: MutableEnvironment, runner: Runner): Promise<number> {
  // Before anything else: post has to know, and no secret may be printed or inherited.
  runner.saveState('post', 'true');
  const raw = takeInputs(env);
  const tokens = readTokens(env);
  const secrets = secretsOf(raw, tokens);
  runner.commands.mask(secrets.flatMap(({ value }) => maskForms(value)));
  runner.commands.mask(basicForms((raw.get('username') ?? '').trim(), (raw.get('password') ?? '').trim()));
  const redact = createRedactor(secrets);
  const cancellation = listen((code) => process.exit(code));
  const setOutputs = createSetOutputs(runner, redact);
  try {
    const job = await prepare(env, raw, tokens, runner, redact);
    const done = await withEngine(job, cancellation.signal);
    await report(job, done, setOutputs);
    return done.result.ok ? 0 : 1;
  } catch (error) {
    const cancelled = cancellation.signal.aborted;
    setOutputs(outputsOf(undefined, NO_CACHE, cancelled ? 'cancelled' : 'invalid-request'));
    runner.commands.endGroup();
    const annotation = errorAnnotation(cancelled ? cancellation.signal.reason : error, () => undefined);
    annotate(runner.commands, [annotation], redact);
    return cancellation.exitCode() ?? 1;
  } finally {
    cancellation.dispose();
  }
}

const NO_CACHE: CacheFigures = { state: 'off', blobs: 0, bytes: 0 };

/** Everything that is known before the engine opens. */
interface Job {
  readonly runner: Runner;
  readonly redact: (text: string) => string;
  readonly context: RunnerContext;
  readonly inputs: ActionInputs;
  readonly request: PipelineRequest;
  readonly settings: EngineOptions;
  readonly cache: ActionsCache;
  /** Dockerfile, absolute. */
  readonly dockerfile: string;
}

/** What came of it. */
interface Done {
  readonly result: PipelineResult;
  readonly restored: RestoreReport;
  readonly saved: string;
  readonly isolation: string;
  readonly cache: CacheFigures;
}

async function prepare(
  env: MutableEnvironment,
  raw: ReadonlyMap<string, string>,
  tokens: readonly Secret[],
  runner: Runner,
  redact: (text: string) => string,
): Promise<Job> {
  const context = readRunnerContext(env, await readEvent(env['GITHUB_EVENT_PATH']));
  const inputs = parseInputs(raw, context, tokens, env);
  refuseOtherPlatform(inputs.platform);
  const folder = await resolveInputPath('context', inputs.context, context);
  const file = inputs.file === undefined ? undefined : await resolveDockerfile(inputs.file, folder, context);
  const dockerfile = file ?? (await resolveDockerfile(undefined, folder, context));
  const settings = await engineSettings(env, inputs, context);
  const scopeParts = [
    relative(context.workspace, folder),
    relative(context.workspace, dockerfile),
    inputs.target ?? '',
    `linux/${process.arch}`,
  ];
  const cache = createActionsCache({
    access: readCacheAccess(env),
    settings: inputs.cache,
    runner: context,
    scopeParts,
    compressions: compressionsOf(env['PATH'] ?? ''),
    proxies: settings,
    engineVersion: version(),
    folder: join(context.temp, 'berth-cache'),
    warn: (message) => runner.commands.annotate('warning', redact(message)),
    mask: (values) => runner.commands.mask(values),
  });
  return {
    runner,
    redact,
    context,
    inputs,
    settings: { ...settings, cacheSource: cache.source },
    cache,
    dockerfile,
    request: { ...requestOf(inputs, context), context: folder, file },
  };
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
    pull: inputs.pull,
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

async function withEngine(job: Job, signal: AbortSignal): Promise<Done> {
  const { runner, settings, cache } = job;
  // Post steps run in reverse, so the first use of a store clears it last.
  if (!existsSync(settings.root)) runner.saveState('first', 'true');
  runner.saveState('root', settings.root);
  const engine = await createEngine(settings);
  try {
    const { rung, elevation } = await engine.info({ signal });
    const isolation = elevation === 'sudo' ? `${rung}, through sudo` : rung;
    runner.commands.info(`berth ${version()} · isolation ${isolation} · store ${settings.root}`);
    await offerTools(job);
    const restored = await cache.restore(engine, signal);
    runner.commands.info(`cache: ${restored.text}`);
    const identity = await engineIdentity(settings.helper, rung);
    const result = await runRepeatedly(job, engine, cache.passedBefore(identity), signal);
    cache.remember(result, identity, new Date());
    const saved = await leavePlan(job, engine);
    return { result, restored, saved, isolation, cache: { state: restored.state, ...cache.figures() } };
  } finally {
    await cache.close();
    await engine.close();
    // Whatever was started has ended with it.
    runner.saveState('ended', 'true');
  }
}

/** Runs the pipeline; a layer that the cache lost on the way makes its step a miss, and the pipeline begins again. */
async function runRepeatedly(
  job: Job,
  engine: Engine,
  passedBefore: PassedBefore,
  signal: AbortSignal,
): Promise<PipelineResult> {
  const { runner, request, redact, cache } = job;
  const build: Engine['build'] = (wanted, act) => engine.build({ ...wanted, completeStages: true }, act);
  for (let repeat = 0; ; repeat += 1) {
    const onEvent = createLog(runner.commands, { redact });
    const result = await runPipeline(request, { engine: { ...engine, build }, passedBefore, onEvent, signal });
    runner.commands.endGroup();
    if (result.ok || repeat === MAX_REPEATS || !(await cache.forgetLost(engine))) return result;
    runner.commands.info('Building again without what the cache has lost');
  }
}

/** The post step saves; what and whether is known here. */
async function leavePlan({ runner, cache, context }: Job, engine: Engine): Promise<string> {
  const { plan, text } = await cache.plan(engine, new Date());
  if (!plan) return text;
  const folder = join(context.temp, 'berth-cache');
  const path = join(folder, `plan-${context.runId}-${process.pid}.json`);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(path, JSON.stringify(plan), { mode: 0o600 });
  runner.saveState('plan', path);
  const leftOut = plan.leftOut.length > 0 ? `, ${plan.leftOut.length} layers left out` : '';
  return `${text}${leftOut}`;
}

/** `berth` for the steps that follow. A runner whose tool cache cannot be written works without. */
async function offerTools({ runner, settings, context }: Job): Promise<void> {
  const source = locateTools(settings.helper);
  if (!source || context.toolCache === undefined) return;
  try {
    const folder = await installTools(source, { version: version(), node: process.execPath, temp: context.temp });
    runner.addPath(folder);
    runner.exportVariable('BERTH_ROOT', settings.root);
  } catch (error) {
    runner.commands.annotate('warning', `berth is not on the PATH of later steps: ${messageOf(error)}`);
  }
}

async function report(
  job: Job,
  done: Done,
  setOutputs: (outputs: Readonly<Record<string, string>>) => void,
): Promise<void> {
  const { runner, redact, inputs } = job;
  const { result } = done;
  setOutputs(outputsOf(result, done.cache, '', inputs.tags));
  runner.commands.foreign(redact(formatReport(result)));
  annotate(runner.commands, annotationsOf(result, createFileOf(job)), redact);
  if (!result.ok && result.error === undefined && result.smoke === undefined) {
    runner.commands.annotate('error', redact(verdict(result)));
  }
  if (!inputs.summary) return;
  const cache = `${done.restored.text}; ${done.saved}`;
  const text = formatSummary(result, { cache, isolation: done.isolation, push: inputs.push, redact });
  await runner.addSummary(text).catch((error: unknown) => runner.commands.debug(`No summary: ${messageOf(error)}`));
}

/** The engine calls the Dockerfile by its base name, the smoke test its file by the name in the input. */
function createFileOf({ dockerfile, context }: Job): (path: string) => string | undefined {
  return (path) => inWorkspace(path === basename(dockerfile) ? dockerfile : path, context, context.workspace);
}

function createSetOutputs(
  runner: Runner,
  redact: (text: string) => string,
): (outputs: Readonly<Record<string, string>>) => void {
  return (outputs) => {
    for (const [name, value] of Object.entries(outputs)) runner.setOutput(name, redact(value));
  };
}

async function readEvent(path: string | undefined): Promise<unknown> {
  if (!path) return undefined;
  try {
    return JSON.parse(await readFile(path, 'utf8')) as unknown;
  } catch {
    // No event: then no pull request either, and no default branch to save on.
    return undefined;
  }
}

function refuseOtherPlatform(platform: string | undefined): void {
  const own = `linux/${process.arch === 'x64' ? 'amd64' : process.arch}`;
  if (platform === undefined || platform === own || platform === `${own}/v8`) return;
  throw new EngineError(
    'INPUT_REFUSED',
    `Cannot use input 'platforms': ${platform} was asked for, and this runner is ${own}`,
    { hint: `Use a runner of that architecture, or write platforms: ${own}` },
  );
}

/** The toolkit's choice: zstd where the program is on the PATH. */
function compressionsOf(path: string): readonly [Compression, ...Compression[]] {
  const hasZstd = path.split(delimiter).some((folder) => folder !== '' && existsSync(join(folder, 'zstd')));
  return hasZstd ? ['zstd-without-long', 'gzip'] : ['gzip', 'zstd-without-long'];
}
