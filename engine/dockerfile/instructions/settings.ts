import type { AstNode } from '../ast.ts';
import { SyntaxMistake } from '../errors.ts';
import type {
  CmdInstruction,
  EntrypointInstruction,
  ExposeInstruction,
  MaintainerInstruction,
  ShellInstruction,
  StopsignalInstruction,
  UserInstruction,
  VolumeInstruction,
  WorkdirInstruction,
} from '../instruction.ts';
import { trimSpace } from '../../base/space.ts';
import { readFlags } from './flags.ts';
import { commandLine, onlyArgument, placeOf, requireArguments } from './request.ts';
import { usageOf } from './usage.ts';

/** CMD. */
export function readCmd(node: AstNode): CmdInstruction {
  readFlags(node.flags, {});
  return { ...placeOf(node), kind: 'cmd', ...commandLine(node) };
}

/** ENTRYPOINT. */
export function readEntrypoint(node: AstNode): EntrypointInstruction {
  readFlags(node.flags, {});
  return { ...placeOf(node), kind: 'entrypoint', ...commandLine(node) };
}

/** EXPOSE; ports are checked when variables are known. */
export function readExpose(node: AstNode): ExposeInstruction {
  readFlags(node.flags, {});
  requireArguments(node);
  return { ...placeOf(node), kind: 'expose', ports: [...node.args].sort() };
}

/** MAINTAINER, which LABEL has replaced. */
export function readMaintainer(node: AstNode): MaintainerInstruction {
  readFlags(node.flags, {});
  return { ...placeOf(node), kind: 'maintainer', maintainer: onlyArgument(node) };
}

/** SHELL, in the JSON form only. */
export function readShell(node: AstNode): ShellInstruction {
  readFlags(node.flags, {});
  requireArguments(node);
  if (!node.json) {
    throw new SyntaxMistake('json-required', 'SHELL takes its arguments in the JSON form only', usageOf(node.value));
  }
  return { ...placeOf(node), kind: 'shell', shell: node.args };
}

/** STOPSIGNAL. */
export function readStopsignal(node: AstNode): StopsignalInstruction {
  readFlags(node.flags, {});
  return { ...placeOf(node), kind: 'stopsignal', signal: onlyArgument(node) };
}

/** USER. */
export function readUser(node: AstNode): UserInstruction {
  readFlags(node.flags, {});
  return { ...placeOf(node), kind: 'user', user: onlyArgument(node) };
}

/** VOLUME. */
export function readVolume(node: AstNode): VolumeInstruction {
  readFlags(node.flags, {});
  requireArguments(node);
  const volumes = node.args.map(trimSpace);
  if (volumes.includes('')) throw new SyntaxMistake('blank-name', 'VOLUME takes no empty path', usageOf(node.value));
  return { ...placeOf(node), kind: 'volume', volumes };
}

/** WORKDIR. */
export function readWorkdir(node: AstNode): WorkdirInstruction {
  readFlags(node.flags, {});
  return { ...placeOf(node), kind: 'workdir', path: onlyArgument(node) };
}
