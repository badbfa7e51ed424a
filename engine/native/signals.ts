import { constants } from 'node:os';

/** Number of a signal, as `kill -l` knows it. */
export function signalNumber(name: NodeJS.Signals): number {
  return constants.signals[name];
}
