import type { Ast, AstNode } from './ast.ts';
import { locate, SyntaxMistake } from './errors.ts';
import type { ArgInstruction, Instruction, Stage, Stages } from './instruction.ts';
import { readFrom } from './instructions/from.ts';
import { readInstruction } from './instructions/index.ts';
import { lintDescription, lintFile, lintFrom } from './lint/file.ts';

/**
 * Types the instructions of a file and sorts them into stages. Variables stay as they are written. What the checks find goes to the
 * findings of the file.
 *
 * @throws DockerfileError `DOCKERFILE_INVALID` with the line; its cause says the kind of mistake
 */
export function parseStages(ast: Ast): Stages {
  const globalArgs: ArgInstruction[] = [];
  const stages: OpenStage[] = [];
  for (const [at, node] of ast.instructions.entries()) {
    locate(ast, node, () => {
      if (node.value.toLowerCase() === 'from') stages.push(openStage(ast, node, stages.length));
      else place(readLinted(ast, node, ast.instructions[at - 1]), globalArgs, stages.at(-1));
    });
  }
  lintFile(ast.instructions, stages, ast.findings);
  return { ast, globalArgs, stages };
}

interface OpenStage extends Stage {
  readonly instructions: Instruction[];
}

function openStage({ findings }: Ast, node: AstNode, index: number): OpenStage {
  const stage = readFrom(node, index);
  lintFrom(node, stage, findings);
  return { ...stage, instructions: [] };
}

function readLinted({ findings }: Ast, node: AstNode, before: AstNode | undefined): Instruction {
  if (node.value.toLowerCase() === 'maintainer') findings.report('MaintainerDeprecated', node);
  const instruction = readInstruction(node, before);
  if (instruction.kind === 'arg') {
    lintDescription(
      node,
      'ARG',
      instruction.args.map(({ key }) => key),
      findings,
    );
  }
  return instruction;
}

function place(instruction: Instruction, globalArgs: ArgInstruction[], current: OpenStage | undefined): void {
  if (current) current.instructions.push(instruction);
  else if (instruction.kind === 'arg') globalArgs.push(instruction);
  else throw noStage(instruction);
}

function noStage({ kind }: Instruction): SyntaxMistake {
  const message = `${kind.toUpperCase()} stands before the first FROM, there is no build stage yet`;
  return new SyntaxMistake('no-stage', message, 'Add a line such as FROM python:3.11-slim above it');
}
