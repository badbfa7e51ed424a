import { locate } from '../dockerfile/index.ts';
import { applyInstruction } from './apply.ts';
import { createConversion, stateOf, type Conversion } from './conversion.ts';
import { openStage } from './open-stage.ts';
import type { GraphOptions } from './options.ts';
import type { ResolvedStage, ResolvedStages } from './resolve.ts';
import type { StageState } from './state.ts';
import type { Graph, ImageDraft } from './types.ts';
import { warningsOf } from './warnings.ts';

/**
 * The build graph of the target: vertices, edges and the image's configuration. Pure: no disk, no network, no clock.
 *
 * @throws DockerfileError naming the line
 */
export function toGraph(resolved: ResolvedStages, options: GraphOptions): Graph {
  const { source, stages, target } = resolved;
  const conversion = createConversion(source, options);
  for (const one of stages) conversion.states.set(one.stage.index, convertStage(conversion, one));
  const state = stateOf(conversion, target);
  return {
    vertices: conversion.vertices.list(),
    target: state.vertex,
    image: imageDraft(state, options),
    warnings: warningsOf(resolved, options),
  };
}

function convertStage(conversion: Conversion, resolved: ResolvedStage): StageState {
  return resolved.stage.instructions.reduce(
    (state, instruction) =>
      locate(conversion.source.ast, instruction, () => applyInstruction(conversion, state, instruction)),
    openStage(conversion, resolved),
  );
}

function imageDraft(
  { platform, base, config, author, history }: StageState,
  { labels = {} }: GraphOptions,
): ImageDraft {
  const Labels = { ...config.Labels, ...labels };
  const isLabelled = Object.keys(labels).length > 0;
  return { platform, base, config: isLabelled ? { ...config, Labels } : config, author, history };
}
