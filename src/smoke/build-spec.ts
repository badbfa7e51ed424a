import type { BuildContext } from './build-context.ts';
import { buildItem } from './build-item.ts';
import { buildChecks, buildFailWhen } from './build-checks.ts';
import { buildBatch } from './build-batch.ts';
import { buildModel } from './build-model.ts';
import { buildRun } from './build-run.ts';
import { buildStructure } from './build-structure.ts';
import { findPreset, GENERIC, presetNames, type Preset } from './presets.ts';
import type { RawProbe, RawSpec } from './raw.ts';
import type { Load } from './load-run.ts';
import type { Placed, ReadinessProbe, RequestItem, Shutdown, SmokeSpec } from './spec.ts';
import { secretValues } from './secret-values.ts';
import type { StructureFile } from './structure/types.ts';
import { parseThreshold, type Threshold } from './threshold.ts';

/** A checked raw spec with its defaults, its preset and its files; problems go to the context. */
export async function buildSpec(
  raw: RawSpec,
  source: string,
  context: BuildContext,
): Promise<Omit<SmokeSpec, 'fingerprint'>> {
  const preset = choosePreset(raw, context);
  const requests = await buildRequests(raw, preset, context);
  const command = raw['test-command'];
  const structure = await buildStructure(raw['structure-tests'], context);
  const run = buildRun(raw.run, preset, context);
  return {
    source,
    preset: raw.preset,
    run: { ...run, secrets: [...run.secrets, ...secretsOf(run.env, structure)] },
    readinessProbe: buildProbe(raw.readinessProbe, preset, context),
    requests,
    model: buildModel(raw, preset, context),
    thresholds: buildThresholds(raw, context),
    shutdown: buildShutdown(raw.shutdown, context),
    batch: await buildBatch(raw.batch, preset, context),
    load: buildLoad(raw.load, requests, context),
    testCommand: command === undefined ? undefined : { command, location: context.place(['test-command']) },
    junit: raw.report?.junit,
    structure,
    asksForServer:
      SERVER_KEYS.some((key) => raw[key] !== undefined) || needsStart(raw.thresholds) || saysHowToStart(raw.run),
    openapi: raw.openapi === true ? { location: context.place(['openapi']) } : undefined,
    isClosed:
      command === undefined &&
      raw.run?.['env-from'] === undefined &&
      raw.run?.mounts === undefined &&
      structure.every(({ options }) => options.env.length === 0 && options.mounts.length === 0),
  };
}

/** Values that are written in plain text and are none to show. */
function secretsOf(env: Readonly<Record<string, string>>, structure: readonly StructureFile[]): readonly string[] {
  const written = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const ofTests = structure.flatMap(({ commands }) =>
    commands.flatMap((test) => test.env.map(({ key, value }) => `${key}=${value}`)),
  );
  return [...secretValues([...written, ...ofTests]), ...structure.flatMap(({ options }) => options.secrets)];
}

/** What only a server can answer; a file with structure tests and none of these may be for an image that is no server. */
const SERVER_KEYS = [
  'preset',
  'payload',
  'model',
  'readinessProbe',
  'requests',
  'batch',
  'load',
  'openapi',
  'shutdown',
  'test-command',
] as const satisfies readonly (keyof RawSpec)[];

function needsStart(thresholds: RawSpec['thresholds']): boolean {
  return Object.keys(thresholds ?? {}).some((metric) => metric !== 'image_size');
}

/** Network and resources are those of command tests too; everything else is for a start. */
function saysHowToStart(run: RawSpec['run']): boolean {
  return Object.keys(run ?? {}).some((key) => key !== 'network' && key !== 'resources');
}

const SHUTDOWN: Shutdown = { timeoutSeconds: 10, exitCodes: [0, 143], required: false };

function choosePreset(raw: RawSpec, context: BuildContext): Preset {
  if (raw.preset === undefined) return GENERIC;
  const preset = findPreset(raw.preset);
  if (preset !== undefined) return preset;
  context.problems.push({
    message: `there is no preset \`${raw.preset}\``,
    hint: `Presets: ${presetNames.join(', ')}; or write readinessProbe and requests`,
    place: context.place(['preset']),
  });
  return GENERIC;
}

