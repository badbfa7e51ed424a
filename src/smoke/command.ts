import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { OnEvent } from '../../engine/index.ts';
import { codeOf } from './http.ts';
import { createContainerLog } from './logs.ts';
import type { Check } from './report.ts';
import type { Placed } from './spec.ts';
import type { Mask } from './text.ts';

/** `test-command:` */
export interface TestCommand extends Placed {
  readonly command: string;
}

/** What a command of the user is run with. */
export interface CommandHost {
  /** Its whole environment; what a test adds to it comes on top. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly workingDirectory: string;
}

/** Milliseconds that a command may take. */
const LIMIT = 30 * 60_000;
/** Milliseconds between asking it to stop and killing it. */
const GRACE = 2000;

/** The vertex that its output belongs to. */
export const COMMAND_VERTEX = 'smoke/command';

/**
 * Runs the user's own test beside the running container, by the shell that a step's `run:` has. Anything but exit code 0 fails the test.
 * Its processes are gone when this returns.
 *
 * @throws the signal's reason, when it aborts
 */
export async function runTestCommand(
  { command, location }: TestCommand,
  host: CommandHost,
  options: {
    readonly env: Readonly<Record<string, string>>;
    readonly mask: Mask;
    readonly signal?: AbortSignal | undefined;
    readonly onEvent?: OnEvent | undefined;
  },
): Promise<Check> {
  const start = performance.now();
  const log = createContainerLog();
  const onOutput = (stream: 'stdout' | 'stderr', data: Uint8Array): void => {
    log.add(stream, data);
    options.onEvent?.({ type: 'log', vertex: COMMAND_VERTEX, stream: stream === 'stdout' ? 1 : 2, data });
  };
  const end = await execute(command, { ...host, env: { ...host.env, ...options.env } }, onOutput, options.signal);
  const base = { name: 'test-command', milliseconds: performance.now() - start, location };
  if (end.code === 0) return { ...base, status: 'passed', summary: 'exited with 0' };
  const summary = end.late ? `did not end within ${LIMIT / 60_000} minutes` : describe(end);
  return {
    ...base,
    status: 'failed',
    reason: 'assertion',
    summary,
    failure: { problems: [`wanted exit code 0 of the command, it ${summary}`], log: log.since(0).map(options.mask) },
  };
}

interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly late: boolean;
  readonly error?: Error | undefined;
}

async function execute(
  command: string,
  { env, workingDirectory }: CommandHost,
  onOutput: (stream: 'stdout' | 'stderr', data: Uint8Array) => void,
  signal: AbortSignal | undefined,
): Promise<End> {
  signal?.throwIfAborted();
  const shell = existsSync('/bin/bash') ? '/bin/bash' : '/bin/sh';
  // A group of its own: what it has started ends with it.
  const child = spawn(shell, ['-e', '-c', command], {
    cwd: workingDirectory,
    env: { ...env },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.on('data', (data: Uint8Array) => onOutput('stdout', data));
  child.stderr.on('data', (data: Uint8Array) => onOutput('stderr', data));
  const kill = (name: NodeJS.Signals): void => killGroup(child.pid, name);
  let late = false;
  let killer: NodeJS.Timeout | undefined;
  const stop = (): void => {
    kill('SIGTERM');
    killer ??= setTimeout(() => kill('SIGKILL'), GRACE);
  };
  const timer = setTimeout(() => {
    late = true;
    stop();
  }, LIMIT);
  signal?.addEventListener('abort', stop, { once: true });
  try {
    // `exit` and not `close`: a process that it left behind may hold the pipes.
    const end = await new Promise<End>((resolve) => {
      child.once('error', (error) => resolve({ code: null, signal: null, late, error }));
      child.once('exit', (code, name) => resolve({ code, signal: name, late }));
    });
    signal?.throwIfAborted();
    return end;
  } finally {
    clearTimeout(timer);
    clearTimeout(killer);
    signal?.removeEventListener('abort', stop);
    kill('SIGKILL');
    await drained(child.stdout, child.stderr);
  }
}

/** What was written before the end is still in the pipes; a process that left the group may hold them for ever. */
async function drained(...streams: readonly Readable[]): Promise<void> {
  const timer = setTimeout(() => streams.forEach((stream) => stream.destroy()), GRACE);
  await Promise.all(streams.map((stream) => finished(stream).catch(() => undefined)));
  clearTimeout(timer);
}

function killGroup(pid: number | undefined, name: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, name);
  } catch (error) {
    // The group is gone, which is what was wanted; or what is left of it is another user's, as after sudo.
    if (!['ESRCH', 'EPERM'].includes(codeOf(error) ?? '')) throw error;
  }
}

function describe({ code, signal, error }: End): string {
  if (error !== undefined) return `could not be started: ${error.message}`;
  return code === null ? `was killed by ${signal ?? 'a signal'}` : `exited with ${code}`;
}
