import type { AstNode } from '../ast.ts';
import { SyntaxMistake } from '../errors.ts';
import type { Stage } from '../instruction.ts';
import { docOf } from './doc.ts';
import { readFlags } from './flags.ts';
import { placeOf } from './request.ts';

const STAGE_NAME = /^[a-z][a-z0-9-_.]*$/;

/** FROM; the name is lower-cased. */
export function readFrom(node: AstNode, index: number): Stage {
  const flags = readFlags(node.flags, { platform: 'string' });
  const [base, as, writtenName = ''] = node.args;
  const isPlain = node.args.length === 1;
  const isNamed = node.args.length === 3 && as?.toLowerCase() === 'as';
  if (base === undefined || !(isPlain || isNamed)) {
    throw new SyntaxMistake(
      'argument-count',
      'FROM takes an image, or an image, AS and a name',
      as?.startsWith('#') ? 'Put the comment on a line of its own' : 'Write FROM image AS name',
    );
  }
  const name = writtenName.toLowerCase();
  if (isNamed && !STAGE_NAME.test(name)) throw badName(writtenName);
  const platform = flags.text('platform') || undefined;
  return {
    ...placeOf(node),
    index,
    name,
    base,
    platform,
    doc: docOf(node.comments, name),
    instructions: [],
  };
}

function badName(name: string): SyntaxMistake {
  const hint = 'A name starts with a letter and holds letters, digits, "-", "_" and "."';
  return new SyntaxMistake('stage-name', `"${name}" cannot name a stage`, hint);
}
