/** One way to authenticate that a server offers. */
export interface Challenge {
  /** In lower case: `bearer`, `basic`. */
  readonly scheme: string;
  /** Names in lower case. */
  readonly params: ReadonlyMap<string, string>;
}

const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
const BLANK = /[ \t]*/y;
const BETWEEN = /[ \t,]*/y;
/** Longer headers are no challenges. */
const MAX_LENGTH = 16_384;

/**
 * Reads the values of `WWW-Authenticate`: many challenges in one line or in many, quoted strings with escapes; a quote without end runs to
 * the end, and what makes no sense ends the reading. Never throws. Source: RFC 7235 2.1, 4.1.
 */
export function parseChallenges(header: string | readonly string[] | undefined): readonly Challenge[] {
  const lines = header === undefined ? [] : typeof header === 'string' ? [header] : header;
  return lines.flatMap((line) => parseLine(line.slice(0, MAX_LENGTH)));
}

function parseLine(line: string): Challenge[] {
  const challenges: { scheme: string; params: Map<string, string> }[] = [];
  let at = 0;
  const take = (expression: RegExp): string => {
    expression.lastIndex = at;
    const text = expression.exec(line)?.[0] ?? '';
    at += text.length;
    return text;
  };
  for (;;) {
    take(BETWEEN);
    const word = take(TOKEN);
    if (word === '') return challenges;
    const afterWord = at;
    take(BLANK);
    if (line[at] !== '=') {
      at = afterWord;
      challenges.push({ scheme: word.toLowerCase(), params: new Map() });
      continue;
    }
    at += 1;
    take(BLANK);
    const value = readValue(line, at);
    at = value.end;
    const params = challenges.at(-1)?.params;
    if (params && !params.has(word.toLowerCase())) params.set(word.toLowerCase(), value.text);
  }
}

/** A quoted string or a token; unquoted values run to the next comma, since some servers forget the quotes around URLs. */
function readValue(line: string, start: number): { readonly text: string; readonly end: number } {
  if (line[start] !== '"') {
    const comma = line.indexOf(',', start);
    const end = comma < 0 ? line.length : comma;
    return { text: line.slice(start, end).trim(), end };
  }
  let text = '';
  for (let i = start + 1; i < line.length; i += 1) {
    const c = line[i] ?? '';
    if (c === '"') return { text, end: i + 1 };
    if (c === '\\') i += 1;
    text += c === '\\' ? (line[i] ?? '') : c;
  }
  return { text, end: line.length };
}
