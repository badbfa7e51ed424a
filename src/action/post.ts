import { mkdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { saveCache } from '@actions/cache';
import { createEngine, messageOf, type Engine } from '../../engine/index.ts';
import { readSettings } from '../cli/settings.ts';
import { createCacheHttp } from './cache/http.ts';
import { versionOf, type EntryName } from './cache/names.ts';
import type { SavePlan } from './cache/plan.ts';
import { readCacheAccess } from './cache/policy.ts';
import { confirmedSave, savePlan } from './cache/save.ts';
import { createCacheService } from './cache/service.ts';
import { jobFolder } from './job.ts';
import { readRunnerContext, readTokens, type RunnerContext } from './environment.ts';
import { signingKeyOf, takeInputs, type MutableEnvironment } from './inputs.ts';
import type { Runner } from './runner.ts';
import { maskForms } from './secrets.ts';
import { listen } from './signals.ts';
import { readState, type ActionState } from './state.ts';

/** Time for everything that the post step uploads, in milliseconds. */
const SAVE_TIME = 15 * 60_000;

/** The post step: stop what a killed main has left, save the cache. It never fails the job: everything that goes wrong is a warning. */
export async function post(env: MutableEnvironment, runner: Runner): Promise<void> {
  const raw = takeInputs(env);
  runner.commands.mask(maskForms((raw.get('cache-signing-key') ?? '').trim()));
  runner.commands.mask(readTokens(env).flatMap(({ value }) => maskForms(value)));
  const state = readState(env);
  const context = readRunnerContext(env, undefined);
  const cancellation = listen((code) => process.exit(code));
  const warn = (message: string): void => runner.commands.annotate('warning', message);
  try {
    if (state.root !== '' && !state.ended) {
      await withStore(env, state, (engine) => removeContainers(engine, runner)).catch((error: unknown) =>
        warn(messageOf(error)),
      );
    }
    if (state.plan !== undefined) {
      const signingKey = signingKeyOf(raw);
      await save(env, state.plan, context, { runner, warn, signal: cancellation.signal, signingKey });
    }
    if (state.root !== '' && state.first && !context.hosted) await clear(env, state, runner);
  } catch (error) {
    warn(`The post step could not do its work: ${messageOf(error)}`);
  } finally {
    cancellation.dispose();
    // Post steps run in reverse, and what the others have left for theirs stays.
    const left = state.first ? jobFolder(context) : state.folder;
    if (left !== '') await rm(left, { recursive: true, force: true }).catch(() => undefined);
  }
}

/** Opening the store collects what a killed main has left. */
async function withStore(
  env: MutableEnvironment,
  { root }: ActionState,
  act: (engine: Engine) => Promise<void>,
): Promise<void> {
  const engine = await createEngine(readSettings({ ...env, BERTH_ROOT: root }, { uid: process.getuid?.() ?? 0 }));
  try {
    await act(engine);
  } finally {
    await engine.close();
  }
}

async function removeContainers(engine: Engine, runner: Runner): Promise<void> {
  for (const { id } of await engine.containers.list({ all: true })) {
    runner.commands.info(`Removing container ${id.slice(0, 12)}`);
    await engine.containers.remove(id, { force: true });
  }
}

/**
 * On a machine that stays, nothing is left behind: files in snapshots may belong to root or to a range of /etc/subuid, and the runner, which
 * empties RUNNER_TEMP before the next job, could not remove them.
 */
async function clear(env: MutableEnvironment, state: ActionState, runner: Runner): Promise<void> {
  await withStore(env, state, async (engine) => {
    await removeContainers(engine, runner);
    await engine.system.prune({ all: true });
  });
  await rm(state.root, { recursive: true, force: true });
}

async function save(
  env: MutableEnvironment,
  path: string,
  context: RunnerContext,
  {
    runner,
    warn,
    signal,
    signingKey,
  }: {
    readonly runner: Runner;
    readonly warn: (message: string) => void;
    readonly signal: AbortSignal;
    readonly signingKey: string | undefined;
  },
): Promise<void> {
  const access = readCacheAccess(env);
  if (access.kind === 'none') return;
  // Written by main into a folder that only this user can write.
  const plan = JSON.parse(await readFile(path, 'utf8')) as SavePlan;
  const http = createCacheHttp(readSettings({ ...env, BERTH_ROOT: '/' }, { uid: process.getuid?.() ?? 0 }));
  const service = createCacheService(http, access.endpoint, (values) => runner.commands.mask(values));
  const budget = AbortSignal.any([signal, AbortSignal.timeout(SAVE_TIME)]);
  const exists = async ({ key, path: inside }: EntryName): Promise<boolean> =>
    (await service.find({ key, version: versionOf(inside, plan.compression) }, { signal: budget })) !== undefined;
  const folder = join(dirname(path), 'save');
  try {
    const { entries, bytes, indexSaved } = await runner.commands.resumed(() =>
      inFolder(env, folder, () =>
        savePlan(plan, {
          folder,
          saveCache: confirmedSave({ saveCache, exists }, access.endpoint.version),
          exists,
          warn,
          signingKey,
          unique: `${context.runId}-${context.runAttempt}-${process.pid}`,
          signal: budget,
        }),
      ),
    );
    const what = `${entries} entries with ${(bytes / 1e6).toFixed(1)} MB of layers`;
    runner.commands.info(indexSaved ? `cache: saved ${what}` : `cache: ${what} saved, no index`);
  } finally {
    await http.close();
  }
}

/**
 * Lets the toolkit take `folder` for the workspace: it names what it packs relative to it, and those names are part of an entry's version.
 * So they are the same on every runner.
 */
async function inFolder<T>(env: MutableEnvironment, folder: string, act: () => Promise<T>): Promise<T> {
  const before = { cwd: process.cwd(), workspace: env['GITHUB_WORKSPACE'] };
  env['GITHUB_WORKSPACE'] = folder;
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    process.chdir(folder);
    return await act();
  } finally {
    process.chdir(before.cwd);
    env['GITHUB_WORKSPACE'] = before.workspace;
  }
}
