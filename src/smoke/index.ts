export { loadSmokeTest, parseSpec } from './load.ts';
export { smoke, type SmokeOptions } from './smoke.ts';
export { SmokeSpecError, type SpecProblem } from './problem.ts';
export { presetNames } from './presets.ts';
export { toJUnit } from './junit.ts';
export type { CommandHost } from './command.ts';
export type { SmokeEngine, SmokeImage } from './container.ts';
export type { Check, ExitReason, Failure, ShutdownResult, SmokeReport, Written } from './report.ts';
export type { SmokeSpec, SmokeTest } from './spec.ts';
