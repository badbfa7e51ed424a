import type { Lookup } from '../dockerfile/index.ts';

/** Environment variables in the order in which they were last set, as BuildKit's `EnvList`. */
export type Env = ReadonlyMap<string, string>;

/** `env` with the variable set, at its end. */
export function withVariable(env: Env, name: string, value: string): Env {
  const next = new Map(env);
  next.delete(name);
  next.set(name, value);
  return next;
}

/** A list of `NAME=value` with the variable set, in its old place when it has one. */
export function withEntry(list: readonly string[], name: string, value: string): readonly string[] {
  const entry = `${name}=${value}`;
  const at = list.findIndex((old) => old === name || old.startsWith(`${name}=`));
  return at < 0 ? [...list, entry] : list.with(at, entry);
}

/** The variables as `NAME=value`. */
export function entriesOf(env: Env): readonly string[] {
  return [...env].map(([name, value]) => `${name}=${value}`);
}

/** Looks up in `env`. */
export function lookupOf(env: Env): Lookup {
  return (name) => env.get(name);
}