function probeDefaults(preset: Preset): ReadinessProbe {
  return {
    paths: preset.readiness.paths,
    fallbackPorts: preset.ports,
    periodSeconds: 1,
    timeoutSeconds: 2,
    port: preset.port,
    successThreshold: preset.readiness.successThreshold ?? 1,
    startupTimeoutSeconds: preset.readiness.startupTimeoutSeconds,
    jsonpath: [],
    failWhen: [],
  };
}

function buildProbe(probe: RawProbe | undefined, preset: Preset, context: BuildContext): ReadinessProbe {
  const defaults = probeDefaults(preset);
  const at = ['readinessProbe', 'failWhen'];
  // What the body of a preset's path must say is nothing to ask of another path.
  const presetBody = probe?.httpGet?.path === undefined ? preset.readiness : undefined;
  return {
    ...defaults,
    ...(probe?.httpGet?.path === undefined ? {} : { paths: [probe.httpGet.path] }),
    port: probe?.httpGet?.port ?? defaults.port,
    periodSeconds: probe?.periodSeconds ?? defaults.periodSeconds,
    timeoutSeconds: probe?.timeoutSeconds ?? defaults.timeoutSeconds,
    successThreshold: probe?.successThreshold ?? defaults.successThreshold,
    startupTimeoutSeconds: probe?.startupTimeoutSeconds ?? defaults.startupTimeoutSeconds,
    jsonpath: buildChecks(['readinessProbe', 'jsonpath'], probe?.jsonpath ?? presetBody?.jsonpath, context),
    failWhen: buildFailWhen(probe?.failWhen ?? presetBody?.failWhen, at, context),
  };
}

async function buildRequests(raw: RawSpec, preset: Preset, context: BuildContext): Promise<readonly RequestItem[]> {
  const items: RequestItem[] = [];
  if (raw.payload !== undefined && raw.preset === undefined) {
    const hint = `Add \`preset:\` (${presetNames.join(', ')}), or write it under requests`;
    context.problems.push({
      message: '`payload` needs a preset, which knows the route',
      hint,
      place: context.place(['payload']),
    });
  } else if (raw.payload !== undefined && preset.predict === undefined) {
    context.problems.push({
      message: `\`payload\` has no route: every API of \`${preset.name}\` has its own`,
      hint: 'Write it under requests, with its path',
      place: context.place(['payload']),
    });
  } else if (raw.payload !== undefined && preset.predict !== undefined) {
    const { method, path, jsonpath } = preset.predict;
    const response = jsonpath === undefined ? {} : { response: { jsonpath } };
    items.push(
      await buildItem(
        { name: 'predict', request: { method, path, json: raw.payload }, ...response },
        ['payload'],
        context,
      ),
    );
  }
  for (const [index, item] of (raw.requests ?? []).entries()) {
    items.push(await buildItem(item, ['requests', index], context));
  }
  return items;
}

function buildThresholds(raw: RawSpec, context: BuildContext): readonly (Threshold & Placed)[] {
  return Object.entries(raw.thresholds ?? {}).flatMap(([key, expressions]) =>
    [expressions].flat().flatMap((expression) => {
      const path = ['thresholds', key];
      const parsed = context.attempt(path, () => parseThreshold(key, expression), undefined);
      return parsed === undefined ? [] : [{ ...parsed, location: context.place(path) }];
    }),
  );
}

function buildLoad(load: RawSpec['load'], requests: readonly RequestItem[], context: BuildContext): Load | undefined {
  if (load === undefined) return undefined;
  const isKnown = load.request === undefined || requests.some(({ name }) => name === load.request);
  if (!isKnown || requests.length === 0) {
    const message = isKnown
      ? '`load` needs a request to repeat'
      : `there is no request named \`${load.request ?? ''}\``;
    const hint = 'Write it under requests, or as payload of a preset';
    context.problems.push({ message, hint, place: context.place(['load']) });
  }
  return { vus: 1, warmup: 3, ...load, location: context.place(['load']) };
}

function buildShutdown(shutdown: RawSpec['shutdown'], context: BuildContext): Shutdown {
  if (shutdown === undefined) return SHUTDOWN;
  return {
    timeoutSeconds: shutdown.timeoutSeconds ?? SHUTDOWN.timeoutSeconds,
    exitCodes: shutdown.exitCodes ?? SHUTDOWN.exitCodes,
    required: true,
    location: context.place(['shutdown']),
  };
}
