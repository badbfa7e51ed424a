/** Where text and bytes go. */
export interface Writer {
  write(chunk: string | Uint8Array): void;
  /** Writes and waits until it has been taken, so that a container's output is held back by a slow reader. */
  send(chunk: Uint8Array): Promise<void>;
  readonly isTTY: boolean;
  readonly columns: number;
}

/**
 * A {@link Writer} over a stream. When it cannot be written to any more (`berth logs x | head`, a full disk), `onClosed` is called once with the reason, and
 * the rest is dropped.
 */
export function createWriter(
  stream: NodeJS.WriteStream,
  onClosed: (error: NodeJS.ErrnoException) => void,
  columns?: number,
): Writer {
  let closed = false;
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (!closed) onClosed(error);
    closed = true;
  });
  return {
    write: (chunk) => {
      if (!closed) stream.write(chunk);
    },
    send: (chunk) =>
      new Promise((resolve) => {
        if (closed) resolve();
        else stream.write(chunk, () => resolve());
      }),
    isTTY: stream.isTTY ?? false,
    get columns() {
      // A terminal without a size says 0.
      return (columns ?? stream.columns) || 80;
    },
  };
}
