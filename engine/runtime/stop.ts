import type { Ended } from '../native/protocol.ts';
import { EngineError } from '../base/errors.ts';
import type { Connection } from './dependencies.ts';
import { type Found, isAlive } from './list.ts';

/** The longest that the helper waits: more years than anybody. */
const LONGEST = 2 ** 31 - 1;

/** Seconds as the helper takes them: below 0 means without end, as with Docker. */
export function waitSeconds(seconds: number): number {
  return seconds < 0 ? LONGEST : Math.min(seconds, LONGEST);
}

/** Sends the stop signal, waits `seconds`, kills, and gives the end. A container that has ended already gives its end. */
export async function stopContainer(
  { helper }: Connection,
  id: string,
  signal: string,
  seconds: number,
): Promise<Ended> {
  const { ended } = await helper.call('kill', {
    container: id,
    signal,
    waitSeconds: waitSeconds(seconds),
    last: true,
  });
  return ended ?? UNSEEN;
}

/** Waits for the end without a signal, that of a container's last run; null for one that was never started. */
export async function waitContainer({ helper }: Connection, id: string): Promise<Ended | null> {
  const { ended } = await helper.call('kill', { container: id, signal: '', waitSeconds: null, last: false });
  return ended;
}

/**
 * Sends a signal. One that is meant to end the container ends its restarts as well: SIGKILL, its stop signal, or any where it has none of
 * its own, as with Docker.
 *
 * @throws `CONTAINER_NOT_RUNNING`
 */
export async function killContainer({ helper }: Connection, { state, record }: Found, signal: string): Promise<void> {
  if (!isAlive(state.status)) {
    throw new EngineError(
      'CONTAINER_NOT_RUNNING',
      `Cannot kill container: ${record.name}: container ${state.id} is not running`,
    );
  }
  const bare = (name: string): string => name.toUpperCase().replace(/^SIG/, '');
  const stops = bare(record.stopSignal);
  const last = ['KILL', '9', stops].includes(bare(signal)) || (stops === 'TERM' && bare(signal) === '15');
  await helper.call('kill', { container: state.id, signal, waitSeconds: null, last });
}

/** A container whose end nobody saw: its monitor was killed. */
const UNSEEN: Ended = {
  exitCode: 137,
  signal: null,
  oomKilled: false,
  memoryPeak: null,
  memorySource: null,
  cpuMicroseconds: null,
};
