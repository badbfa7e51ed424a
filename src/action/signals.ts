/** How the step ends early. */
export interface Cancellation {
  readonly signal: AbortSignal;
  /** Set once a signal has come. */
  readonly exitCode: () => number | undefined;
  dispose(): void;
}

/** The job was cancelled, or its time is up. */
export class Cancelled extends Error {
  constructor(name: NodeJS.Signals) {
    super(`Cancelled by ${name}`);
    this.name = 'Cancelled';
  }
}

/** Milliseconds from the first signal to a forced exit: the runner sends SIGTERM at 7.5 s and SIGKILL at 10 s. */
const LAST = 6_500;
/** After a second signal. */
const SOON = 2_000;
const CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/**
 * Aborts on the runner's signals. Everything of ours hears of it and ends; what does not is left behind at a forced exit, whose closing pipes
 * end the helper and with it all containers.
 */
export function listen(exit: (code: number) => void): Cancellation {
  const controller = new AbortController();
  let code: number | undefined;
  let last: NodeJS.Timeout | undefined;
  const on = (name: keyof typeof CODES): void => {
    const first = code === undefined;
    code ??= CODES[name];
    clearTimeout(last);
    last = setTimeout(() => exit(code ?? 1), first ? LAST : SOON);
    last.unref();
    controller.abort(new Cancelled(name));
  };
  const handlers = (Object.keys(CODES) as (keyof typeof CODES)[]).map((name) => [name, () => on(name)] as const);
  for (const [name, handler] of handlers) process.on(name, handler);
  return {
    signal: controller.signal,
    exitCode: () => code,
    dispose: () => {
      clearTimeout(last);
      for (const [name, handler] of handlers) process.off(name, handler);
    },
  };
}
