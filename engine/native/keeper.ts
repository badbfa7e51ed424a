import type { Duplex } from 'node:stream';
import { escapeControl } from '../base/escape.ts';
import { encodeFrame } from './frame.ts';
import { readLines, type Spoken } from './lines.ts';
import { FRAME, type Control, type Request } from './protocol.ts';
import { EngineError } from '../base/errors.ts';
import { END_TIMEOUT, isClosed, later, settle } from './session.ts';
import type { ArgumentsOf, CallOptions, Helper, OperationName, Session } from './types.ts';

/** A {@link Helper} whose locks need no program of their own where a series is started beside them. */
export interface LockHelper extends Pick<Helper, 'open'> {
  /** Whether locks were asked for that wait for a series. */
  readonly isAsked: () => boolean;
  /** A series is about to be started: locks that are asked for now are kept beside it, at the other end of the socket that it comes with. */
  readonly expect: (socket: Promise<Duplex | undefined>) => void;
}

/**
 * Gives `lock` to the process that a series left at a socket (native/wire, frame): a second start of a program costs milliseconds in a process
 * of this size. Whatever else, and locks for which no series comes, go to `own`.
 */
export function createLockHelper(
  own: Pick<Helper, 'open'>,
  lock: { readonly request: Request; readonly action: string },
): LockHelper {
  let expected: Promise<Duplex | undefined> | undefined;
  let asked = false;
  return {
    isAsked: () => asked,
    expect: (socket) => {
      socket.catch(() => undefined);
      expected = socket;
    },
    open: <O extends OperationName>(op: O, args: ArgumentsOf<O>, options?: CallOptions): Session<O> => {
      const waited = expected;
      if (op !== 'lock' || !waited) return own.open(op, args, options);
      // Once: who asks again has lost what was there.
      expected = undefined;
      asked = true;
      return later(async () => {
        const socket = await waited.catch(() => undefined);
        // The next series is not started for these.
        asked = false;
        return socket ? openAt<O>(socket, lock, options) : own.open(op, args, options);
      });
    },
  };
}

/** Asks a process for which both ways are one socket: frames go there and lines come back. */
function openAt<O extends OperationName>(
  socket: Duplex,
  { request, action }: { readonly request: Request; readonly action: string },
  options: CallOptions = {},
): Session<O> {
  // The end of the lines says why; an EPIPE does not.
  socket.on('error', () => undefined);
  const write = (kind: number, words: Request | Control): void =>
    void socket.write(encodeFrame(kind, Buffer.from(JSON.stringify(words))));
  write(FRAME.request, request);
  const read = readLines(socket, {
    onEvent: (event) => options.onEvent?.(event),
    onResult: () => socket.end(),
  }).catch((error: unknown): Spoken => ({ noise: isClosed(error) ? '' : String(error) }));
  const result = read.then((spoken) => {
    if (!spoken.reply && !spoken.failure && !options.signal?.aborted) throw lost(spoken.noise);
    return settle<O>({ spoken, code: null, signal: null }, action, options.signal);
  });
  result.catch(() => undefined);
  return {
    result,
    control: (message) => Promise.resolve(write(FRAME.control, message)),
    write: () => Promise.resolve(),
    close: () => {
      socket.end();
      // It ends at once, but where its store does not answer any more.
      setTimeout(() => socket.destroy(), END_TIMEOUT).unref();
    },
  };
}

function lost(noise: string): EngineError {
  const said = noise === '' ? '' : `: ${escapeControl(noise)}`;
  return new EngineError('NATIVE_DIED', `Cannot lock the store: the process that keeps its locks has ended${said}`, {
    hint: 'Run the command again',
  });
}
