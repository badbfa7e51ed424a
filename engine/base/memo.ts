/**
 * Calls `act` once for each key: who asks again gets the same promise, also where it fails.
 *
 * @param keyOf the JSON of the arguments by default
 */
export function memo<A extends readonly unknown[], T>(
  act: (...args: A) => Promise<T>,
  keyOf: (...args: A) => string = (...args) => JSON.stringify(args),
): (...args: A) => Promise<T> {
  const known = new Map<string, Promise<T>>();
  return (...args) => {
    const key = keyOf(...args);
    const found = known.get(key) ?? act(...args);
    known.set(key, found);
    return found;
  };
}
