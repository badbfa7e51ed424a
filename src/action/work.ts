import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createEngine, messageOf, type ActOptions, type Engine } from '../../engine/index.ts';
import { version } from '../cli/version.ts';
import { runPipeline, type PassedBefore, type PipelineResult } from '../pipeline/index.ts';
import type { RestoreReport } from './cache.ts';
import { tellsOfLost } from './cache/source.ts';
import { engineIdentity } from './identity.ts';
import { findDocker, indexForDocker, loadIntoDocker, type Docker } from './docker.ts';
import { takeImage } from './image-input.ts';
import type { Job } from './job.ts';
import { writeLayout } from './layout.ts';
import { createLog } from './log.ts';
import type { CacheFigures } from './outputs.ts';
import { maskForms } from './secrets.ts';
import { installTools, locateTools } from './tools.ts';

/** How often a pipeline is begun again because a layer of the cache turned out to be lost. */
const MAX_REPEATS = 5;

const SHOWN =
  "containers see the names of this machine's processes: the kernel mounts no /proc of their own where parts of one are hidden, as in a pod";

/** What came of it. */
export interface Done {
  readonly result: PipelineResult;
  /** Folder of the OCI layout that was asked for. */
  readonly layout: string | undefined;
  readonly restored: RestoreReport;
  readonly saved: string;
  readonly isolation: string;
  readonly cache: CacheFigures;
}

/** Opens the engine, restores, runs the pipeline, and leaves the post step what it is to save. */
export async function withEngine(job: Job, signal: AbortSignal): Promise<Done> {
  const { runner, settings, cache } = job;
  // Post steps run in reverse, so the first use of a store clears it last.
  if (!existsSync(settings.root)) runner.saveState('first', 'true');
  runner.saveState('root', settings.root);
  runner.saveState('folder', job.folder);
  const engine = await createEngine(settings);
  try {
    const { rung, elevation, showsProcesses } = await engine.info({ signal });
    const isolation = elevation === 'sudo' ? `${rung}, through sudo` : rung;
    runner.commands.info(`berth ${version()} · isolation ${isolation} · store ${settings.root}`);
    if (showsProcesses) runner.commands.info(SHOWN);
    await offerTools(job);
    const docker = job.inputs.load ? await findDocker(job.dockerHost, signal) : undefined;
    const onEvent: ActOptions['onEvent'] = (event) => {
      if (event.type === 'warning') runner.commands.annotate('warning', event.message);
    };
    const image = job.image && (await takeImage(job.image, engine, { signal, onEvent }));
    if (docker && image && (await engine.images.resolve(image)).index) throw indexForDocker();
    const restored = await cache.restore(engine, signal, image && (await job.scopes.find(image)));
    runner.commands.info(`cache: ${restored.text}`);
    const identity = await engineIdentity(settings.helper, rung);
    const given = { ...job, request: { ...job.request, image } };
    const ran = await runRepeatedly(given, engine, cache.passedBefore(identity), signal);
    cache.remember(ran, identity, new Date());
    if (image === undefined && ran.build) await job.scopes.remember(ran.build.imageId, cache.scope);
    const { layout, result } = await handOver(given, engine, ran, docker, signal);
    const saved = await leavePlan(given, engine, signal);
    return { result, layout, restored, saved, isolation, cache: { state: restored.state, ...cache.figures() } };
  } finally {
    await cache.close();
    await engine.close();
    // Whatever was started has ended with it.
    runner.saveState('ended', 'true');
  }
}

/** Gives the image that passed to those who asked for it. A failure is one of the whole, and what was pushed before is told all the same. */
async function handOver(
  { request, layout, runner }: Job,
  engine: Engine,
  result: PipelineResult,
  docker: Docker | undefined,
  signal: AbortSignal,
): Promise<Pick<Done, 'layout' | 'result'>> {
  if (!result.ok || !result.build) return { layout: undefined, result };
  const { imageId, platforms } = result.build;
  try {
    if (docker && platforms) throw indexForDocker();
    if (docker) {
      const names = request.tags.length > 0 ? request.tags : [imageId];
      await loadIntoDocker(docker, (write) => engine.images.save(names, { write, signal }), signal);
      runner.commands.info(`loaded into Docker: ${names.join(', ')}`);
    }
    if (layout === undefined) return { layout, result };
    await writeLayout(layout, (write) => engine.images.save([imageId], { write, format: 'oci', signal }));
    return { layout, result };
  } catch (error) {
    signal.throwIfAborted();
    return { layout: undefined, result: { ...result, ok: false, exitReason: 'hand-over-failed', error } };
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
    const onSecrets = (values: readonly string[]): void => runner.commands.mask(values.flatMap(maskForms));
    const given = { engine: { ...engine, build }, passedBefore, onSecrets };
    const result = await runPipeline(request, { ...given, onEvent, signal });
    runner.commands.endGroup();
    const again = request.image === undefined && repeat < MAX_REPEATS && tellsOfLost(result.error);
    if (result.ok || !again || !(await cache.forgetLost(engine, { signal }))) return result;
    runner.commands.info('Building again without what the cache has lost');
  }
}

/** The post step saves; what and whether is known here. */
async function leavePlan(
  { runner, cache, folder, request, redact }: Job,
  engine: Engine,
  signal: AbortSignal,
): Promise<string> {
  if (request.image !== undefined) return 'nothing was built';
  const onEvent = createLog(runner.commands, { redact });
  const { plan, text } = await cache.plan(engine, new Date(), { signal, onEvent });
  runner.commands.endGroup();
  if (!plan) return text;
  const path = join(folder, 'plan.json');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(path, JSON.stringify(plan), { mode: 0o600 });
  runner.saveState('plan', path);
  return text;
}

/** `berth` for the steps that follow. A runner whose tool cache cannot be written works without. */
async function offerTools({ runner, settings, context }: Job): Promise<void> {
  const source = locateTools(settings.helper);
  if (!source || context.toolCache === undefined) return;
  try {
    const folder = await installTools(source, { version: version(), node: process.execPath, temp: context.temp });
    runner.addPath(folder);
    runner.exportVariable('BERTH_ROOT', settings.root);
    if (settings.cacheScope !== undefined) runner.exportVariable('BERTH_CACHE_SCOPE', settings.cacheScope);
  } catch (error) {
    runner.commands.annotate('warning', `berth is not on the PATH of later steps: ${messageOf(error)}`);
  }
}
