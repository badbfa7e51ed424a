import type { Place } from '../dockerfile/index.ts';
import { locationOf, type Conversion } from './conversion.ts';
import { lookupOf } from './env.ts';
import { vertexId } from './id.ts';
import { shownInstruction, stepPrefix } from './name.ts';
import type { GraphOptions } from './options.ts';
import type { PinnedBase } from './pin.ts';
import type { StageState } from './state.ts';
import type { Op, VertexId } from './types.ts';

/** What a step is beside its operation. */
export interface StepOptions {
  readonly place: Place;
  /** Its line in the history. */
  readonly createdBy: string;
  /** Inputs beside the state below. */
  readonly inputs?: readonly VertexId[] | undefined;
  /** Behind its name. */
  readonly suffix?: string | undefined;
}

/** `state` with a counted step on top: RUN, COPY, ADD, WORKDIR. */
export function addStep(conversion: Conversion, state: StageState, op: Op, options: StepOptions): StageState {
  const counted = { ...state, step: state.step + 1 };
  const lookup = lookupOf(state.env);
  const shown = shownInstruction(options.place.original, conversion.source.ast, lookup, { isRun: op.type === 'exec' });
  const next = addVertex(conversion, counted, op, {
    name: `${stepPrefix(counted)}${shown}${options.suffix ?? ''}`,
    inputs: [state.vertex, ...(options.inputs ?? [])],
    place: options.place,
  });
  return { ...next, history: [...next.history, { createdBy: options.createdBy, vertex: next.vertex }] };
}

/** The vertex of an image that files are copied from; it is no step of the stage. */
export function addSource(
  conversion: Conversion,
  state: StageState,
  place: Place,
  { reference, manifest, config }: PinnedBase,
): VertexId {
  const pinned = reference.includes('@') ? reference : `${reference}@${manifest.digest}`;
  const op = { type: 'image', reference, manifest, config, platform: state.platform } as const;
  return addVertex(conversion, state, op, { name: `FROM ${pinned}`, inputs: [], place }).vertex;
}

/** What a vertex is beside its operation. */
export interface VertexOptions {
  readonly name: string;
  readonly inputs: readonly VertexId[];
  readonly place: Place;
}

/** `state` standing on a new vertex. */
export function addVertex(
  conversion: Conversion,
  state: StageState,
  op: Op,
  { name, inputs, place }: VertexOptions,
): StageState {
  const id = vertexId(op, inputs, state.platform);
  const location = locationOf(conversion, place);
  const ignoreCache = isUncached(state, conversion.options);
  const { label, platform } = state;
  return {
    ...state,
    vertex: conversion.vertices.add({ id, op, inputs, name, stage: label, platform, location, ignoreCache }),
  };
}

function isUncached({ stage, label }: StageState, { noCache, noCacheFilter = [] }: GraphOptions): boolean {
  return noCache === true || noCacheFilter.some((name) => name.toLowerCase() === stage.name || name === label);
}
