import type { ContainerHandle, OutputOptions } from '../../engine/index.ts';
import type { Context } from './context.ts';
import { type DetachKeys, findDetach } from './values/detach-keys.ts';
import { Interrupted } from './interrupt.ts';

/** Where the output of a container goes: as it is, byte by byte. */
export function outputOf({ stdout, stderr }: Context): Required<OutputOptions> {
  return {
    onStdout: async (chunk: Uint8Array) => await stdout.send(chunk),
    onStderr: async (chunk: Uint8Array) => await stderr.send(chunk),
  };
}

/** Signals between the first output of a process and its handle. */
export interface EarlySignals {
  /** Where the output goes; its first byte says that the process lives, and that signals are its business from now on. */
  readonly output: Required<OutputOptions>;
  readonly received: readonly NodeJS.Signals[];
}

/** Keeps the signals that come before `attach` can hand them on. */
export function keepEarlySignals(context: Context): EarlySignals {
  const received: NodeJS.Signals[] = [];
  const { onStdout, onStderr } = outputOf(context);
  const keep = (): void => void (context.signals.handler ??= (name) => void received.push(name));
  return {
    received,
    output: {
      onStdout: async (chunk) => {
        keep();
        await onStdout?.(chunk);
      },
      onStderr: async (chunk) => {
        keep();
        await onStderr?.(chunk);
      },
    },
  };
}

/** How the caller's side is joined. */
export interface AttachOptions {
  readonly interactive: boolean;
  readonly tty: boolean;
  /** Hand signals on to the process. */
  readonly proxy: boolean;
  /** What came before there was a handle, to be handed on first. */
  readonly early?: EarlySignals | undefined;
  /** On a terminal, these keys leave the process to itself. */
  readonly detachKeys?: DetachKeys | undefined;
}

/** Signals that reach the process before we give up on it and leave. */
const PATIENCE = 3;

/**
 * Joins the caller's input, signals and terminal with a process until it ends; gives its exit code.
 *
 * With `proxy`, signals are the process's business; its third one in a row leaves without it.
 */
export async function attach(context: Context, handle: ContainerHandle, options: AttachOptions): Promise<number> {
  const release: (() => void)[] = [];
  if (options.proxy) release.push(proxySignals(context, handle));
  for (const name of options.early?.received ?? []) handle.signal(name).catch(() => undefined);
  if (options.tty) release.push(joinTerminal(context, handle));
  if (options.interactive) release.push(joinInput(context, handle, options));
  try {
    const { exitCode } = await handle.ended;
    if (exitCode === null && options.detachKeys) context.stderr.write('read escape sequence\n');
    return exitCode ?? 0;
  } finally {
    for (const undo of release) undo();
  }
}

function proxySignals(context: Context, handle: ContainerHandle): () => void {
  let sent = 0;
  context.signals.handler = (name) => {
    sent += 1;
    if (sent >= PATIENCE) process.exit(new Interrupted(name === 'SIGTERM' ? 'SIGTERM' : 'SIGINT').exitCode);
    handle.signal(name).catch(() => undefined);
  };
  return () => (context.signals.handler = undefined);
}

function joinInput(
  { stdin }: Context,
  handle: ContainerHandle,
  { tty, detachKeys }: Pick<AttachOptions, 'tty' | 'detachKeys'>,
): () => void {
  const filter = tty && detachKeys ? findDetach(detachKeys) : undefined;
  const onData = (chunk: Buffer): void => {
    const { bytes, detached } = filter?.(chunk) ?? { bytes: chunk, detached: false };
    stdin.pause();
    const written = bytes.length > 0 ? handle.write(bytes) : Promise.resolve();
    if (detached) {
      stdin.off('data', onData);
      written.then(() => handle.detach()).catch(() => undefined);
      return;
    }
    written.then(
      () => stdin.resume(),
      () => undefined,
    );
  };
  const onEnd = (): void => void handle.closeStdin().catch(() => undefined);
  stdin.on('data', onData);
  stdin.on('end', onEnd);
  return () => {
    stdin.off('data', onData);
    stdin.off('end', onEnd);
    stdin.pause();
  };
}

function joinTerminal({ stdin, stdout }: Context, handle: ContainerHandle): () => void {
  const onResize = (): void => {
    const size = sizeOf(stdout.columns);
    handle.resize(size.rows, size.columns).catch(() => undefined);
  };
  stdin.setRawMode?.(true);
  process.stdout.on('resize', onResize);
  return () => {
    stdin.setRawMode?.(false);
    process.stdout.off('resize', onResize);
  };
}

/** The terminal's size. */
export function sizeOf(columns: number): { readonly rows: number; readonly columns: number } {
  return { rows: process.stdout.rows || 24, columns };
}
