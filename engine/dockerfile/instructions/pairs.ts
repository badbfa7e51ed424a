import type { AstNode } from '../ast.ts';
import { SyntaxMistake } from '../errors.ts';
import type { ArgInstruction, EnvInstruction, KeyValue, LabelInstruction } from '../instruction.ts';
import { docOf } from './doc.ts';
import { readFlags } from './flags.ts';
import { placeOf, requireArguments } from './request.ts';
import { usageOf } from './usage.ts';

/** ENV. */
export function readEnv(node: AstNode): EnvInstruction {
  readFlags(node.flags, {});
  return { ...placeOf(node), kind: 'env', env: keyValues(node) };
}

/** LABEL. */
export function readLabel(node: AstNode): LabelInstruction {
  readFlags(node.flags, {});
  return { ...placeOf(node), kind: 'label', labels: keyValues(node) };
}

/** ARG, with several names on a line. */
export function readArg(node: AstNode): ArgInstruction {
  readFlags(node.flags, {});
  requireArguments(node);
  const args = node.args.map((word) => {
    const equals = word.indexOf('=');
    const key = equals < 0 ? word : word.slice(0, equals);
    if (key === '') throw blankName(node);
    return { key, value: equals < 0 ? undefined : word.slice(equals + 1), doc: docOf(node.comments, key) };
  });
  return { ...placeOf(node), kind: 'arg', args };
}

function keyValues(node: AstNode): readonly KeyValue[] {
  requireArguments(node);
  if (node.args.length % 3 !== 0) {
    throw new SyntaxMistake(
      'argument-count',
      `${node.value.toUpperCase()} takes pairs of name and value`,
      usageOf(node.value),
    );
  }
  const pairs: KeyValue[] = [];
  for (let at = 0; at < node.args.length; at += 3) {
    const [key = '', value = '', delimiter = ''] = node.args.slice(at, at + 3);
    if (key === '') throw blankName(node);
    pairs.push({ key, value, noDelim: delimiter === '' });
  }
  return pairs;
}

function blankName(node: AstNode): SyntaxMistake {
  return new SyntaxMistake('blank-name', `${node.value.toUpperCase()} takes no empty name`, usageOf(node.value));
}
