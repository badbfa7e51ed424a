import { mkdir, realpath, rename, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import {
  EngineError,
  withVertex,
  type ActOptions,
  type BuildOutput,
  type BuildResult,
  type Digest,
  type Engine,
  type PushResult,
} from '../../engine/index.ts';
import { loadSmokeTest, smoke, toJUnit, type SmokeReport, type SmokeTest } from '../smoke/index.ts';
import { passKeyOf, type PassedBefore, type PassKey } from './passed.ts';
import type { PipelineRequest } from './request.ts';
import type { PipelineExitReason, PipelineResult, StepName } from './result.ts';
import { createRecorder } from './recorder.ts';
import { testedPlatform } from './tested.ts';

/** What the pipeline needs of the engine. */
export interface PipelineEngine {
  readonly build: Engine['build'];
  readonly push: Engine['push'];
  readonly images: Pick<Engine['images'], 'tag' | 'resolve' | 'complete' | 'files' | 'remove'>;
  readonly containers: Pick<Engine['containers'], 'run' | 'resolve' | 'remove' | 'changes' | 'commit'>;
}

/**
 * Builds, tests, and pushes the very image that passed. A test that fails, or a digest that is not the tested one, ends it: push is the
 * last step and is reached only by an image that passed.
 *
 * @param options `passedBefore` is asked when nothing is to be pushed: an image that passed before is not started again
 * @returns what came of it, also when a step failed
 * @throws the signal's reason, when it aborts
 */
export async function runPipeline(
  request: PipelineRequest,
  options: ActOptions & {
    readonly engine: PipelineEngine;
    readonly passedBefore?: PassedBefore | undefined;
    /** Hears of the values that the smoke test takes over, before anything could show them. */
    readonly onSecrets?: ((values: readonly string[]) => void) | undefined;
  },
): Promise<PipelineResult> {
  const recorder = createRecorder(options.onEvent);
  const step = createSteps(options.signal);
  const act: Act = { ...options, onEvent: recorder.onEvent };
  const done: Done = { given: request.image !== undefined, pushes: [] };
  try {
    const test = await step('check', () => check(request));
    if (test.kind === 'spec') options.onSecrets?.(test.spec.run.secrets);
    done.build = await step('build', () => build(request, act));
    done.testedDigest = await subjectOf(done.build, act);
    done.passKey = passKeyOf(done.testedDigest, test);
    done.smoke = passedBefore(request, done, options.passedBefore);
    done.smoke ??= await step('smoke', () => runSmoke(request, test, done, act));
    done.junit = await step('smoke', () => writeJUnit(request, test, done));
    if (done.smoke.verdict === 'failed')
      return finish(done, recorder, { failedStep: 'smoke', exitReason: done.smoke.exitReason });
    await step('push', () => name(request, done, act));
    if (request.push) await step('push', () => push(request, done, act));
    if (request.push) done.pushedDigest = await step('compare', () => compare(done));
    return finish(done, recorder, undefined);
  } catch (error) {
    if (!(error instanceof StepFailure)) throw error;
    return finish(done, recorder, { failedStep: error.step, exitReason: REASONS[error.step], error: error.cause });
  }
}

type Act = ActOptions & { readonly engine: PipelineEngine };

/** What has been reached so far: the one value that grows. */
interface Done {
  readonly given: boolean;
  build?: BuildResult;
  testedDigest?: Digest;
  passKey?: PassKey | undefined;
  smoke?: SmokeReport | undefined;
  junit?: string | undefined;
  readonly pushes: PushResult[];
  pushedDigest?: Digest;
}

const REASONS: Readonly<Record<StepName, PipelineExitReason>> = {
  check: 'invalid-request',
  build: 'build-failed',
  smoke: 'test-failed-to-run',
  push: 'push-failed',
  compare: 'digest-mismatch',
};

/** Says which step threw. */
class StepFailure extends Error {
  readonly step: StepName;

  constructor(step: StepName, cause: unknown) {
    super(`the step ${step} failed`, { cause });
    this.step = step;
  }
}

function createSteps(signal: AbortSignal | undefined): <T>(step: StepName, act: () => Promise<T> | T) => Promise<T> {
  return async (step, act) => {
    signal?.throwIfAborted();
    try {
      return await act();
    } catch (error) {
      signal?.throwIfAborted();
      throw new StepFailure(step, error);
    }
  };
}

/** Everything that can be wrong before an hour of building. */
async function check(request: PipelineRequest): Promise<SmokeTest> {
  if (request.push && request.tags.length === 0) {
    throw new EngineError('NO_TAGS', 'Cannot push: no tag was given', {
      hint: 'Add a tag such as registry.example/me/model:1',
    });
  }
  const { workingDirectory, environment = {} } = request;
  return await loadSmokeTest(request.smokeTest, { workingDirectory, lookup: (name) => environment[name] });
}

async function build(request: PipelineRequest, { engine, ...act }: Act): Promise<BuildResult> {
  if (request.image !== undefined) return await take(request.image, engine, act);
  const { context, contexts, file, target, buildArgs, labels, annotations, noCache, noCacheFilter, pull } = request;
  const { cacheFrom, cacheTo, platforms, run } = request;
  const files = { context, contexts, file, target, platforms, buildArgs, labels, annotations };
  const caching = { noCache, noCacheFilter, cacheFrom, cacheTo, pull };
  // No tag yet: a name moves only to an image that passed.
  return await engine.build({ ...files, ...caching, outputs: outputsOf(request), ...run, complete: true }, act);
}

/** Beside its outputs the image is kept, since it is tested; files carry its names. */
function outputsOf({ outputs = [], tags }: PipelineRequest): readonly BuildOutput[] {
  if (outputs.length === 0) return [];
  const isImage = ({ type }: BuildOutput): boolean => type === 'image';
  const files = outputs.filter((output) => !isImage(output));
  return [...files.map((output) => ({ names: tags, ...output })), outputs.find(isImage) ?? { type: 'image' }].map(
    (output) => (isImage(output) ? { ...output, names: [] } : output),
  );
}

/** An image that is there, in the words of a build that had nothing to do. */
async function take(reference: string, engine: PipelineEngine, act: ActOptions): Promise<BuildResult> {
  const found = await engine.images.resolve(reference);
  const manifest = await engine.images.complete(found.index?.descriptor.digest ?? found.id, act);
  // Completing may have packed a lost layer again, and that is another index.
  const { id, config, size, index } = found.index ? await engine.images.resolve(manifest.digest) : found;
  const platforms = index?.members.map((member) => ({ ...member, imageId: member.id }));
  const about = { names: [], config: config.config ?? {}, steps: NO_STEPS, warnings: [], size };
  return { imageId: index?.descriptor.digest ?? id, manifest, platforms, ...about };
}

const NO_STEPS = { total: 0, cached: 0, executed: 0 };

/** The manifest that the test is of: of an index, that of the image for this machine. */
async function subjectOf(built: BuildResult, { engine }: Act): Promise<Digest> {
  if (built.platforms === undefined) return digestOf(built);
  const { id } = await engine.images.resolve(built.imageId);
  return built.platforms.find(({ imageId }) => imageId === id)?.manifest.digest ?? digestOf(built);
}

function digestOf(built: BuildResult): Digest {
  if (built.manifest === undefined) throw new Error('the engine gave no manifest for a complete build');
  return built.manifest.digest;
}

/** What is pushed is always tested: a remembered pass saves a pull request the download of every layer, and vouches for nothing. */
function passedBefore(
  { push, noCache }: PipelineRequest,
  { passKey }: Done,
  ask: PassedBefore | undefined,
): SmokeReport | undefined {
  return push || noCache === true || passKey === undefined ? undefined : ask?.(passKey);
}

async function runSmoke(request: PipelineRequest, test: SmokeTest, done: Done, act: Act): Promise<SmokeReport> {
  const { build, testedDigest } = done;
  if (build === undefined) throw new Error('smoke runs after build');
  const { imageId } = testedPlatform(done) ?? build;
  const { config } = build;
  const { size } = await act.engine.images.resolve(imageId);
  const { secrets, logFile, workingDirectory, environment = {} } = request;
  const host = { env: environment, workingDirectory };
  return await withVertex({ id: 'smoke', name: 'smoke test' }, act.onEvent, () =>
    smoke({ reference: imageId, digest: testedDigest, config, size }, test, { ...act, secrets, host, logFile }),
  );
}

/** The report as the spec asks for it, also of a test that failed. A link that lies there is replaced, and not followed. */
async function writeJUnit(
  { workingDirectory }: PipelineRequest,
  test: SmokeTest,
  { smoke: report, testedDigest }: Done,
): Promise<string | undefined> {
  const file = test.kind === 'spec' ? test.spec.junit : undefined;
  if (file === undefined || report === undefined) return undefined;
  const path = resolve(workingDirectory, file);
  const root = await realpath(workingDirectory);
  await mkdir(dirname(path), { recursive: true });
  const folder = await realpath(dirname(path));
  if (folder !== root && !folder.startsWith(`${root}/`))
    throw new EngineError(
      'PATH_OUTSIDE',
      `Cannot write the report ${file}: its folder leads out of ${workingDirectory}`,
    );
  const part = join(folder, `.${basename(path)}.${process.pid}`);
  await writeFile(part, toJUnit(report, testedDigest ?? ''), { flag: 'wx' });
  await rename(part, join(folder, basename(path)));
  return file;
}

async function name({ tags }: PipelineRequest, { build }: Done, { engine }: Act): Promise<void> {
  if (build === undefined) throw new Error('names are given after build');
  for (const tag of tags) await engine.images.tag(build.imageId, tag);
}

async function push({ tags }: PipelineRequest, done: Done, { engine, ...act }: Act): Promise<void> {
  if (done.build === undefined) throw new Error('push runs after build');
  for (const tag of tags) done.pushes.push(await engine.push(done.build.imageId, tag, act));
}

/** The promise of the whole: what the registry has is what was tested, or the index that names it. */
function compare({ build, pushes }: Done): Digest {
  if (build === undefined) throw new Error('a comparison needs a build');
  const wanted = digestOf(build);
  const other = pushes.find(({ digest }) => digest !== wanted);
  if (other === undefined) return wanted;
  throw new EngineError(
    'DIGEST_MISMATCH',
    `Cannot vouch for ${other.name}: ${build.platforms === undefined ? 'tested' : 'built'} ${wanted}, pushed ${other.digest}`,
    { hint: 'Delete that tag; the registry, or a proxy before it, changed the manifest' },
  );
}

function finish(
  done: Done,
  recorder: ReturnType<typeof createRecorder>,
  failure: Pick<PipelineResult, 'failedStep' | 'exitReason' | 'error'> | undefined,
): PipelineResult {
  return {
    ...done,
    ...failure,
    ok: failure === undefined,
    milliseconds: recorder.milliseconds(),
    timeline: recorder.timeline(),
  };
}
