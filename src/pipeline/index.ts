export { runPipeline, type PipelineEngine } from './run.ts';
export { formatReport, verdict, type FormatOptions } from './format.ts';
export { testedPlatform, untestedPlatforms } from './tested.ts';
export type { PassedBefore, PassKey } from './passed.ts';
export type { PipelineRequest, RunRequest } from './request.ts';
export type { PipelineExitReason, PipelineResult, StepName } from './result.ts';
