import type { Duplex, Readable, Writable } from 'node:stream';
import { encodeFrame, dataFrames, readFrames } from './frame.ts';
import { addNoise, eachLine, type Spoken } from './lines.ts';
import { FRAME, type Control, type Line, type Request } from './protocol.ts';
import {
  closePipes,
  drain,
  END_TIMEOUT,
  feed,
  isClosed,
  send,
  settle,
  spawnHelper,
  spawnWithSocket,
  type Child,
  type Command,
  type Outcome,
  type SessionPlan,
} from './session.ts';
import type { CallOptions, OperationName, Session } from './types.ts';

/** What one operation of a series needs beside its request. */
export interface TurnPlan extends Omit<SessionPlan, 'command'> {
  /** It is talked to while it runs: the helper ends after it. */
  readonly last: boolean;
}

/** The one {@link Series} that takes requests now. */
export interface SharedSeries {
  /** The process that takes requests, or a new one where that is over. @throws what starting it ended with */
  readonly take: () => Promise<Series>;
  /** Ends it, when it waits for a request; resolves when it has ended. */
  readonly close: () => Promise<void>;
  /** Where the first process left one that keeps locks; undefined where none was asked for, or where it could not be started. */
  readonly locks: Promise<Duplex | undefined>;
}

/**
 * Starts a process when one is asked for, and another one when that takes no further request. `keepsLocks` says, when the first one is started,
 * whether it is to leave a process that keeps locks.
 */
export function createSharedSeries(command: () => Promise<Command>, keepsLocks: () => boolean): SharedSeries {
  let current: Promise<Series> | undefined;
  // Settled once: what a later process would say is not heard.
  let left = (_: Duplex | undefined): void => undefined;
  const locks = new Promise<Duplex | undefined>((resolve) => (left = resolve));
  let isFirst = true;
  const spawn = async ({ program, args }: Command): Promise<Child> => {
    const asked = isFirst && keepsLocks();
    isFirst = false;
    if (!asked) return await spawnHelper(program, [...args, 'series']);
    const { child, socket } = await spawnWithSocket(program, [...args, 'series', '--locks']);
    left(socket);
    return child;
  };
  const start = (): Promise<Series> => {
    const started = command().then(async (found) => new Series(await spawn(found)));
    started.then(
      () => left(undefined),
      () => left(undefined),
    );
    // What failed is tried again by who asks next.
    started.catch(() => {
      if (current === started) current = undefined;
    });
    return started;
  };
  return {
    take: async () => {
      const asked = (current ??= start());
      const series = await asked;
      if (!series.isOver()) return series;
      // Who asked with us may have started the next one.
      if (current === asked) current = start();
      return await (current ??= start());
    },
    close: async () => {
      const series = await current?.catch(() => undefined);
      await series?.close();
    },
    locks,
  };
}

/** The request that is being answered. */
interface Turn {
  readonly options: CallOptions;
  readonly last: boolean;
  spoken: Spoken;
  /** Its end frame has come. */
  isEnded: boolean;
  /** All that belongs to the request has been sent. */
  isFed: boolean;
  isAnswered: boolean;
  /** What a source or a consumer of ours threw. */
  readonly thrown: unknown[];
  /** The signal was aborted. */
  readonly onAbort: () => void;
  /** Wakes up who waits for the answer. */
  readonly wake: () => void;
}

/** How a helper ended. */
type Exit = Pick<Outcome, 'code' | 'signal'>;

/**
 * A helper that takes one request after another (native/wire, frame): the operations of a command need one process. While it waits for a
 * request it does not keep this process alive.
 */
export class Series {
  readonly #child: Child;
  readonly #giveUp = new AbortController();
  readonly #gone: Promise<Exit>;
  #turn: Turn | undefined;
  #isOver = false;
  /** Said by none of the operations: by sudo, or before a panic. */
  #noise: Spoken = { noise: '' };

  constructor(child: Child) {
    this.#child = child;
    const read = Promise.all([this.#hear(), this.#deliver()]);
    this.#gone = exitOf(child, this.#giveUp.signal).then(async (exit) => {
      this.#isOver = true;
      child.stdin.destroy();
      drain(child, (milliseconds, act) => void setTimeout(act, milliseconds).unref());
      await read;
      return exit;
    });
    hold(child, false);
  }

  /** Whether it waits for a request. */
  isFree(): boolean {
    return !this.#isOver && this.#turn === undefined;
  }

  /** Whether it takes no further request, now or later. */
  isOver(): boolean {
    return this.#isOver || this.#turn?.last === true;
  }

  /** Sends the next request of a series that is free. After the `last` one the helper ends. */
  open<O extends OperationName>(request: Request, plan: TurnPlan, options: CallOptions = {}): Session<O> {
    options.signal?.throwIfAborted();
    const child = this.#child;
    const result = this.#follow(request, plan, options).then((outcome) => settle<O>(outcome, plan.action, options.signal));
    result.catch(() => undefined);
    return {
      result,
      control: (message: Control) => send(child, encodeFrame(FRAME.control, Buffer.from(JSON.stringify(message)))),
      write: async (chunk) => {
        for (const frame of dataFrames(chunk)) await send(child, frame);
      },
      close: ({ detach = false } = {}) => {
        if (detach) child.stdin.end(encodeFrame(FRAME.end, new Uint8Array()));
        else child.stdin.end();
      },
    };
  }

