/** A program that was started, as strace saw it. */
export interface Started {
  readonly path: string;
  readonly argv: readonly Buffer[];
  readonly env: readonly Buffer[];
}

/** The words that start a program under strace, whose whole list of started programs goes to `output`. */
export function straced(output: string): readonly string[] {
  return ['strace', '-f', '-v', '-s', '65535', '-e', 'trace=execve', '-e', 'signal=none', '-o', output];
}

/** Reads what `strace -f -v -e trace=execve` wrote. A line that is no call (exits, resumed calls) starts nothing. @throws for a call that was cut */
export function parseExecves(text: string): readonly Started[] {
  return text.split('\n').flatMap((line) => {
    const call = /^\d+ +execve\((.*)$/.exec(line)?.[1];
    return call === undefined ? [] : [parseCall(call)];
  });
}

function parseCall(text: string): Started {
  const lists: Buffer[][] = [[]];
  let at = 0;
  let depth = 0;
  while (at < text.length) {
    const sign = text[at] ?? '';
    if (sign === '"') {
      const { bytes, end } = parseString(text, at);
      if (text.startsWith('...', end)) throw new Error('strace has cut a string: its -s is too small');
      lists.at(-1)?.push(bytes);
      at = end;
      continue;
    }
    if (sign === '[') {
      lists.push([]);
      depth += 1;
    } else if (sign === ']') depth -= 1;
    else if (sign === ')' || (depth === 0 && sign === '<')) break;
    at += 1;
  }
  const [[path = Buffer.alloc(0)] = [], argv = [], env = []] = lists;
  return { path: path.toString(), argv, env };
}

const NAMED: Readonly<Record<string, number>> = { n: 10, t: 9, r: 13, f: 12, v: 11, '"': 34, '\\': 92 };

/** A C string from its first quote on. */
function parseString(text: string, start: number): { readonly bytes: Buffer; readonly end: number } {
  const bytes: number[] = [];
  let at = start + 1;
  while (text[at] !== '"') {
    if (at >= text.length) throw new Error('strace has left a string open');
    if (text[at] !== '\\') {
      bytes.push(text.charCodeAt(at));
      at += 1;
      continue;
    }
    const octal = /^[0-7]{1,3}/.exec(text.slice(at + 1, at + 4))?.[0];
    bytes.push(octal === undefined ? (NAMED[text[at + 1] ?? ''] ?? 0) : Number.parseInt(octal, 8));
    at += 1 + (octal?.length ?? 1);
  }
  return { bytes: Buffer.from(bytes), end: at + 1 };
}
