import { lintStage, locate, SyntaxMistake, type Instruction } from '../dockerfile/index.ts';
import { applyInstruction } from './apply.ts';
import { createConversion, stateOf, type Conversion } from './conversion.ts';
import { lintInstruction } from './lint/instruction.ts';
import { openStage } from './open-stage.ts';
import type { GraphOptions } from './options.ts';
import type { ResolvedStage, ResolvedStages } from './resolve.ts';
import { withKeys } from './settings.ts';
import type { StageState } from './state.ts';
import type { Graph, ImageDraft } from './types.ts';
import { unusedArgs } from './warnings.ts';

/**
 * The build graph of the target: vertices, edges and the image's configuration. Pure: no disk, no network, no clock.
 *
 * @throws DockerfileError naming the line
 */
export function toGraph(resolved: ResolvedStages, options: GraphOptions): Graph {
  const { target } = resolved;
  const conversion = convertStages(resolved, options);
  const state = stateOf(conversion, target);
  return {
    vertices: conversion.vertices.list(),
    target: state.vertex,
    image: imageDraft(state, options),
    warnings: unusedArgs(resolved, options),
  };
}

/**
 * The stages, each at its end.
 *
 * @throws DockerfileError naming the line
 */
export function convertStages({ source, stages }: ResolvedStages, options: GraphOptions): Conversion {
  const conversion = createConversion(source, options);
  for (const one of stages) conversion.states.set(one.stage.index, convertStage(conversion, one));
  conversion.current = undefined;
  return conversion;
}

function convertStage(conversion: Conversion, resolved: ResolvedStage): StageState {
  const { ast } = conversion.source;
  conversion.current = undefined;
  const opened = openStage(conversion, resolved);
  lintStage(resolved.stage, ast.findings);
  return resolved.stage.instructions.reduce(
    (state, instruction) => locate(ast, instruction, () => convertInstruction(conversion, state, instruction)),
    opened,
  );
}

function convertInstruction(conversion: Conversion, state: StageState, instruction: Instruction): StageState {
  conversion.current = instruction;
  lintInstruction(conversion, state, instruction);
  const next = applyInstruction(conversion, state, instruction);
  const added = next.history.slice(state.history.length).reduce((sum, { createdBy }) => sum + createdBy.length, 0);
  return { ...next, historySize: checkSize(state.historySize + added) };
}

/** Docker's limit of what tells of an image: more cannot be sent to its builder's exporter. */
const MAX_HISTORY = 16 * 1024 * 1024;

function checkSize(size: number): number {
  if (size <= MAX_HISTORY) return size;
  throw new SyntaxMistake(
    'bad-value',
    `the history of the stage is longer than ${MAX_HISTORY} characters`,
    'EXPOSE, ARG and LABEL are spelled out in it: name fewer ports, and fewer or shorter values',
  );
}

function imageDraft(
  { platform, base, config: plain, author, history, ports }: StageState,
  { labels = {} }: GraphOptions,
): ImageDraft {
  const config = ports.length === 0 ? plain : { ...plain, ExposedPorts: withKeys(plain.ExposedPorts, ports.flat()) };
  const Labels = { ...config.Labels, ...labels };
  const isLabelled = Object.keys(labels).length > 0;
  return { platform, base, config: isLabelled ? { ...config, Labels } : config, author, history };
}
