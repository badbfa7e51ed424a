import { isEngineError, messageOf } from '../base/errors.ts';
import {
  DockerfileError,
  parse,
  readInstruction,
  SyntaxMistake,
  where,
  type AstNode,
  type Instruction,
  type Stage,
  type Stages,
} from '../dockerfile/index.ts';

/** What no trigger may be. */
const FORBIDDEN: readonly string[] = ['FROM', 'ONBUILD', 'MAINTAINER'];

/** The triggers that a stage leaves to one that is built on it. */
export function triggersOf({ instructions }: Stage): readonly string[] {
  return instructions.flatMap((instruction) => (instruction.kind === 'onbuild' ? [instruction.expression] : []));
}

/**
 * A stage with the ONBUILD triggers of its base in front of its own instructions; they stand where its FROM does.
 *
 * @param base what the triggers are of, for messages
 * @throws DockerfileError for a trigger that is no instruction, more than one, or one that is forbidden there
 */
export function withTriggers(source: Stages, stage: Stage, triggers: readonly string[], base: string): Stage {
  if (triggers.length === 0) return stage;
  const fired = triggers.map((trigger) => readTrigger(source, stage, trigger, base));
  return { ...stage, instructions: [...fired, ...stage.instructions] };
}

function readTrigger(source: Stages, stage: Stage, trigger: string, base: string): Instruction {
  try {
    const { startLine, endLine } = stage;
    return { ...readInstruction(onlyNode(trigger)), startLine, endLine };
  } catch (error) {
    if (!(error instanceof SyntaxMistake) && !isEngineError(error)) throw error;
    const state = error instanceof SyntaxMistake ? error.message : messageOf(error.cause ?? error);
    const shown = trigger.length > 80 ? `${trigger.slice(0, 80)}…` : trigger;
    const message = `Cannot build ${where(source.ast, stage)}: the ONBUILD trigger ${JSON.stringify(shown)} of ${base} is refused: ${state}`;
    throw new DockerfileError('DOCKERFILE_INVALID', message, source.ast, stage, { cause: error });
  }
}

function onlyNode(trigger: string): AstNode {
  const { instructions } = parse(trigger, { file: 'ONBUILD' });
  const [node] = instructions;
  if (!node || instructions.length > 1) throw new SyntaxMistake('syntax', 'it is not one instruction');
  const word = node.value.toUpperCase();
  if (FORBIDDEN.includes(word)) throw new SyntaxMistake('onbuild-forbidden', `${word} is not allowed in ONBUILD`);
  return node;
}
