import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { messageOf } from '../../engine/index.ts';
import { formatReport, verdict } from '../pipeline/index.ts';
import { annotate, annotationsOf, errorAnnotation } from './annotations.ts';
import { asSecrets, readBuildSecrets } from './build-secrets.ts';
import { readProxyPasswords, readRunnerContext, readTokens } from './environment.ts';
import { secretsOf, takeInputs, type MutableEnvironment } from './inputs.ts';
import { prepare, readEvent, type Job } from './job.ts';
import { outputsOf, type CacheFigures } from './outputs.ts';
import { inWorkspace } from './paths.ts';
import { formatSummary } from './report.ts';
import type { Runner } from './runner.ts';
import { basicForms, createRedactor, maskForms } from './secrets.ts';
import { listen } from './signals.ts';
import { withEngine, type Done } from './work.ts';

/**
 * The main step: inputs → cache → build, smoke test, push → outputs, summary.
 *
 * @returns the exit code
 */
export async function main(env: MutableEnvironment, runner: Runner): Promise<number> {
  // Before anything else: post has to know, and no secret may be printed or inherited.
  runner.saveState('post', 'true');
  const raw = takeInputs(env);
  const context = readRunnerContext(env, await readEvent(env['GITHUB_EVENT_PATH']));
  const build = await readBuildSecrets(raw, env, context);
  const secrets = [...asSecrets(build.secrets), ...secretsOf(raw, readTokens(env))];
  runner.commands.mask(secrets.flatMap(({ value }) => maskForms(value)));
  runner.commands.mask(readProxyPasswords(env).flatMap(maskForms));
  runner.commands.mask(basicForms((raw.get('username') ?? '').trim(), (raw.get('password') ?? '').trim()));
  const redact = createRedactor(secrets);
  const cancellation = listen((code) => process.exit(code));
  const setOutputs = createSetOutputs(runner, redact);
  try {
    const job = await prepare({ env, raw, context, secrets, build, runner, redact });
    const done = await withEngine(job, cancellation.signal);
    await report(job, done, setOutputs);
    return done.result.ok ? 0 : 1;
  } catch (error) {
    const cancelled = cancellation.signal.aborted;
    setOutputs(outputsOf(undefined, NO_CACHE, { reason: cancelled ? 'cancelled' : 'invalid-request' }));
    runner.commands.endGroup();
    const annotation = errorAnnotation(cancelled ? cancellation.signal.reason : error, () => undefined);
    annotate(runner.commands, [annotation], redact);
    return cancellation.exitCode() ?? 1;
  } finally {
    cancellation.dispose();
  }
}

const NO_CACHE: CacheFigures = { state: 'off', blobs: 0, bytes: 0 };

async function report(
  job: Job,
  done: Done,
  setOutputs: (outputs: Readonly<Record<string, string>>) => void,
): Promise<void> {
  const { runner, redact, inputs } = job;
  const { result } = done;
  setOutputs(
    outputsOf(result, done.cache, { tags: inputs.tags, layout: done.layout, log: existing(job.request.logFile) }),
  );
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

/** A test that did not start a container leaves no log. */
function existing(path: string | undefined): string | undefined {
  return path !== undefined && existsSync(path) ? path : undefined;
}

/** The engine calls the Dockerfile by its base name, the smoke test its file by the name in the input. */
function createFileOf({ dockerfile, context }: Job): (path: string) => string | undefined {
  return (path) => {
    if (dockerfile === undefined) return path.includes('/') ? inWorkspace(path, context, context.workspace) : undefined;
    return inWorkspace(path === basename(dockerfile) ? dockerfile : path, context, context.workspace);
  };
}

function createSetOutputs(
  runner: Runner,
  redact: (text: string) => string,
): (outputs: Readonly<Record<string, string>>) => void {
  return (outputs) => {
    for (const [name, value] of Object.entries(outputs)) runner.setOutput(name, redact(value));
  };
}
