import type { AstNode, Escape } from './ast.ts';
import { READERS } from './arguments.ts';
import { SyntaxMistake } from './errors.ts';
import { takeFlags } from './flags.ts';
import { trimSpace } from '../base/space.ts';
import { cutAtGap } from './gaps.ts';

/** More instructions in each other are refused here, before they can be an attack on the stack: two are refused later anyway. */
const MAX_DEPTH = 100;

/**
 * One joined line as a node; an unknown instruction keeps its word and one empty argument.
 *
 * @throws SyntaxMistake
 */
export function nodeFromLine(line: string, escape: Escape, depth = 0): AstNode {
  if (depth > MAX_DEPTH) throw new SyntaxMistake('onbuild-forbidden', 'ONBUILD is not allowed in ONBUILD');
  const trimmed = trimSpace(line);
  const [value, argument] = cutAtGap(trimmed) ?? [trimmed, ''];
  const { flags, rest: untrimmed } = takeFlags(argument);
  const rest = trimSpace(untrimmed);
  const node = { value, original: line, startLine: 0, endLine: 0, flags, heredocs: [], comments: [] };
  const word = value.toLowerCase();
  if (word === 'onbuild') {
    return { ...node, json: false, args: [], nested: rest === '' ? undefined : nodeFromLine(rest, escape, depth + 1) };
  }
  const reader = Object.hasOwn(READERS, word) ? READERS[word] : undefined;
  return { ...node, ...(reader ? reader(rest, { word, escape }) : { args: [''], json: false }) };
}
