import { suggest } from '../../base/suggest.ts';
import type { AstNode } from '../ast.ts';
import { SyntaxMistake } from '../errors.ts';
import { createExpander } from '../expand.ts';
import type { Device, MountFlag, RunInstruction } from '../instruction.ts';
import { csvFields } from './csv.ts';
import { readDevice } from './device.ts';
import { readFlags, type FlagTypes } from './flags.ts';
import { commandLine, placeOf } from './request.ts';

const FLAGS: FlagTypes = { device: 'list', mount: 'list', network: 'string', security: 'string' };

/** RUN, with its mounts as fields: they are typed when variables are known. */
export function readRun(node: AstNode): RunInstruction {
  const flags = readFlags(node.flags, FLAGS);
  const devices: readonly Device[] = flags.list('device').map(readDevice);
  return {
    ...placeOf(node),
    kind: 'run',
    ...commandLine(node),
    files: node.heredocs.map(({ name, content, chomp }) => ({ name, data: content, chomp })),
    mounts: flags.list('mount').map(readMountFlag),
    network: oneOf('network', flags.text('network') ?? 'default', ['default', 'none', 'host']),
    security: oneOf('security', flags.text('security') ?? 'sandbox', ['sandbox', 'insecure']),
    devices,
    flagsUsed: flags.used,
  };
}

function readMountFlag(raw: string): MountFlag {
  const fields = csvFields(raw, 'mount');
  for (const field of fields) if (/^from=/i.test(field)) refuseVariable(field.slice('from='.length));
  return { raw, fields };
}

/** `from` must be known before any variable is: it decides which stages are built. */
function refuseVariable(from: string): void {
  if (createExpander('\\').word(from, () => undefined) === from) return;
  const hint = 'Give the image a name with FROM … AS name, which takes variables, and use that name';
  throw new SyntaxMistake('variable-not-allowed', `--mount=from="${from}" takes no variables`, hint);
}

function oneOf<T extends string>(flag: string, value: string, values: readonly T[]): T {
  const found = values.find((candidate) => candidate === value);
  if (found !== undefined) return found;
  const hint = `Write --${flag}=${suggest(value, values) ?? values[0] ?? ''}`;
  throw new SyntaxMistake('bad-value', `--${flag} is one of ${values.join(', ')}, not "${value}"`, hint);
}
