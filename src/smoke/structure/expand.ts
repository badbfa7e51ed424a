/** Variables by name. */
export type Variables = ReadonlyMap<string, string>;

const REFERENCE = /\$(?:\{([^}]*)\}|([A-Za-z_][A-Za-z0-9_]*|[*#$@!?0-9-]))/g;

/** Replaces `$NAME` and `${NAME}` as Go's `os.Expand` does: what is not set is empty, and a dollar that names nothing stays. */
export function expand(text: string, variables: Variables): string {
  return text.replaceAll(REFERENCE, (_whole, braced: string | undefined, plain: string | undefined) => {
    return variables.get(braced ?? plain ?? '') ?? '';
  });
}

/** `NAME=value` lines as variables; the last of a name counts. */
export function variablesOf(env: readonly string[]): Map<string, string> {
  return new Map(
    env.map((pair) => {
      const at = pair.indexOf('=');
      return at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}
