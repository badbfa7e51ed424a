import type { SourceLocation } from '../base/errors.ts';
import { createExpander, locate, type CopyInstruction, type Instruction, type Place } from '../dockerfile/index.ts';
import { excerpt } from '../dockerfile/excerpt.ts';
import { applyArg, type GlobalScope } from './arg.ts';
import { inheritedConfig } from './config.ts';
import { copyOp } from './copy.ts';
import { lookupOf, withVariable, type Env } from './env.ts';
import { vertexId } from './id.ts';
import { shownInstruction, stepPrefix, summarize } from './name.ts';
import type { GraphOptions } from './options.ts';
import { workdirAfter } from './path.ts';
import { proxyEnv } from './proxy.ts';
import { copySource } from './reference.ts';
import type { ResolvedStage, ResolvedStages } from './resolve.ts';
import { execOp, runHistory } from './run.ts';
import { globalScope } from './scope.ts';
import { applySetting } from './settings.ts';
import { isStep, remember, type Builder, type StageState } from './state.ts';
import type { Graph, ImageDraft, Op, Vertex, VertexId } from './types.ts';
import { warningsOf } from './warnings.ts';

/**
 * The build graph of the target: vertices, edges and the image's configuration. Pure: no disk, no network, no clock.
 *
 * @throws DockerfileError naming the line
 */
export function toGraph(resolved: ResolvedStages, options: GraphOptions): Graph {
  const conversion = createConversion(resolved, options);
  for (const stage of resolved.stages) conversion.convert(stage);
  const target = conversion.stateOf(resolved.target);
  return {
    vertices: conversion.vertices(),
    target: target.vertex,
    image: imageDraft(target, options),
    warnings: warningsOf(resolved.source, options),
  };
}

interface Conversion {
  convert(stage: ResolvedStage): void;
  stateOf(index: number): StageState;
  vertices(): readonly Vertex[];
}

