import type { ContainerHandle } from '../engine.ts';
import type { Ended, Event, PublishedPort } from '../native/protocol.ts';
import type { Session } from '../native/types.ts';
import { waitSeconds } from './stop.ts';

/** Events of a starting process, gathered until it runs. */
export interface StartEvents {
  readonly onEvent: (event: Event) => void;
  /** Resolves when the process runs, and its ports listen. */
  readonly running: () => Promise<void>;
  readonly listening: () => readonly Extract<Event, { type: 'listening' }>[];
}

/** Collects {@link StartEvents}; other events go to `rest`. */
export function collectStart(rest: (event: Event) => void): StartEvents {
  const listening: Extract<Event, { type: 'listening' }>[] = [];
  let started = false;
  let check = (): void => undefined;
  return {
    onEvent: (event) => {
      if (event.type === 'started') started = true;
      else if (event.type === 'listening') listening.push(event);
      else rest(event);
      check();
    },
    running: () =>
      new Promise((resolve) => {
        check = () => {
          if (started) resolve();
        };
        check();
      }),
    listening: () => listening,
  };
}

/** Published ports with the numbers that the kernel chose. They are told before the process counts as started. */
export function boundPorts(events: StartEvents): readonly PublishedPort[] {
  return events
    .listening()
    .map(({ hostAddress, hostPort, containerPort, protocol }) => ({ hostAddress, hostPort, containerPort, protocol }));
}

const STILL_RUNNING: Ended = {
  exitCode: null,
  signal: null,
  oomKilled: false,
  memoryPeak: null,
  memorySource: null,
  cpuMicroseconds: null,
};

/** The handle on a process that a session talks to. `stop` is asked of the session, or of the monitor when it runs detached. */
export function createHandle(
  session: Session<'start'> | Session<'resume'> | Session<'exec'> | Session<'attach'>,
  parts: {
    readonly id: string;
    readonly name: string;
    readonly ports: readonly PublishedPort[];
    readonly stopSignal: string;
    readonly stopSeconds: number;
    readonly stop?: ((seconds: number) => Promise<Ended>) | undefined;
    /** How to leave it running; by a word to the session when left out. */
    readonly detach?: (() => Promise<void>) | undefined;
  },
): ContainerHandle {
  let leave = (): void => undefined;
  const left = new Promise<Ended>((resolve) => (leave = () => resolve(STILL_RUNNING)));
  const ended = Promise.race([session.result, left]);
  // Whoever asks for neither must not end the process.
  ended.catch(() => undefined);
  return {
    id: parts.id,
    name: parts.name,
    ports: parts.ports,
    ended,
    write: (chunk) => session.write(chunk),
    closeStdin: () => session.control({ control: 'closeStdin' }),
    signal: (signal) => session.control({ control: 'signal', signal }),
    resize: (rows, columns) => session.control({ control: 'resize', rows, columns }),
    detach: async () => {
      if (!parts.detach) return await session.control({ control: 'detach' });
      await parts.detach();
      leave();
    },
    stop: async (seconds = parts.stopSeconds) => {
      if (parts.stop) return await parts.stop(seconds);
      await session.control({ control: 'stop', signal: parts.stopSignal, seconds: waitSeconds(seconds) });
      return await ended;
    },
  };
}
