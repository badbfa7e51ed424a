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

/** {@link once} for each key, with what is to be done when it is asked for. */
export function onceEach<K, T>(): (key: K, act: () => Promise<T>) => Promise<T> {
  const known = new Map<K, Promise<T>>();
  return (key, act) => {
    const found = known.get(key);
    if (found) return found;
    const started = act();
    known.set(key, started);
    started.catch(() => known.delete(key));
    return started;
  };
}
