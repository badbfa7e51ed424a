import type { AstNode } from '../ast.ts';
import { SyntaxMistake } from '../errors.ts';
import type { Health, HealthcheckInstruction } from '../instruction.ts';
import { parseInterval } from './duration.ts';
import { readFlags, type FlagTypes, type FlagValues } from './flags.ts';
import { commandLine, placeOf, requireArguments } from './request.ts';

const FLAGS: FlagTypes = {
  interval: 'string',
  timeout: 'string',
  'start-period': 'string',
  'start-interval': 'string',
  retries: 'string',
};

/** HEALTHCHECK CMD … and HEALTHCHECK NONE. */
export function readHealthcheck(node: AstNode): HealthcheckInstruction {
  const flags = readFlags(node.flags, FLAGS);
  requireArguments(node);
  const [type = '', ...args] = node.args;
  return {
    ...placeOf(node),
    kind: 'healthcheck',
    health: readHealth(type.toUpperCase(), { args, json: node.json }, flags),
  };
}

function readHealth(type: string, rest: Pick<AstNode, 'args' | 'json'>, flags: FlagValues): Health {
  if (type === 'NONE') {
    if (rest.args.length > 0)
      throw new SyntaxMistake(
        'argument-count',
        'HEALTHCHECK NONE takes no arguments',
        'Write HEALTHCHECK NONE alone, or HEALTHCHECK CMD command',
      );
    return { test: ['NONE'] };
  }
  if (type !== 'CMD')
    throw new SyntaxMistake('bad-value', `HEALTHCHECK has no type "${type}"`, 'Write HEALTHCHECK CMD command');
  const { command, shellForm } = commandLine(rest);
  if (command.length === 0)
    throw new SyntaxMistake(
      'argument-count',
      'HEALTHCHECK CMD has no command',
      'Write HEALTHCHECK CMD curl -f http://localhost:8000/health',
    );
  const interval = (flag: string): number | undefined => parseInterval(flag, flags.text(flag)) || undefined;
  return {
    test: [shellForm ? 'CMD-SHELL' : 'CMD', ...command],
    interval: interval('interval'),
    timeout: interval('timeout'),
    startPeriod: interval('start-period'),
    startInterval: interval('start-interval'),
    retries: readRetries(flags.text('retries')),
  };
}

function readRetries(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  const retries = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (retries >= 0 && retries <= 2_147_483_647) return retries || undefined;
  throw new SyntaxMistake(
    'bad-value',
    `--retries takes a number that is not negative, not "${text}"`,
    'Write for example --retries=3',
  );
}
