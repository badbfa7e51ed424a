import { spawn, type ChildProcessByStdio } from 'node:child_process';
import type { Duplex, Readable, Writable } from 'node:stream';
import { EngineError, messageOf } from '../base/errors.ts';
import { escapeControl } from '../base/escape.ts';
import { NativeError } from './errors.ts';
import { dataFrames, encodeFrame, readFrames, secretFrame } from './frame.ts';
import { readLines, type Spoken } from './lines.ts';
import { signalNumber } from './signals.ts';
import { FRAME, type Control, type Request } from './protocol.ts';
import type { CallOptions, OperationName, ResultOf, Session } from './types.ts';

/** A helper that runs. */
export type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** How long a helper that was told to stop may take, in milliseconds: its container gets 3 s, then it is killed. */
export const END_TIMEOUT = 10_000;
/** How long pipes may stay open after the helper has ended, in milliseconds: a process outside our tree may have inherited them. */
const DRAIN_TIMEOUT = 2_000;

/** How a helper is started: the program and what comes before the operation's word. */
export interface Command {
  readonly program: string;
  readonly args: readonly string[];
}

/** What one operation needs beside its request. */
export interface SessionPlan {
  /** Checked path of the helper, and sudo where it is needed. */
  readonly command: () => Promise<Command>;
  /** For errors: "unpack a layer". */
  readonly action: string;
  /** Send the end frame after the data: nothing will be said while the operation runs. */
  readonly whole: boolean;
}

/** What a helper said, and how it ended. */
export interface Outcome {
  readonly spoken: Spoken;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/**
 * Starts the helper for one operation on its fds 0 to 2 (native/wire). The environment is empty: the helper reads none.
 *
 * An abort closes fd 0, upon which the helper kills what it started, unmounts and ends; `result` rejects with the signal's reason once it
 * has. It is never killed: a killed sudo would orphan its child.
 */
export function openSession<O extends OperationName>(
  request: Request,
  plan: SessionPlan,
  options: CallOptions = {},
): Session<O> {
  const started = start(request, plan, options);
  started.catch(() => undefined);
  const result = started.then(async ({ outcome }) => settle<O>(await outcome, plan.action, options.signal));
  result.catch(() => undefined);
  return {
    result,
    control: async (message: Control) => {
      const { child } = await started;
      await send(child, encodeFrame(FRAME.control, Buffer.from(JSON.stringify(message))));
    },
    write: async (chunk) => {
      const { child } = await started;
      for (const frame of dataFrames(chunk)) await send(child, frame);
    },
    close: ({ detach = false } = {}) => {
      started.then(
        ({ child }) => (detach ? child.stdin.end(encodeFrame(FRAME.end, new Uint8Array())) : child.stdin.end()),
        () => undefined,
      );
    },
  };
}

/** A session that is still being opened. */
export function later<O extends OperationName>(open: () => Promise<Session<O>>): Session<O> {
  const opened = open();
  const result = opened.then((session) => session.result);
  result.catch(() => undefined);
  return {
    result,
    control: async (message) => await (await opened).control(message),
    write: async (chunk) => await (await opened).write(chunk),
    close: (how) => void opened.then((session) => session.close(how), () => undefined),
  };
}

async function start(
  request: Request,
  plan: SessionPlan,
  options: CallOptions,
): Promise<{ readonly child: Child; readonly outcome: Promise<Outcome> }> {
  options.signal?.throwIfAborted();
  const { program, args } = await plan.command();
  options.signal?.throwIfAborted();
  const child = await spawnHelper(program, [...args, request.operation.op]).catch((error: unknown) => {
    throw notStarted(plan.action, error);
  });
  child.stdin.write(encodeFrame(FRAME.request, Buffer.from(JSON.stringify(request))));
  const outcome = follow(child, plan, options);
  outcome.catch(() => undefined);
  return { child, outcome };
}

/** Starts a helper with pipes on its fds 0 to 2. @throws the system's error; {@link notStarted} says it to the user */
export async function spawnHelper(program: string, args: readonly string[]): Promise<Child> {
  const child = spawn(program, args, { ...SPAWNED, stdio: ['pipe', 'pipe', 'pipe'] });
  await ensureStarted(child);
  return child;
}

/** {@link spawnHelper} with a socket on fd 3. */
export async function spawnWithSocket(
  program: string,
  args: readonly string[],
): Promise<{ readonly child: Child; readonly socket: Duplex }> {
  const child = spawn(program, args, { ...SPAWNED, stdio: ['pipe', 'pipe', 'pipe', 'pipe'] });
  await ensureStarted(child);
  // Type: Node makes a socket of a pipe, which carries both ways.
  return { child, socket: child.stdio[3] as Duplex };
}

const SPAWNED = {
  cwd: '/',
  env: {},
  // A group of its own: Ctrl-C at the terminal reaches the engine, which then lets the helper clean up.
  detached: true,
} as const;

async function ensureStarted(child: Child): Promise<void> {
  // Node gives a child without pipes where there are no file descriptors for them.
  if (child.pid === undefined) throw await failureOf(child);
  // The helper may refuse before it has read everything: its own words on fd 2 say why, an EPIPE does not.
  child.stdin.on('error', () => undefined);
}

/** Why the child is not there: Node tells it in the next turn. */
async function failureOf(child: Child): Promise<NodeJS.ErrnoException> {
  return await new Promise((resolve) => child.once('error', resolve));
}

/** A helper could not be started at all: what to do about it. */
export function notStarted(action: string, error: unknown): EngineError {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  return new EngineError('HELPER_NOT_STARTED', `Cannot ${action}: ${messageOf(error)}`, {
    cause: error,
    hint: NOT_STARTED[code],
  });
}

const NOT_STARTED: Readonly<Record<string, string>> = {
  EMFILE: 'This process may open too few files: raise the limit with `ulimit -n 1024`',
  ENFILE: 'This machine has too many files open: end other programs, or raise fs.file-max',
  EAGAIN: 'This user may have no more processes: end some, or raise the limit with `ulimit -u`',
  EACCES: 'The helper may not be executed: the file system that berth lies on may be mounted noexec',
  ENOMEM: 'This machine has no memory left for another process',
};

/** Sends what follows the request. */
export async function feed(child: Child, plan: Pick<SessionPlan, 'whole'>, options: CallOptions): Promise<void> {
  for await (const chunk of options.data ?? []) for (const frame of dataFrames(chunk)) await send(child, frame);
  for (const secret of options.secrets ?? []) await send(child, secretFrame(secret));
  if (plan.whole) await send(child, encodeFrame(FRAME.end, new Uint8Array()));
}

/** Writes a frame, and waits where the helper is slower. */
export async function send(child: Child, frame: Uint8Array): Promise<void> {
  if (!child.stdin.writable) return;
  if (child.stdin.write(frame)) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      child.stdin.off('drain', done).off('close', done);
      resolve();
    };
    child.stdin.on('drain', done).on('close', done);
  });
}

