/** The promise under way for a key, or a new one; a failed one is forgotten. */
export function once<K, T>(running: Map<K, Promise<T>>, key: K, act: () => Promise<T>): Promise<T> {
  const found = running.get(key);
  if (found) return found;
  const started = act();
  running.set(key, started);
  started.catch(() => running.delete(key));
  return started;
}
