import type { LogsOptions } from '../engine.ts';
import type { Helper } from '../native/types.ts';

/** A line of Docker's json-file form. */
interface LogLine {
  readonly log: string;
  readonly stream: string;
  /** RFC 3339 with nanoseconds. */
  readonly time: string;
}

/**
 * Sends a container's log to `onStdout` and `onStderr`. With `tail`, the last lines so far; with `follow`, what comes after as well, until
 * the container has ended.
 */
export async function sendLogs(helper: Helper, container: string, options: LogsOptions): Promise<void> {
  const limit = options.tail;
  if (limit === undefined) return await readFrom(helper, container, 0, options);
  const last: LogLine[] = [];
  const seen = await readLines(helper, container, { follow: false, skip: 0, signal: options.signal }, (line) => {
    if (!within(line, options) || limit === 0) return;
    last.push(line);
    if (last.length > limit) last.shift();
  });
  for (const line of last) await print(line, options);
  if (options.follow) await readFrom(helper, container, seen, options);
}

async function readFrom(helper: Helper, container: string, skip: number, options: LogsOptions): Promise<void> {
  const { follow = false, signal } = options;
  await readLines(helper, container, { follow, skip, signal }, async (line) => {
    if (within(line, options)) await print(line, options);
  });
}

/** Calls `act` for each whole line after `skip` bytes; gives the bytes up to the end of the last whole line. */
async function readLines(
  helper: Helper,
  container: string,
  {
    follow,
    skip,
    signal,
  }: { readonly follow: boolean; readonly skip: number; readonly signal: AbortSignal | undefined },
  act: (line: LogLine) => void | Promise<void>,
): Promise<number> {
  let rest = Buffer.alloc(0);
  let position = 0;
  const onData = async (chunk: Uint8Array): Promise<void> => {
    const from = Math.max(0, Math.min(chunk.length, skip - position));
    position += chunk.length;
    rest = Buffer.concat([rest, chunk.subarray(from)]);
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      const line = parse(rest.subarray(0, end));
      rest = rest.subarray(end + 1);
      if (line) await act(line);
    }
  };
  await helper.call('logs', { container, follow }, { onData, signal });
  return position - rest.length;
}

/** A line that a crash cut off is left out. */
function parse(bytes: Buffer): LogLine | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    if (typeof value !== 'object' || value === null) return undefined;
    const { log, stream, time } = value as Partial<Record<keyof LogLine, unknown>>;
    if (typeof log !== 'string' || typeof stream !== 'string' || typeof time !== 'string') return undefined;
    return { log, stream, time };
  } catch {
    return undefined;
  }
}

function within({ time }: LogLine, { since, until }: LogsOptions): boolean {
  const at = Date.parse(time);
  return (since === undefined || at >= since) && (until === undefined || at <= until);
}

async function print({ log, stream, time }: LogLine, options: LogsOptions): Promise<void> {
  const bytes = Buffer.from(`${options.timestamps ? `${time} ` : ''}${options.details ? ' ' : ''}${log}`);
  await (stream === 'stderr' ? options.onStderr : options.onStdout)?.(bytes);
}