async function follow(child: Child, plan: SessionPlan, options: CallOptions): Promise<Outcome> {
  const timers = new Set<NodeJS.Timeout>();
  const after = (milliseconds: number, act: () => void): void => {
    timers.add(setTimeout(act, milliseconds).unref());
  };
  const giveUp = new AbortController();
  const cancel = (): void => {
    child.stdin.destroy();
    after(END_TIMEOUT, () => giveUp.abort());
  };
  // What a source or a consumer of ours throws ends the operation too; it is thrown when the helper has ended.
  const ours: unknown[] = [];
  const failed = (error: unknown): void => {
    ours.push(error);
    cancel();
  };
  options.signal?.addEventListener('abort', cancel, { once: true });
  // Not awaited: a source may never end when nobody reads it any more.
  void feed(child, plan, options).catch(failed);
  try {
    const ended = await exited(child, plan.action, giveUp.signal, {
      spoken: readLines(child.stderr, {
        onEvent: (event) => options.onEvent?.(event),
        // The result is out: fd 0 has done its work, and the helper ends.
        onResult: () => child.stdin.end(),
      }).catch((error: unknown): Spoken => ({ noise: isClosed(error) ? '' : messageOf(error) })),
      delivered: deliver(child, options).catch(failed),
      onExit: () => drain(child, after),
    });
    if (ours.length > 0) throw ours[0];
    return ended;
  } finally {
    options.signal?.removeEventListener('abort', cancel);
    for (const timer of timers) clearTimeout(timer);
  }
}

/** Closes pipes that stay open after the end of the helper; bytes that wait for a slow consumer are not ours to drop. */
export function drain(child: Child, after: (milliseconds: number, act: () => void) => void): void {
  after(DRAIN_TIMEOUT, () => {
    if (child.stdout.readableLength > 0) drain(child, after);
    else closePipes(child);
  });
}

/** Hands the output on, one frame after the other: the next one is read when the consumer has taken this one. */
async function deliver(child: Child, options: CallOptions): Promise<void> {
  try {
    for await (const { kind, payload } of readFrames(child.stdout)) {
      if (kind === FRAME.end) return;
      if (kind === FRAME.data) await options.onData?.(payload);
      else if (kind === FRAME.errorData) await options.onErrorData?.(payload);
    }
  } catch (error) {
    if (!isClosed(error)) throw error;
  }
}

/** The helper has gone before its stream was read to the end; its exit says why. */
export function isClosed(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE';
}

/** Waits for the end of the process and of its streams; given up, for neither. */
async function exited(
  child: Child,
  action: string,
  giveUp: AbortSignal,
  streams: {
    readonly spoken: Promise<Spoken>;
    readonly delivered: Promise<void>;
    readonly onExit: () => void;
  },
): Promise<Outcome> {
  const exit = await new Promise<Pick<Outcome, 'code' | 'signal'>>((resolve, reject) => {
    child.once('error', (error) => {
      closePipes(child);
      reject(notStarted(action, error));
    });
    child.once('exit', (code, signal) => resolve({ code, signal }));
    giveUp.addEventListener('abort', () => {
      // It does not end: let go of it, so that the engine can end; what it leaves is collected by the next command.
      closePipes(child);
      child.unref();
      resolve({ code: null, signal: null });
    });
  });
  child.stdin.destroy();
  streams.onExit();
  await streams.delivered;
  return { spoken: await streams.spoken, ...exit };
}

/** Lets go of a helper's pipes. */
export function closePipes(child: Child): void {
  child.stdin.destroy();
  child.stdout.destroy();
  child.stderr.destroy();
}

/** Result of an operation, or its error. */
export function settle<O extends OperationName>(outcome: Outcome, action: string, signal?: AbortSignal): ResultOf<O> {
  const { reply, failure, noise } = outcome.spoken;
  // Type: the reply's tag is the operation's, by the protocol.
  if (reply) return ('result' in reply ? reply.result : undefined) as ResultOf<O>;
  signal?.throwIfAborted();
  if (failure) throw new NativeError(action, failure);
  const how = outcome.signal ? `runtime died (signal ${signalNumber(outcome.signal)})` : `runtime ended with exit code ${outcome.code}`;
  const said = noise ? `: ${escapeControl(noise)}` : '';
  throw new EngineError('NATIVE_DIED', `Cannot ${action}: ${how}${said}`);
}
