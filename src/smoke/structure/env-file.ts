/**
 * Reads an `envFile` as container-structure-test does, with the rules of godotenv: `export` may stand before a name, a value may be quoted and then
 * go over several lines, `#` after a space begins a comment, and a value that is not in single quotes may name variables of the lines before it.
 *
 * @returns `NAME=value`, the last of a name only
 * @throws `Error` with the line of what is none
 */
export function parseEnvFile(text: string, file: string): readonly string[] {
  const known = new Map<string, string>();
  const whole = text.replace(/^\ufeff/, '').replaceAll('\r\n', '\n');
  for (let at = 0; at < whole.length;) {
    const blank = take(/(?:[ \t]*(?:#[^\n]*)?\n|[ \t]*(?:#[^\n]*)?$)/y, whole, at);
    if (blank !== undefined) {
      at += Math.max(1, blank[0].length);
      continue;
    }
    const fail = (why: string): Error => new Error(`${file}:${lineOf(whole, at)}: ${why}`);
    const head = take(/[ \t]*(?:export[ \t]+)?([^\s=:#]+)[ \t]*[=:][ \t]*/y, whole, at);
    // The value is not shown: it may be a secret.
    if (head === undefined)
      throw fail('there is no NAME=value; a variable of the step is lent by its name under `envVars`');
    const name = head[1] ?? '';
    if (!/^[A-Za-z_][A-Za-z0-9_.]*$/.test(name)) throw fail(`${JSON.stringify(name.slice(0, 100))} is no name`);
    const start = at + head[0].length;
    const value = valueAt(whole, start);
    if (value === undefined) throw fail(`the value of ${name} has no end: its quote is not closed`);
    known.delete(name);
    known.set(name, value.isLiteral ? value.text : filled(value.text, known));
    at = start + value.length;
  }
  return [...known].map(([name, value]) => `${name}=${value}`);
}

interface Value {
  readonly text: string;
  /** In single quotes: nothing in it stands for something else. */
  readonly isLiteral: boolean;
  /** Characters up to the next line. */
  readonly length: number;
}

function valueAt(text: string, at: number): Value | undefined {
  const quote = text[at];
  if (quote !== '"' && quote !== "'") {
    const [line = ''] = take(/[^\n]*/y, text, at) ?? [];
    return { text: line.replace(/[ \t]+#.*$/, '').trim(), isLiteral: false, length: line.length + 1 };
  }
  const found = take(quote === '"' ? /"((?:[^"\\]|\\[^])*)"[^\n]*/y : /'((?:[^'\\]|\\[^])*)'[^\n]*/y, text, at);
  if (found === undefined) return undefined;
  const inner = found[1] ?? '';
  const isLiteral = quote === "'";
  return { text: isLiteral ? inner : unescaped(inner), isLiteral, length: found[0].length + 1 };
}

function take(pattern: RegExp, text: string, at: number): RegExpExecArray | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text) ?? undefined;
}

/** `\$` stays for what fills in variables. */
function unescaped(text: string): string {
  return text.replaceAll(/\\([^$])/g, (_whole, letter: string) => ({ n: '\n', r: '\r' })[letter] ?? letter);
}

function filled(text: string, known: ReadonlyMap<string, string>): string {
  return text.replaceAll(
    /(\\)?\$(?:\{([A-Za-z0-9_]+)\}|([A-Z0-9_]+))/g,
    (whole, escape: string | undefined, braced: string | undefined, plain: string | undefined) =>
      escape === undefined ? (known.get(braced ?? plain ?? '') ?? '') : whole.slice(1),
  );
}

function lineOf(text: string, at: number): number {
  return text.slice(0, at).split('\n').length;
}