  /** Ends it, when it waits for a request; resolves when it has ended. */
  async close(): Promise<void> {
    if (this.#turn?.isAnswered === false) return;
    this.#isOver = true;
    hold(this.#child, true);
    this.#child.stdin.end();
    const timer = setTimeout(() => this.#giveUp.abort(), END_TIMEOUT);
    await this.#gone;
    clearTimeout(timer);
  }

  async #follow(request: Request, plan: TurnPlan, options: CallOptions): Promise<Outcome> {
    let wake = (): void => undefined;
    const answered = new Promise<undefined>((resolve) => (wake = () => resolve(undefined)));
    const turn: Turn = {
      options,
      last: plan.last,
      spoken: { noise: '' },
      isEnded: false,
      isFed: false,
      isAnswered: false,
      thrown: [],
      onAbort: () => this.#cancel(),
      wake,
    };
    this.#turn = turn;
    options.signal?.addEventListener('abort', turn.onAbort, { once: true });
    hold(this.#child, true);
    this.#child.stdin.write(encodeFrame(FRAME.request, Buffer.from(JSON.stringify(request))));
    // Not awaited: a source may never end when nobody reads it any more.
    void feed(this.#child, plan, options).then(
      () => {
        turn.isFed = true;
        this.#release(turn);
      },
      (error: unknown) => this.#fail(turn, error),
    );
    const exit = await Promise.race([answered, this.#gone]);
    options.signal?.removeEventListener('abort', turn.onAbort);
    if (turn.thrown.length > 0) throw turn.thrown[0];
    const spoken = { ...turn.spoken, noise: this.#noise.noise.trim() };
    return { spoken, code: exit?.code ?? null, signal: exit?.signal ?? null };
  }

  /** The end of fd 0 before the answer: the helper kills what it started, and ends. */
  #cancel(): void {
    this.#isOver = true;
    this.#child.stdin.destroy();
    setTimeout(() => this.#giveUp.abort(), END_TIMEOUT).unref();
  }

  #fail(turn: Turn, error: unknown): void {
    turn.thrown.push(error);
    this.#cancel();
  }

  async #hear(): Promise<void> {
    try {
      await eachLine(this.#child.stderr, (line, text) => this.#take(line, text));
    } catch {
      // The pipe was closed under the reader: the exit says why.
    }
  }

  #take(line: Line | undefined, text: string): void {
    const turn = this.#turn;
    if (!line) this.#noise = addNoise(this.#noise, text);
    else if (!turn || turn.isAnswered) return;
    else if ('event' in line) void this.#tell(turn, () => turn.options.onEvent?.(line.event));
    else if (!turn.spoken.reply && !turn.spoken.failure) {
      turn.spoken = { ...turn.spoken, ...line };
      // The result is out: fd 0 has done its work, and the helper ends.
      if (turn.last) this.#child.stdin.end();
      this.#answer(turn);
    }
  }

  async #deliver(): Promise<void> {
    try {
      // Taken one after the other: the next one is read when the consumer has this one.
      for await (const { kind, payload } of readFrames(this.#child.stdout)) {
        const turn = this.#turn;
        if (!turn || turn.isAnswered) continue;
        if (kind === FRAME.data) await this.#tell(turn, () => turn.options.onData?.(payload));
        else if (kind === FRAME.errorData) await this.#tell(turn, () => turn.options.onErrorData?.(payload));
        else if (kind === FRAME.end) {
          turn.isEnded = true;
          this.#answer(turn);
        }
      }
    } catch (error) {
      if (this.#turn && !isClosed(error)) this.#fail(this.#turn, error);
    }
  }

  /** Calls a consumer of ours; after what it throws it hears no more. */
  async #tell(turn: Turn, act: () => unknown): Promise<void> {
    if (turn.thrown.length > 0) return;
    try {
      await act();
    } catch (error) {
      this.#fail(turn, error);
    }
  }

  /** The answer is whole when its last line and its end frame are here, in either order. That of the last turn is followed by the exit. */
  #answer(turn: Turn): void {
    if (turn.last || turn.isAnswered || !turn.isEnded || !(turn.spoken.reply ?? turn.spoken.failure)) return;
    turn.isAnswered = true;
    // At once: the next turn may begin before the one who waits for this answer has woken up.
    turn.options.signal?.removeEventListener('abort', turn.onAbort);
    hold(this.#child, false);
    this.#release(turn);
    turn.wake();
  }

  /** The next request may come: behind all that belongs to this one. */
  #release(turn: Turn): void {
    if (turn.isAnswered && turn.isFed && this.#turn === turn) this.#turn = undefined;
  }
}

/** How the helper ends; given up, as if it had. */
function exitOf(child: Child, giveUp: AbortSignal): Promise<Exit> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
    giveUp.addEventListener('abort', () => {
      // It does not end: let go of it, so that the engine can end; what it leaves is collected by the next command.
      closePipes(child);
      child.unref();
      resolve({ code: null, signal: null });
    });
  });
}

/** Whether the helper keeps this process alive: only while somebody waits for its answer. */
function hold(child: Child, held: boolean): void {
  for (const one of [child, child.stdin, child.stdout, child.stderr] as readonly (Child | Held)[]) {
    if (held) one.ref?.();
    else one.unref?.();
  }
}

/** Pipes of a child are sockets, which Node's types do not say. */
type Held = (Readable | Writable) & { readonly ref?: () => void; readonly unref?: () => void };
