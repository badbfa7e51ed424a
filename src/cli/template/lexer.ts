import { TemplateError } from './error.ts';

/** A piece of a template: text as it is, or the words of one action. */
export type Piece =
  { readonly kind: 'text'; readonly text: string } | { readonly kind: 'action'; readonly tokens: readonly Token[] };

/** A word of an action. */
export interface Token {
  readonly kind: 'field' | 'variable' | 'word' | 'string' | 'number' | 'symbol';
  readonly text: string;
  /** The value of a string or number. */
  readonly value?: string | number;
  /** A blank stands before it: `(.A).B` and `(.A) .B` differ. */
  readonly spaced: boolean;
}

const COMMENT = /^\/\*[\s\S]*?\*\/$/;
const TOKENS: readonly (readonly [Token['kind'], RegExp])[] = [
  ['string', /^"(?:[^"\\\n]|\\.)*"/],
  ['string', /^`[^`]*`/],
  ['number', /^'(?:[^'\\]|\\.)'/],
  ['number', /^[+-]?(?:0x[0-9a-fA-F]+|\d+(?:\.\d+)?(?:e[+-]?\d+)?)/],
  ['variable', /^\$\w*(?:\.[A-Za-z_]\w*)*/],
  ['field', /^(?:\.[A-Za-z_]\w*)+|^\./],
  ['word', /^[A-Za-z_]\w*/],
  ['symbol', /^(?::=|=|\||\(|\)|,)/],
];

/** Cuts a Go template into text and actions; `{{-` and `-}}` take the blanks beside them away. @throws {TemplateError} */
export function lex(template: string): readonly Piece[] {
  const pieces: Piece[] = [];
  let rest = template;
  let trim = false;
  for (let open = rest.indexOf('{{'); open >= 0; open = rest.indexOf('{{')) {
    const close = endOf(rest, open + 2);
    let inner = rest.slice(open + 2, close);
    let text = trim ? rest.slice(0, open).trimStart() : rest.slice(0, open);
    if (/^-\s/.test(inner)) [inner, text] = [inner.slice(1), text.trimEnd()];
    trim = /\s-$/.test(inner);
    if (trim) inner = inner.slice(0, -1);
    pieces.push({ kind: 'text', text });
    if (!COMMENT.test(inner.trim())) pieces.push({ kind: 'action', tokens: tokensOf(inner) });
    rest = rest.slice(close + 2);
  }
  pieces.push({ kind: 'text', text: trim ? rest.trimStart() : rest });
  return pieces;
}

/** Where the action ends that begins at `from`: not inside a string or a comment. */
function endOf(text: string, from: number): number {
  const match = /^(?:\s*-?\s*\/\*[\s\S]*?\*\/|"(?:[^"\\\n]|\\.)*"|`[^`]*`|'(?:[^'\\]|\\.)'|(?!\}\})[\s\S])*/.exec(
    text.slice(from),
  );
  const close = from + (match?.[0].length ?? 0);
  if (!text.startsWith('}}', close)) throw new TemplateError('unclosed action');
  return close;
}

function tokensOf(inner: string): readonly Token[] {
  const tokens: Token[] = [];
  let rest = inner;
  for (;;) {
    const blank = /^\s*/.exec(rest)?.[0].length ?? 0;
    rest = rest.slice(blank);
    if (rest === '') return tokens;
    const [kind, text] = nextToken(rest);
    tokens.push({ kind, text, spaced: blank > 0, ...valueOf(kind, text) });
    rest = rest.slice(text.length);
  }
}

function nextToken(rest: string): readonly [Token['kind'], string] {
  for (const [kind, pattern] of TOKENS) {
    const text = pattern.exec(rest)?.[0];
    if (text) return [kind, text];
  }
  if (/^["`]/.test(rest)) throw new TemplateError('unterminated quoted string');
  throw new TemplateError(`unexpected ${JSON.stringify(rest[0])} in command`);
}

function valueOf(kind: Token['kind'], text: string): { readonly value?: string | number } {
  if (kind === 'number') return { value: text.startsWith("'") ? (unquote(text).codePointAt(0) ?? 0) : Number(text) };
  return kind === 'string' ? { value: text.startsWith('`') ? text.slice(1, -1) : unquote(text) } : {};
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', a: '\x07', b: '\b', f: '\f', v: '\v' };

function unquote(text: string): string {
  return text.slice(1, -1).replace(/\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)/gs, (_, code: string) => {
    if (code.length > 1) return String.fromCodePoint(parseInt(code.slice(1), 16));
    return ESCAPES[code] ?? code;
  });
}
