import type { AstNode, Escape } from './ast.ts';
import { READERS } from './arguments.ts';
import { takeFlags } from './flags.ts';
import { trimSpace } from '../base/space.ts';
import { cutAtGap } from './gaps.ts';

/**
 * One joined line as a node; an unknown instruction keeps its word and one empty argument.
 *
 * @throws SyntaxMistake
 */
export function nodeFromLine(line: string, escape: Escape): AstNode {
  const trimmed = trimSpace(line);
  const [value, argument] = cutAtGap(trimmed) ?? [trimmed, ''];
  const { flags, rest: untrimmed } = takeFlags(argument);
  const rest = trimSpace(untrimmed);
  const node = { value, original: line, startLine: 0, endLine: 0, flags, heredocs: [], comments: [] };
  const word = value.toLowerCase();
  if (word === 'onbuild') {
    return { ...node, json: false, args: [], nested: rest === '' ? undefined : nodeFromLine(rest, escape) };
  }
  const reader = Object.hasOwn(READERS, word) ? READERS[word] : undefined;
  return { ...node, ...(reader ? reader(rest, { word, escape }) : { args: [''], json: false }) };
}
