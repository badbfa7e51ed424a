import type { BuildContext } from './build-context.ts';
import { buildItem } from './build-item.ts';
import { buildChecks } from './build-checks.ts';
import { findPreset, GENERIC, presetNames, type Preset } from './presets.ts';
import type { RawProbe, RawSpec } from './raw.ts';
import type { Placed, ReadinessProbe, RequestItem, RunSection, Shutdown, SmokeSpec } from './spec.ts';
import { parseThreshold, type Threshold } from './threshold.ts';

/** A checked raw spec with its defaults, its preset and its files; problems go to the context. */
export async function buildSpec(
  raw: RawSpec,
  source: string,
  context: BuildContext,
): Promise<Omit<SmokeSpec, 'fingerprint'>> {
  const preset = choosePreset(raw, context);
  return {
    source,
    preset: raw.preset,
    run: buildRun(raw.run, preset, context),
    readinessProbe: buildProbe(raw.readinessProbe, preset, context),
    requests: await buildRequests(raw, preset, context),
    thresholds: buildThresholds(raw, context),
    shutdown: buildShutdown(raw.shutdown, context),
  };
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

function buildRun(run: RawSpec['run'], preset: Preset, context: BuildContext): RunSection {
  if (run?.user === 'random') {
    const place = context.place(['run', 'user']);
    context.problems.push({ message: '`user: random` is not supported yet', hint: 'Name a user: "1000:0"', place });
  }
  if (run?.network === 'egress') {
    const message = '`network: egress` is not supported yet: a smoke test has no way out to the network';
    const hint = 'Put what it needs into the image, and remove `network`';
    context.problems.push({ message, hint, place: context.place(['run', 'network']) });
  }
  return {
    env: {
      ...preset.run?.env,
      ...Object.fromEntries(Object.entries(run?.env ?? {}).map(([name, value]) => [name, String(value)])),
    },
    args: run?.args ?? preset.run?.args,
    user: run?.user === undefined || run.user === 'image' ? undefined : String(run.user),
    readOnly: run?.readOnly ?? false,
    network: 'none',
  };
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
    failWhen: Object.entries(probe?.failWhen ?? presetBody?.failWhen ?? {}).flatMap(([source, values]) => {
      const path = context.jsonPath(at, source);
      return path === undefined ? [] : [{ path, values: Array.isArray(values) ? values : [values] }];
    }),
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

function buildShutdown(shutdown: RawSpec['shutdown'], context: BuildContext): Shutdown {
  if (shutdown === undefined) return SHUTDOWN;
  return {
    timeoutSeconds: shutdown.timeoutSeconds ?? SHUTDOWN.timeoutSeconds,
    exitCodes: shutdown.exitCodes ?? SHUTDOWN.exitCodes,
    required: true,
    location: context.place(['shutdown']),
  };
}
