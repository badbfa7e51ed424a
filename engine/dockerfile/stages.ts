import type { Ast, AstNode, DockerfileWarning } from './ast.ts';
import { locate, SyntaxMistake } from './errors.ts';
import type { ArgInstruction, Instruction, Stage, Stages } from './instruction.ts';
import { readFrom } from './instructions/from.ts';
import { readInstruction } from './instructions/index.ts';

/**
 * Types the instructions of a file and sorts them into stages. Variables stay as they are written.
 *
 * @throws DockerfileError `DOCKERFILE_INVALID` with the line; its cause says the kind of mistake
 */
export function parseStages(ast: Ast): Stages {
  const globalArgs: ArgInstruction[] = [];
  const stages: OpenStage[] = [];
  const warnings: DockerfileWarning[] = [...ast.warnings];
  for (const node of ast.instructions) {
    locate(ast, node, () => {
      if (node.value.toLowerCase() === 'from') stages.push(openStage(node, stages, warnings));
      else place(readInstruction(node), { globalArgs, current: stages.at(-1), warnings });
    });
  }
  return { ast, globalArgs, stages, warnings };
}

interface OpenStage extends Stage {
  readonly instructions: Instruction[];
}

function openStage(node: AstNode, stages: readonly Stage[], warnings: DockerfileWarning[]): OpenStage {
  const { stage, writtenName } = readFrom(node, stages.length);
  const { startLine, endLine } = stage;
  if (writtenName !== stage.name) {
    const message = `Stage name '${writtenName}' should be lowercase`;
    warnings.push({ rule: 'StageNameCasing', message, startLine, endLine });
  }
  return { ...stage, instructions: [] };
}

interface Places {
  readonly globalArgs: ArgInstruction[];
  readonly current: OpenStage | undefined;
  readonly warnings: DockerfileWarning[];
}

function place(instruction: Instruction, { globalArgs, current, warnings }: Places): void {
  if (instruction.kind === 'maintainer') warnings.push(deprecated(instruction));
  if (current) current.instructions.push(instruction);
  else if (instruction.kind === 'arg') globalArgs.push(instruction);
  else throw noStage(instruction);
}

function deprecated({ startLine, endLine }: Instruction): DockerfileWarning {
  const message = 'Maintainer instruction is deprecated in favor of using label';
  return { rule: 'MaintainerDeprecated', message, startLine, endLine };
}

function noStage({ kind }: Instruction): SyntaxMistake {
  const message = `${kind.toUpperCase()} stands before the first FROM, there is no build stage yet`;
  return new SyntaxMistake('no-stage', message, 'Add a line such as FROM python:3.11-slim above it');
}
