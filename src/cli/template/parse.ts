import { TemplateError } from './error.ts';
import { lex, type Piece, type Token } from './lexer.ts';

/** A part of a template. */
export type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'print'; readonly pipe: Pipe }
  | Block
  | { readonly kind: 'break' }
  | { readonly kind: 'continue' };

/** A part that is printed once, several times or not at all. */
export interface Block {
  readonly kind: 'if' | 'with' | 'range';
  readonly pipe: Pipe;
  readonly then: readonly Node[];
  readonly otherwise: readonly Node[];
}

/** Commands whose results are handed on, and variables that take the last one. */
export interface Pipe {
  readonly variables: readonly string[];
  /** `=` sets a variable that is there, `:=` makes one. */
  readonly declares: boolean;
  readonly commands: readonly (readonly Operand[])[];
}

/** A word of a command, with fields behind it. */
export type Operand =
  | { readonly kind: 'dot'; readonly fields: readonly string[]; readonly text: string }
  | { readonly kind: 'variable'; readonly name: string; readonly fields: readonly string[]; readonly text: string }
  | { readonly kind: 'function'; readonly name: string }
  | { readonly kind: 'constant'; readonly value: string | number | boolean | null }
  | { readonly kind: 'pipe'; readonly pipe: Pipe; readonly fields: readonly string[]; readonly text: string };

const REFUSED = new Set(['template', 'define', 'block']);

/** Reads a Go template. @throws {TemplateError} in Docker's words */
export function parse(template: string): readonly Node[] {
  const pieces = [...lex(template)];
  const { nodes, end } = parseList(pieces, false);
  if (end) throw new TemplateError(`unexpected {{${end.word}}}`);
  return nodes;
}

/** What ended a list: `end`, or `else` with the words behind it. */
interface End {
  readonly word: 'end' | 'else';
  readonly rest: readonly Token[];
}

function parseList(pieces: Piece[], inside: boolean): { readonly nodes: readonly Node[]; readonly end?: End } {
  const nodes: Node[] = [];
  for (let piece = pieces.shift(); piece; piece = pieces.shift()) {
    if (piece.kind === 'text') {
      if (piece.text !== '') nodes.push(piece);
      continue;
    }
    const [first, ...rest] = piece.tokens;
    if (!first) throw new TemplateError('missing value for command');
    if (first.kind === 'word' && (first.text === 'end' || first.text === 'else')) {
      return { nodes, end: { word: first.text, rest } };
    }
    nodes.push(parseAction(first, rest, piece.tokens, pieces));
  }
  if (inside) throw new TemplateError('unexpected EOF');
  return { nodes };
}

function parseAction(first: Token, rest: readonly Token[], tokens: readonly Token[], pieces: Piece[]): Node {
  const word = first.kind === 'word' ? first.text : '';
  if (word === 'if' || word === 'with' || word === 'range') return parseBlock(word, rest, pieces);
  if ((word === 'break' || word === 'continue') && rest.length === 0) return { kind: word };
  if (REFUSED.has(word)) throw new TemplateError(`{{${word}}} is not supported`, 'write its text where it is needed');
  return { kind: 'print', pipe: parsePipe([...tokens]) };
}

function parseBlock(kind: Block['kind'], tokens: readonly Token[], pieces: Piece[]): Block {
  if (tokens.length === 0) throw new TemplateError(`missing value for ${kind}`);
  const pipe = parsePipe([...tokens], kind === 'range');
  const { nodes: then, end } = parseList(pieces, true);
  if (end?.word !== 'else') return { kind, pipe, then, otherwise: [] };
  const [chained, ...more] = end.rest;
  // {{else if X}} is an if of its own, which shares the end.
  if (chained) {
    const inner =
      chained.kind === 'word' && (chained.text === 'if' || chained.text === 'with') ? chained.text : undefined;
    if (!inner) throw new TemplateError(`unexpected ${JSON.stringify(chained.text)} in else`);
    return { kind, pipe, then, otherwise: [parseBlock(inner, more, pieces)] };
  }
  const { nodes: otherwise, end: last } = parseList(pieces, true);
  if (last?.word !== 'end') throw new TemplateError('expected end; found {{else}}');
  return { kind, pipe, then, otherwise };
}

function parsePipe(tokens: Token[], range = false): Pipe {
  const { variables, declares } = takeVariables(tokens, range);
  const commands: (readonly Operand[])[] = [];
  do commands.push(parseCommand(tokens));
  while (tokens[0]?.text === '|' && tokens.shift());
  if (tokens[0] && tokens[0].text !== ')')
    throw new TemplateError(`unexpected ${JSON.stringify(tokens[0].text)} in operand`);
  return { variables, declares, commands };
}

function takeVariables(
  tokens: Token[],
  range: boolean,
): { readonly variables: readonly string[]; readonly declares: boolean } {
  const at = tokens.findIndex(({ kind, text }) => kind === 'symbol' && (text === ':=' || text === '='));
  if (at < 0) return { variables: [], declares: false };
  const names = tokens.slice(0, at).filter(({ text }) => text !== ',');
  if (names.some(({ kind }) => kind !== 'variable') || names.length > (range ? 2 : 1) || names.length === 0) {
    throw new TemplateError('unexpected assignment in command');
  }
  const declares = tokens[at]?.text === ':=';
  tokens.splice(0, at + 1);
  return { variables: names.map(({ text }) => text), declares };
}

function parseCommand(tokens: Token[]): readonly Operand[] {
  const operands: Operand[] = [];
  while (tokens[0] && tokens[0].text !== '|' && tokens[0].text !== ')') operands.push(parseOperand(tokens));
  if (operands.length === 0) throw new TemplateError('missing value for command');
  return operands;
}

function parseOperand(tokens: Token[]): Operand {
  const token = tokens.shift();
  if (!token) throw new TemplateError('missing value for command');
  const { kind, text, value } = token;
  if (kind === 'field') return { kind: 'dot', fields: fieldsOf(text), text };
  if (kind === 'variable') {
    const [name = '', ...fields] = text.split('.');
    return { kind: 'variable', name, fields, text };
  }
  if (value !== undefined) return { kind: 'constant', value };
  if (text === '(') return parseParentheses(tokens);
  if (kind !== 'word') throw new TemplateError(`unexpected ${JSON.stringify(text)} in operand`);
  if (text === 'true' || text === 'false') return { kind: 'constant', value: text === 'true' };
  return text === 'nil' ? { kind: 'constant', value: null } : { kind: 'function', name: text };
}

function parseParentheses(tokens: Token[]): Operand {
  const pipe = parsePipe(tokens);
  if (tokens.shift()?.text !== ')') throw new TemplateError('unclosed left paren');
  const next = tokens[0];
  const chained = next?.kind === 'field' && !next.spaced && next.text !== '.';
  if (chained) tokens.shift();
  return { kind: 'pipe', pipe, fields: chained ? fieldsOf(next.text) : [], text: chained ? next.text : '' };
}

function fieldsOf(text: string): readonly string[] {
  return text.split('.').filter(Boolean);
}
