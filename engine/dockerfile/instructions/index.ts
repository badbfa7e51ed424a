import { suggest } from '../../base/suggest.ts';
import type { AstNode } from '../ast.ts';
import { SyntaxMistake } from '../errors.ts';
import type { Instruction, InstructionKind } from '../instruction.ts';
import { readAdd, readCopy } from './copy.ts';
import { readHealthcheck } from './healthcheck.ts';
import { readOnbuild } from './onbuild.ts';
import { readArg, readEnv, readLabel } from './pairs.ts';
import { readRun } from './run.ts';
import {
  readCmd,
  readEntrypoint,
  readExpose,
  readMaintainer,
  readShell,
  readStopsignal,
  readUser,
  readVolume,
  readWorkdir,
} from './settings.ts';

const READERS: Readonly<Record<InstructionKind, (node: AstNode) => Instruction>> = {
  add: readAdd,
  arg: readArg,
  cmd: readCmd,
  copy: readCopy,
  entrypoint: readEntrypoint,
  env: readEnv,
  expose: readExpose,
  healthcheck: readHealthcheck,
  label: readLabel,
  maintainer: readMaintainer,
  onbuild: readOnbuild,
  run: readRun,
  shell: readShell,
  stopsignal: readStopsignal,
  user: readUser,
  volume: readVolume,
  workdir: readWorkdir,
};

/**
 * A node as typed instruction; anything but FROM. `before` is what stands above it, for the hint when its line is no instruction.
 *
 * @throws SyntaxMistake
 */
export function readInstruction(node: AstNode, before?: AstNode): Instruction {
  const kind = node.value.toLowerCase();
  if (isKind(kind)) return READERS[kind](node);
  const near = suggest(node.value, [...Object.keys(READERS), 'from']);
  const goesOn =
    before && `If it belongs to ${before.value.toUpperCase()} above, end line ${before.endLine} with a backslash`;
  const hint = near === undefined ? goesOn : `Did you mean ${near.toUpperCase()}?`;
  const word = node.value.length > 60 ? `${node.value.slice(0, 60)}…` : node.value;
  throw new SyntaxMistake('unknown-instruction', `there is no instruction "${word}"`, hint);
}

function isKind(word: string): word is InstructionKind {
  return Object.hasOwn(READERS, word);
}
