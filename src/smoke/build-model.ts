import type { BuildContext } from './build-context.ts';
import { buildChecks, buildFailWhen } from './build-checks.ts';
import { compileJsonPath } from './jsonpath.ts';
import { isModelName, namesModel, type ModelQuery, type ModelSection } from './model.ts';
import type { Path } from './place.ts';
import { presetsWithModels, type Preset } from './presets.ts';
import type { RawSpec } from './raw.ts';

/** How models are named: the preset's ways, and the name that the spec gives. Problems go to the context. */
export function buildModel(raw: RawSpec, preset: Preset, context: BuildContext): ModelSection | undefined {
  const { model } = preset;
  if (model === undefined) {
    refuse(raw, context);
    return undefined;
  }
  checkName(raw, context);
  // Asked for its models is a server that is ready, so the way to that cannot have the name.
  if (raw.model === undefined && model.queries.length > 0 && namesModel(raw.readinessProbe?.httpGet?.path ?? ''))
    context.problems.push({
      message: '`{model}` in the path of readinessProbe needs the name: the server is asked for it when it is ready',
      hint: 'Write `model: NAME`',
      place: context.place(PROBE_PATH),
    });
  const { probe } = model;
  return {
    name: raw.model,
    variable: model.variable,
    fallback: model.fallback,
    queries: model.queries.map(toQuery),
    probe: probe && {
      path: probe.path,
      port: probe.port,
      jsonpath: buildChecks(['preset'], probe.jsonpath, context),
      failWhen: buildFailWhen(probe.failWhen, ['preset'], context),
    },
    location: context.place(raw.model === undefined ? ['preset'] : ['model']),
  };
}

const PROBE_PATH: Path = ['readinessProbe', 'httpGet', 'path'];

function checkName({ model }: RawSpec, context: BuildContext): void {
  if (model === undefined || isModelName(model)) return;
  const message = '`model` has half a character, which no route can have';
  context.problems.push({ message, place: context.place(['model']) });
}

function toQuery({ method, path, port, body, names }: NonNullable<Preset['model']>['queries'][number]): ModelQuery {
  const text = body === undefined ? undefined : JSON.stringify(body);
  const sent = text === undefined ? {} : { body: Buffer.from(text), curlBody: text };
  const headers: Readonly<Record<string, string>> = text === undefined ? {} : { 'content-type': 'application/json' };
  return { request: { method, path, headers, ...sent }, port, names: compileJsonPath(names) };
}

/** A name without a preset that knows what it is for, and a place for one in a route. */
function refuse(raw: RawSpec, context: BuildContext): void {
  const routes = (raw.requests ?? []).map(({ request }, index): readonly [string, Path] => [
    request.path,
    ['requests', index, 'request', 'path'],
  ]);
  const others: readonly (readonly [string, Path])[] = [
    [raw.readinessProbe?.httpGet?.path ?? '', PROBE_PATH],
    [raw.batch?.path ?? '', ['batch', 'path']],
  ];
  const places: readonly Path[] = [
    ...(raw.model === undefined ? [] : [['model']]),
    ...[...others, ...routes].filter(([path]) => namesModel(path)).map(([, at]) => at),
  ];
  const hint = `Presets that know models: ${presetsWithModels.join(', ')}`;
  for (const path of places) {
    const what = path.length === 1 ? '`model`' : '`{model}` in a path';
    context.problems.push({ message: `${what} needs a preset that knows models`, hint, place: context.place(path) });
  }
}
