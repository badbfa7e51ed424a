/** Calls `act` until it has succeeded once: who asks meanwhile or afterwards gets the same promise, whatever the arguments. */
export function once<A extends unknown[], T>(act: (...args: A) => Promise<T>): (...args: A) => Promise<T> {
  let known: Promise<T> | undefined;
  return (...args) => {
    if (known) return known;
    const started = act(...args);
    known = started;
    started.catch(() => (known = undefined));
    return started;
  };
}
