import type { Ended } from '../native/protocol.ts';
import type { Connection } from './dependencies.ts';

/** Sends the stop signal, waits `seconds`, kills, and gives the end. A container that has ended already gives its end. */
export async function stopContainer(
  { helper }: Connection,
  id: string,
  signal: string,
  seconds: number,
): Promise<Ended> {
  const { ended } = await helper.call('kill', { container: id, signal, waitSeconds: seconds });
  return ended ?? NEVER_RAN;
}

/** Waits for the end without a signal. */
export async function waitContainer({ helper }: Connection, id: string): Promise<Ended> {
  const { ended } = await helper.call('kill', { container: id, signal: '', waitSeconds: null });
  return ended ?? NEVER_RAN;
}

/** A container whose end nobody saw: its monitor was killed. */
const NEVER_RAN: Ended = {
  exitCode: 137,
  signal: null,
  oomKilled: false,
  memoryPeak: null,
  memorySource: null,
  cpuMicroseconds: null,
};
