import type { ContainerConfig } from '../../engine/index.ts';
import type { TestContainer } from './container.ts';
import { endSignal, waitWhileAlive } from './end-signal.ts';
import { HttpFailure, sendHttp } from './http.ts';
import { jsonOf, type Json } from './json.ts';
import type { JsonPath } from './jsonpath.ts';
import type { HttpRequest, Placed, ReadinessProbe, RequestItem, SmokeSpec } from './spec.ts';

/** What is known of the names of a server's models: some routes have one in them, written `{model}`. */
export interface ModelSection extends Placed {
  /** As the spec gives it; it is not asked for. */
  readonly name?: string | undefined;
  /** Variable of the container that holds it. */
  readonly variable?: string | undefined;
  /** The name that such a server takes when it is told none. */
  readonly fallback?: string | undefined;
  /** Ways to ask the server, tried in order. */
  readonly queries: readonly ModelQuery[];
  /** Whether one model is ready; its path has `{model}` in it. */
  readonly probe?: ModelProbe | undefined;
}

/** A request whose answer has the names of models. */
export interface ModelQuery {
  readonly request: HttpRequest;
  /** Container port; undefined: the one that is ready. */
  readonly port?: number | undefined;
  readonly names: JsonPath;
}

/** Readiness of one model. */
export interface ModelProbe extends Pick<ReadinessProbe, 'jsonpath' | 'failWhen'> {
  readonly path: string;
  readonly port?: number | undefined;
}

const PLACEHOLDER = '{model}';

/** Characters that the name of a model may have. */
const MAX_NAME = 500;

/** Whether a text can be the name of a model in a route: half a character cannot be written there. */
export function isModelName(name: string): boolean {
  return name !== '' && name.length <= MAX_NAME && name.isWellFormed();
}

/** Whether a route has a model's name in it. */
export function namesModel(path: string): boolean {
  return path.includes(PLACEHOLDER);
}

/** Whether something is sent that needs one name. */
export function needsName(spec: Pick<SmokeSpec, 'requests' | 'batch'>): boolean {
  return [...spec.requests.map(({ request }) => request), ...(spec.batch ? [spec.batch.request] : [])].some(
    ({ path }) => namesModel(path),
  );
}

/** Ports beside the server's own on which it is asked for models. */
export function modelPorts({ model }: SmokeSpec): readonly number[] {
  const ports = [...(model?.queries ?? []).map(({ port }) => port), model?.probe?.port];
  return [...new Set(ports.filter((port) => port !== undefined))];
}

/** The spec with the name that is known before the start: the spec's own, the container's variable, or what such a server takes by default. */
export function withKnownModel(spec: SmokeSpec, config: ContainerConfig): SmokeSpec {
  const { model } = spec;
  if (model === undefined) return spec;
  const variables = [...(config.Env ?? []), ...Object.entries(spec.run.env).map((pair) => pair.join('='))];
  const prefix = `${model.variable ?? ''}=`;
  const variable = variables.findLast((pair) => pair.startsWith(prefix))?.slice(prefix.length);
  const told = model.variable === undefined || variable === undefined || !isModelName(variable) ? undefined : variable;
  const name = model.name ?? told ?? (model.queries.length === 0 ? model.fallback : undefined);
  return name === undefined ? spec : withModel(spec, name);
}

/** The spec with a model's name in all its routes. */
export function withModel(spec: SmokeSpec, name: string): SmokeSpec {
  const fill = (path: string): string => path.replaceAll(PLACEHOLDER, encodeURIComponent(name));
  const filled = <T extends HttpRequest>(request: T): T => ({ ...request, path: fill(request.path) });
  const { model, batch, readinessProbe } = spec;
  const items = spec.requests.map((item): RequestItem => {
    // Its name stays: a load and thresholds call it so.
    return { ...item, request: filled(item.request) };
  });
  return {
    ...spec,
    requests: items,
    batch: batch && { ...batch, request: filled(batch.request), singles: batch.singles.map(filled) },
    readinessProbe: { ...readinessProbe, paths: readinessProbe.paths.map(fill) },
    model: model && { ...model, name },
  };
}

/** The probe of one model, with the times of the server's own. */
export function probeOf(spec: SmokeSpec, probe: ModelProbe, name: string): ReadinessProbe {
  const path = probe.path.replaceAll(PLACEHOLDER, encodeURIComponent(name));
  return {
    ...spec.readinessProbe,
    paths: [path],
    successThreshold: 1,
    jsonpath: probe.jsonpath,
    failWhen: probe.failWhen,
  };
}

/** What a server says of its models. */
export type AskedModels =
  | { readonly kind: 'found'; readonly names: readonly string[]; readonly told: string }
  /** It has none, although it was waited for. */
  | { readonly kind: 'none'; readonly told: string }
  /** It says nothing of them. */
  | { readonly kind: 'silent'; readonly told: string };

const LIMITS = { total: 10_000, idle: 10_000, maxBody: 4 << 20 };

/** Asks the server for its models, again until there is one or `deadline` (of `performance.now()`) has come. */
export async function askModels(
  container: TestContainer,
  queries: readonly ModelQuery[],
  options: {
    readonly port: number;
    readonly deadline: number;
    readonly periodSeconds: number;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<AskedModels> {
  for (;;) {
    const told: string[] = [];
    let isSilent = true;
    for (const query of queries) {
      const asked = await ask(container, query, options);
      told.push(asked.told);
      if (asked.names === undefined) continue;
      if (asked.names.length > 0) return { kind: 'found', names: asked.names, told: asked.told };
      isSilent = false;
    }
    if (isSilent) return { kind: 'silent', told: told.join('; ') };
    if (performance.now() >= options.deadline || container.ended() !== undefined)
      return { kind: 'none', told: told.join('; ') };
    await waitWhileAlive(options.periodSeconds * 1000, container, options.signal);
  }
}

async function ask(
  container: TestContainer,
  { request, port, names }: ModelQuery,
  options: { readonly port: number; readonly signal?: AbortSignal | undefined },
): Promise<{ readonly told: string; readonly names?: readonly string[] }> {
  const at = port ?? options.port;
  const what = `${request.method} ${request.path} on port ${at}`;
  const target = container.ports.get(at);
  if (target === undefined) return { told: `${what}: the port is not published` };
  const ended = endSignal(container, options.signal);
  try {
    const { status, body } = await sendHttp(target, request, { ...LIMITS, signal: ended.signal });
    const value = status >= 200 && status < 300 ? jsonOf(body) : undefined;
    if (value === undefined) return { told: `${what} → ${status}` };
    return { told: `${what} → ${status}`, names: textsOf(names, value) };
  } catch (error) {
    options.signal?.throwIfAborted();
    if (error instanceof HttpFailure) return { told: `${what}: ${error.message}` };
    if (container.ended() !== undefined) return { told: `${what}: the process has ended` };
    throw error;
  } finally {
    ended.dispose();
  }
}

function textsOf(path: JsonPath, value: Json): readonly string[] {
  const found = path.select(value).map((node) => node.value);
  return [...new Set(found.filter((name): name is string => typeof name === 'string' && isModelName(name)))];
}
