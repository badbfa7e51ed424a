/** What a process finds when the image sets no PATH; Docker's default. */
export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * The environment of a process: `layers` of `NAME=value`, later ones replace earlier ones in place; a bare `NAME` takes the variable away,
 * as Docker does with `-e NAME` where the caller has none.
 */
export function mergeEnvironment(...layers: readonly (readonly string[])[]): string[] {
  const merged = new Map<string, string>();
  for (const entry of layers.flat()) {
    const at = entry.indexOf('=');
    if (at < 0) merged.delete(entry);
    else merged.set(entry.slice(0, at), entry);
  }
  return [...merged.values()];
}

/** `env` with `NAME=value` for each given variable that it does not set. */
export function withDefaults(env: readonly string[], defaults: Readonly<Record<string, string | undefined>>): string[] {
  const names = new Set(env.map((entry) => entry.slice(0, entry.indexOf('='))));
  const missing = Object.entries(defaults).flatMap(([name, value]) =>
    value === undefined || names.has(name) ? [] : [`${name}=${value}`],
  );
  return [...env, ...missing];
}
