/** Typed stages to a build graph. Source: spec/engine.md 4a. */
export { resolveBases } from './resolve.ts';
export type { ResolvedStage, ResolvedStages } from './resolve.ts';
export { toGraph } from './convert.ts';
export { outlineOf, type Outline, type OutlineMount } from './outline.ts';
export type { OutlineArg } from './outline-args.ts';
export type { GraphOptions } from './options.ts';
export { EPOCH, epochSource } from './epoch-source.ts';
export { globalScope } from './scope.ts';
export type { NamedContext } from './options.ts';
export type * from './types.ts';
