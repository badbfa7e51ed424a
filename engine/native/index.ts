export { NativeError } from './errors.ts';
export {
  createHelper,
  createLauncher,
  createSeriesHelper,
  createUserHelper,
  idMapName,
  type Elevation,
  type Launcher,
} from './helper.ts';
export { findProgram } from './subid.ts';
export { chooseIsolation, type Isolation, type Refusal } from './isolation.ts';
export { createMachineProbe } from './machine.ts';
export type { ArgumentsOf, CallOptions, Helper, OperationName, ResultOf, Session } from './types.ts';
