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
  const failed = (error: NodeJS.ErrnoException): void => {
    if (!closed) onClosed(error);
    closed = true;
  };
  stream.on('error', failed);
  return {
    write: (chunk) => {
      // The answer to a write comes before the event, which may come after the last thing that a command waits for.
      if (!closed) stream.write(chunk, (error) => void (error && failed(error)));
    },
    send: (chunk) =>
      new Promise((resolve) => {
        if (closed) resolve();
        else {
          stream.write(chunk, (error) => {
            if (error) failed(error);
            resolve();
          });
        }
      }),
    isTTY: stream.isTTY ?? false,
    get columns() {
      // A terminal without a size says 0.
      return (columns ?? stream.columns) || 80;
    },
  };
}
