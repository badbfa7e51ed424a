// The whole product in one run: builds examples/fastapi-sklearn, tests it, and pushes the very image that passed to a registry of our own.
//
//   npm run demo                    state in .demo/
//   npm run demo -- --state DIR     state elsewhere
//   npm run demo -- EXAMPLE         another folder below examples/
//
// BERTH_DEMO_BASE names a folder that keeps the stand-in for python:3.11-slim, where Docker Hub is out of reach.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { createEngine, isEngineError, messageOf, type Engine, type EngineOptions } from '../engine/index.ts';
import { createWriter } from '../src/cli/output.ts';
import { withRenderer } from '../src/cli/progress/index.ts';
import { readSettings } from '../src/cli/settings.ts';
import { formatReport, runPipeline, type PipelineResult } from '../src/pipeline/index.ts';
import { canReachDockerHub, ensurePythonBase } from './base-image.ts';

const repository = resolve(import.meta.dirname, '..');
const controller = new AbortController();
const { signal } = controller;
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(name, () => controller.abort(new Error(`Interrupted by ${name}`)));
}

const { values, positionals } = parseArgs({
  options: { state: { type: 'string' } },
  allowPositionals: true,
});
process.exitCode = await main({
  state: resolve(values.state ?? join(repository, '.demo')),
  example: positionals[0] ?? 'fastapi-sklearn',
}).catch((error: unknown) => {
  say(`demo: ${messageOf(error)}`);
  if (isEngineError(error) && error.hint !== undefined) say(`hint: ${error.hint}`);
  return 1;
});

interface Demo {
  readonly state: string;
  readonly example: string;
}

async function main(demo: Demo): Promise<number> {
  const begun = performance.now();
  const settings = settingsOf(demo);
  // The registry has a store of its own, so that a push moves real bytes.
  const registry = await openRegistry(demo, settings);
  try {
    const mirrors = await basesFrom(registry.url, demo, settings);
    const result = await runDemo(demo, { ...settings, mirrors }, registry.url);
    const color = process.stdout.isTTY && !process.env['NO_COLOR'];
    process.stdout.write(`\n${formatReport(result, { color, columns: process.stdout.columns })}`);
    say(`${((performance.now() - begun) / 1000).toFixed(1)} s in all; state in ${demo.state}`);
    return result.ok ? 0 : 1;
  } finally {
    await registry.close();
  }
}

function settingsOf({ state }: Demo): EngineOptions {
  if (process.platform !== 'linux')
    throw new Error(`Cannot run the demo on ${process.platform}: containers need Linux`);
  const env = { ...process.env, BERTH_ROOT: process.env['BERTH_ROOT'] || join(state, 'store') };
  const settings = readSettings(env, { uid: process.getuid?.() ?? 0 });
  // A corporate CA that this machine trusts is lent to RUN, or pip could not reach its index.
  return { ...settings, buildCa: settings.caFile !== undefined };
}

async function openRegistry(
  { state }: Demo,
  settings: EngineOptions,
): Promise<{ readonly url: string; close(): Promise<void> }> {
  const root = join(state, 'registry');
  await mkdir(root, { recursive: true, mode: 0o700 });
  const engine = await createEngine({ ...settings, root });
  try {
    const server = await serve(engine, join(state, 'registry.port'));
    return {
      url: `http://${server.host}:${server.port}`,
      close: async () => {
        await server.close();
        await engine.close();
      },
    };
  } catch (error) {
    await engine.close();
    throw error;
  }
}

/** The port of the last demo when it is free: the name of the image stays the same. */
async function serve(engine: Engine, file: string): ReturnType<Engine['serveRegistry']> {
  const last = Number(await readFile(file, 'utf8').catch(() => '0'));
  const listen = (port: number): ReturnType<Engine['serveRegistry']> =>
    engine.serveRegistry({ host: '127.0.0.1', port, signal });
  const server = await (last > 0 ? listen(last).catch(() => listen(0)) : listen(0));
  await writeFile(file, String(server.port));
  return server;
}

async function basesFrom(url: string, { state }: Demo, settings: EngineOptions): Promise<EngineOptions['mirrors']> {
  if (settings.mirrors?.['docker.io'] !== undefined || (await canReachDockerHub())) return settings.mirrors;
  const cache = process.env['BERTH_DEMO_BASE'] || join(state, 'base');
  const outcome = await ensurePythonBase({ registry: url, cache, onLine: say, signal });
  say(
    `python:3.11-slim: a stand-in made of Debian packages is served from ${url} as a mirror of docker.io (${outcome})`,
  );
  return { ...settings.mirrors, 'docker.io': url };
}

async function runDemo({ example }: Demo, settings: EngineOptions, url: string): Promise<PipelineResult> {
  await mkdir(settings.root, { recursive: true, mode: 0o700 });
  const engine = await createEngine(settings);
  try {
    const { rung, elevation } = await engine.info({ signal });
    say(`isolation: ${rung}${elevation === 'sudo' ? ' through sudo' : ''}; RUN uses the network of the host`);
    const context = join(repository, 'examples', example);
    const request = {
      context,
      tags: [`${new URL(url).host}/${example}:demo`],
      push: true,
      smokeTest: await smokeTestOf(context),
      workingDirectory: context,
    };
    const writer = createWriter(process.stderr, () => controller.abort(new Error('The reader of the output has gone')));
    return await withRenderer(
      'auto',
      { stderr: writer, plain: Boolean(process.env['NO_COLOR']), timeline: false },
      (onEvent) => runPipeline(request, { engine, onEvent, signal }),
    );
  } finally {
    await engine.close();
  }
}

async function smokeTestOf(context: string): Promise<string> {
  const file = join(context, 'smoke-test.yaml');
  return await readFile(file).then(
    () => file,
    () => 'auto',
  );
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