function createConversion({ source }: ResolvedStages, options: GraphOptions): Conversion {
  const { ast } = source;
  const vertices = new Map<VertexId, Vertex>();
  const states = new Map<number, StageState>();
  const scope: GlobalScope = globalScope(source, options);
  const expander = createExpander(ast.directives.escape);
  const builder: Builder = {
    buildArgs: options.buildArgs ?? {},
    proxyEnv: proxyEnv(options.buildArgs ?? {}),
    stateOf,
    expand: (state, word) => expander.word(word, lookupOf(state.env)),
  };

  function stateOf(index: number): StageState {
    const state = states.get(index);
    if (!state) throw new Error(`stage ${index} is used before it is converted`);
    return state;
  }

  function convert(resolved: ResolvedStage): void {
    let state = openStage(resolved);
    for (const instruction of resolved.stage.instructions) {
      state = locate(ast, instruction, () => apply(state, instruction));
    }
    states.set(resolved.stage.index, state);
  }

  function openStage({ stage, base, platform }: ResolvedStage): StageState {
    const label = source.stages.length === 1 ? '' : stage.name || `stage-${stage.index}`;
    const steps = stage.instructions.filter(isStep).length + (base.type === 'image' ? 1 : 0);
    const fresh = { stage, label, platform, args: [], history: [], hasCmd: false, step: 0, steps };
    if (base.type === 'stage') return inherit(stateOf(base.index), fresh);
    const config = inheritedConfig(base.type === 'image' ? base.config.config : undefined);
    const state: StageState = {
      ...fresh,
      vertex: '',
      env: withConfig(new Map(), config),
      workdir: workdirAfter('/', config.WorkingDir ?? '/'),
      config,
      base: base.type === 'image' ? base.config : undefined,
    };
    if (base.type === 'scratch')
      return add(state, { type: 'scratch' }, { name: 'FROM scratch', inputs: [], place: stage });
    const { reference, manifest, config: imageConfig } = base;
    const op: Op = { type: 'image', reference, manifest, config: imageConfig, platform };
    const pinned = reference.includes('@') ? reference : `${reference}@${manifest.digest}`;
    const counted = { ...state, step: 1 };
    return add(counted, op, { name: `${stepPrefix(counted)}FROM ${pinned}`, inputs: [], place: stage });
  }

  function apply(state: StageState, instruction: Instruction): StageState {
    switch (instruction.kind) {
      case 'arg':
        return applyArg(state, instruction, builder, scope);
      case 'workdir':
        return applyWorkdir(state, instruction.path, instruction);
      case 'run': {
        const op = execOp(state, instruction, builder);
        const [document] = instruction.files;
        const suffix = document && instruction.command.length === 1 ? ` (${summarize(document.data)})` : '';
        return addStep(state, op, { place: instruction, createdBy: runHistory(state, op), suffix, isRun: true });
      }
      case 'add': {
        const { op, createdBy } = copyOp(state, instruction, builder, {
          from: 'context',
          location: locationOf(instruction),
        });
        return addStep(state, op, { place: instruction, createdBy });
      }
      case 'copy':
        return applyCopy(state, instruction);
      default:
        return applySetting(state, instruction, builder, ast.directives.escape);
    }
  }

  function applyCopy(state: StageState, copy: CopyInstruction): StageState {
    const { from } = copy;
    const stage = from === undefined ? undefined : copySource(source, state.stage, { ...copy, from });
    const place = { from: stage ? 1 : 'context', location: locationOf(copy) } as const;
    const { op, createdBy } = copyOp(state, copy, builder, place);
    return addStep(state, op, { place: copy, createdBy, inputs: stage ? [stateOf(stage.index).vertex] : [] });
  }

  /** WORKDIR makes its directory, as a layer of its own even when it exists; `/` is always there. */
  function applyWorkdir(state: StageState, written: string, place: Place): StageState {
    const workdir = workdirAfter(state.workdir, builder.expand(state, written));
    const moved = { ...state, workdir, config: { ...state.config, WorkingDir: workdir } };
    const createdBy = `WORKDIR ${workdir}`;
    if (workdir === '/') return remember(moved, createdBy);
    const op: Op = {
      type: 'file',
      actions: [{ action: 'mkdir', path: workdir, mode: 0o755, owner: state.config.User ?? '' }],
    };
    return addStep(moved, op, { place, createdBy });
  }

  function addStep(state: StageState, op: Op, step: StepOptions): StageState {
    const counted = { ...state, step: state.step + 1 };
    const shown = shownInstruction(step.place.original, ast, lookupOf(state.env), { isRun: step.isRun ?? false });
    const name = `${stepPrefix(counted)}${shown}${step.suffix ?? ''}`;
    const next = add(counted, op, { name, inputs: [state.vertex, ...(step.inputs ?? [])], place: step.place });
    return { ...next, history: [...next.history, { createdBy: step.createdBy, vertex: next.vertex }] };
  }

  function add(state: StageState, op: Op, { name, inputs, place }: VertexOptions): StageState {
    const id = vertexId(op, inputs, state.platform);
    if (!vertices.has(id)) {
      const ignoreCache = isUncached(state, options);
      vertices.set(id, { id, op, inputs, name, stage: state.label, location: locationOf(place), ignoreCache });
    }
    return { ...state, vertex: id };
  }

  function locationOf({ startLine, endLine }: Place): SourceLocation {
    return { file: ast.file, startLine, endLine, excerpt: excerpt(ast.text, { startLine, endLine }) };
  }

  return { convert, stateOf, vertices: () => [...vertices.values()] };
}

interface StepOptions {
  readonly place: Place;
  readonly createdBy: string;
  /** Further inputs beside the state below. */
  readonly inputs?: readonly VertexId[];
  readonly suffix?: string;
  readonly isRun?: boolean;
}

interface VertexOptions {
  readonly name: string;
  readonly inputs: readonly VertexId[];
  readonly place: Place;
}

type FreshStage = Pick<StageState, 'stage' | 'label' | 'platform' | 'hasCmd' | 'step' | 'steps'>;

/** A stage on a stage goes on where that one ended, with its variables, ARGs and history. */
function inherit(base: StageState, fresh: FreshStage): StageState {
  const { stage, label, platform, hasCmd, step, steps } = fresh;
  const config = inheritedConfig(base.config);
  return { ...base, stage, label, platform, hasCmd, step, steps, config, env: withConfig(base.env, config) };
}

function withConfig(env: Env, { Env: list = [] }: { readonly Env?: readonly string[] }): Env {
  return list.reduce<Env>((before, entry) => {
    const equals = entry.indexOf('=');
    return equals < 0
      ? withVariable(before, entry, '')
      : withVariable(before, entry.slice(0, equals), entry.slice(equals + 1));
  }, env);
}

function isUncached({ stage, label }: StageState, { noCache, noCacheFilter = [] }: GraphOptions): boolean {
  return noCache === true || noCacheFilter.some((name) => name.toLowerCase() === stage.name || name === label);
}

function imageDraft(
  { platform, base, config, author, history }: StageState,
  { labels = {} }: GraphOptions,
): ImageDraft {
  const hasLabels = Object.keys(labels).length > 0;
  const Labels = { ...config.Labels, ...labels };
  return { platform, base, config: hasLabels ? { ...config, Labels } : config, author, history };
}
