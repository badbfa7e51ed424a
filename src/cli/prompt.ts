import type { Context } from './context.ts';

/** Asks for a line on a terminal. */
export async function ask({ stdin, stdout, signal }: Context, question: string): Promise<string> {
  stdout.write(question);
  const { createInterface } = await import('node:readline/promises');
  const lines = createInterface({ input: stdin });
  try {
    return await Promise.race([
      lines[Symbol.asyncIterator]()
        .next()
        .then(({ value }) => (typeof value === 'string' ? value : '')),
      aborted(signal),
    ]);
  } finally {
    lines.close();
  }
}

/** Asks for a line on a terminal that shows nothing of it. */
export async function askHidden(context: Context, question: string): Promise<string> {
  const { stdin, stdout, signal } = context;
  stdout.write(question);
  const line = createHiddenLine();
  stdin.setRawMode?.(true);
  let onData = (_chunk: Buffer): void => undefined;
  try {
    return await Promise.race([
      new Promise<string>((resolve) => {
        onData = (chunk) => {
          const { text, interrupted } = line(chunk);
          // In this mode the terminal sends the key and no signal.
          if (interrupted) process.kill(process.pid, 'SIGINT');
          if (text !== undefined) resolve(text);
        };
        stdin.on('data', onData);
        stdin.resume();
      }),
      aborted(signal),
    ]);
  } finally {
    stdin.off('data', onData);
    stdin.pause();
    stdin.setRawMode?.(false);
    stdout.write('\n');
  }
}

const [INTERRUPT, END, BACKSPACE, LINE, RETURN, CLEAR, DELETE] = [3, 4, 8, 10, 13, 21, 127];

/** Reads keys: what they add up to at the end of the line, and whether Ctrl-C was among them. */
export function createHiddenLine(): (chunk: Uint8Array) => {
  readonly text: string | undefined;
  readonly interrupted: boolean;
} {
  let bytes: number[] = [];
  return (chunk) => {
    for (const byte of chunk) {
      if (byte === INTERRUPT) return { text: undefined, interrupted: true };
      if (byte === LINE || byte === RETURN || byte === END) {
        return { text: Buffer.from(bytes).toString('utf8'), interrupted: false };
      }
      if (byte === CLEAR) bytes = [];
      else if (byte === BACKSPACE || byte === DELETE) bytes = withoutLast(bytes);
      else bytes.push(byte);
    }
    return { text: undefined, interrupted: false };
  };
}

/** Without the last character, which may be several bytes of UTF-8. */
function withoutLast(bytes: readonly number[]): number[] {
  let end = bytes.length - 1;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.slice(0, Math.max(end, 0));
}

async function aborted(signal: AbortSignal): Promise<never> {
  return await new Promise((_resolve, reject) => {
    const stop = (): void => reject(signal.reason as Error);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}
