/** Records of steps: `local` for now; registry and Actions backends join it. Source: DESIGN.md 5 and 6. */
export { satisfies } from './isolation.ts';
export { createLocalCache, type StepCache } from './local.ts';
