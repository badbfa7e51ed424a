import type { OnEvent } from '../../engine/index.ts';
import type { TestContainer } from './container.ts';
import { askModels, needsName, probeOf, withModel, type AskedModels, type ModelSection } from './model.ts';
import { readyCheck } from './ready-check.ts';
import { waitReady, type Readiness } from './ready.ts';
import type { Check } from './report.ts';
import type { SmokeSpec } from './spec.ts';
import type { Mask } from './text.ts';
import { track } from './track.ts';

/** What came of the models of a server that is ready itself. */
export interface Models {
  /** With the name of the model in its routes. */
  readonly spec: SmokeSpec;
  readonly checks: readonly Check[];
  /** Of the last model that got ready; the first that did not. */
  readonly readiness: Readiness;
}

/** What models are looked for with. */
export interface ModelsContext {
  readonly mask: Mask;
  /** Nobody asked for this preset: what the server does not say is a warning. */
  readonly auto: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: OnEvent | undefined;
}

/** Models whose readiness is waited for, when none of them is asked for by name. */
const MAX_MODELS = 20;

/** Finds the name of the model, unless it is known, and waits until the model is ready: a server may be so without one (smoke-test.md 2). */
export async function findModels(
  container: TestContainer,
  spec: SmokeSpec,
  ready: Extract<Readiness, { kind: 'ready' }>,
  context: ModelsContext,
): Promise<Models> {
  const { model } = spec;
  if (model === undefined) return { spec, checks: [], readiness: ready };
  return await track(
    { id: 'smoke/models', name: 'find the models' },
    context.onEvent,
    () => find(container, spec, { model, ready }, context),
    ({ checks }) => checks.find(({ status }) => status === 'failed')?.summary,
  );
}

async function find(
  container: TestContainer,
  spec: SmokeSpec,
  { model, ready }: { readonly model: ModelSection; readonly ready: Extract<Readiness, { kind: 'ready' }> },
  context: ModelsContext,
): Promise<Models> {
  if (model.name !== undefined) {
    // A port beside the server's own may be closed to us, and the name does not come from it.
    const probes = model.probe?.port === undefined ? [model.name] : [];
    return await waitFor(container, spec, probes, { model, ready }, context);
  }
  const { periodSeconds, startupTimeoutSeconds } = spec.readinessProbe;
  const deadline = context.auto ? 0 : container.startedAt + startupTimeoutSeconds * 1000;
  const asked = await askModels(container, model.queries, {
    port: ready.port,
    deadline,
    periodSeconds,
    signal: context.signal,
  });
  const problem = problemOf(asked, spec);
  if (problem !== undefined || asked.kind !== 'found') return unnamed(spec, problem, { model, ready }, context);
  const [only, ...others] = asked.names;
  const named = only !== undefined && others.length === 0 ? withModel(spec, only) : spec;
  return await waitFor(container, named, asked.names, { model, ready }, context);
}

interface Problem {
  readonly reason: 'not-ready' | 'assertion';
  readonly message: string;
  readonly hint: string;
}

function problemOf(asked: AskedModels, spec: SmokeSpec): Problem | undefined {
  if (asked.kind === 'none')
    return {
      reason: 'not-ready',
      message: `the server says that it is ready, and has no model: ${asked.told}`,
      hint: 'Is the model in the image, where the server looks for it?',
    };
  if (asked.kind === 'silent')
    return {
      reason: 'assertion',
      message: `the server does not say which models it has: ${asked.told}`,
      hint: 'Write `model: NAME` in the smoke test',
    };
  if (asked.names.length === 1 || !needsName(spec)) return undefined;
  const names = asked.names.slice(0, MAX_MODELS);
  return {
    reason: 'assertion',
    message: `the server has ${asked.names.length} models: ${names.join(', ')}`,
    hint: `Write which one is asked: model: ${names[0] ?? ''}`,
  };
}

/** Without a name nothing can be sent; where nothing is to be sent, a server that keeps its names to itself is as ready as it says. */
function unnamed(
  spec: SmokeSpec,
  problem: Problem | undefined,
  { model, ready }: { readonly model: ModelSection; readonly ready: Readiness },
  { auto, mask }: ModelsContext,
): Models {
  const { reason = 'assertion', message = '', hint } = problem ?? {};
  const base = { name: 'model', summary: mask(message), hint: hint && mask(hint), location: model.location };
  const isHarmless = auto || (reason === 'assertion' && !needsName(spec));
  if (isHarmless) return { spec, checks: [{ ...base, status: 'warning' }], readiness: ready };
  const failure = { problems: [mask(message)] };
  return {
    spec,
    checks: [{ ...base, status: 'failed', reason, failure }],
    readiness: { kind: 'failed', reason, message, hint },
  };
}

async function waitFor(
  container: TestContainer,
  spec: SmokeSpec,
  names: readonly string[],
  { model, ready }: { readonly model: ModelSection; readonly ready: Extract<Readiness, { kind: 'ready' }> },
  context: ModelsContext,
): Promise<Models> {
  const { probe } = model;
  if (probe === undefined) return { spec, checks: [], readiness: ready };
  const checks: Check[] = [];
  let last: Readiness = ready;
  for (const name of names.slice(0, MAX_MODELS)) {
    const ports = [probe.port ?? ready.port];
    last = await waitReady(container, probeOf(spec, probe, name), { ports, signal: context.signal });
    const check = await readyCheck(container, last, context.mask);
    checks.push({ ...check, name: context.mask(`model ${name}`), location: model.location });
    if (last.kind !== 'ready') return { spec, checks, readiness: last };
  }
  // Where the server is asked stays as it was; when it was ready, is when its models were.
  return { spec, checks, readiness: last.kind === 'ready' ? { ...ready, seconds: last.seconds } : ready };
}
