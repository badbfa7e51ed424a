/** Graph to layers: keys, lookup, schedule and the work of each step. Source: DESIGN.md 2 step 6, spec/engine.md 4. */
export { explainMiss, type Miss } from './explain.ts';
export { createExecutor, type ExecutorParts } from './executor.ts';
export { diffIdsOf } from './ref.ts';
export { solve, solveAll } from './solve.ts';
export type { AgentSocket, Lender } from './ops/lend.ts';
export { StepError } from './step-error.ts';
export type { Executor, RecordKeys, Ref, RefLayer, Solved, SolvedAll, SolveParts } from './types.ts';
