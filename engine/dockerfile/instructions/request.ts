import type { AstNode } from '../ast.ts';
import { SyntaxMistake } from '../errors.ts';
import type { CommandLine, Place } from '../instruction.ts';
import { usageOf } from './usage.ts';

/** Where a node stands, for the typed instruction. */
export function placeOf(node: AstNode): Place {
  return { startLine: node.startLine, endLine: node.endLine, original: node.original.trim() };
}

/** The only argument of an instruction that takes one. */
export function onlyArgument(node: AstNode): string {
  const [argument, ...more] = node.args;
  if (argument !== undefined && more.length === 0) return argument;
  throw new SyntaxMistake(
    'argument-count',
    `${node.value.toUpperCase()} takes exactly one argument`,
    usageOf(node.value),
  );
}

/** Refuses an instruction without arguments. */
export function requireArguments(node: AstNode, count = 1): void {
  if (node.args.length >= count) return;
  const wanted = count === 1 ? 'at least one argument' : 'at least two arguments: sources and a destination';
  throw new SyntaxMistake('argument-count', `${node.value.toUpperCase()} takes ${wanted}`, usageOf(node.value));
}

/** The arguments as a command: the exec form keeps the list, the shell form is one text. */
export function commandLine(node: Pick<AstNode, 'args' | 'json'>): CommandLine {
  if (node.json) return { command: node.args, shellForm: false };
  return { command: node.args.length > 0 ? [node.args.join(' ')] : [], shellForm: true };
}
