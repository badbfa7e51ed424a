import type { AstNode } from '../ast.ts';
import { SyntaxMistake } from '../errors.ts';
import type { OnbuildInstruction } from '../instruction.ts';
import { readFlags } from './flags.ts';
import { placeOf } from './request.ts';
import { usageOf } from './usage.ts';

const FORBIDDEN: readonly string[] = ['FROM', 'MAINTAINER', 'ONBUILD'];

/** ONBUILD: the trigger's text is kept for images built on this one; it is read when it fires. */
export function readOnbuild(node: AstNode): OnbuildInstruction {
  readFlags(node.flags, {});
  const trigger = node.nested;
  if (!trigger) throw new SyntaxMistake('argument-count', 'ONBUILD takes an instruction', usageOf('onbuild'));
  const word = trigger.value.toUpperCase();
  if (FORBIDDEN.includes(word)) {
    const hint = `Leave ${word} to the Dockerfile that begins with FROM this image`;
    throw new SyntaxMistake('onbuild-forbidden', `${word} is not allowed in ONBUILD`, hint);
  }
  const line = node.original.replace(/^\s*onbuild\s*/i, '').trim();
  const documents = node.heredocs.map(({ name, content }) => `\n${content}${name}`);
  return { ...placeOf(node), kind: 'onbuild', expression: line + documents.join(''), trigger };
}
