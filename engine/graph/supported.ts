import {
  DockerfileError,
  where,
  type Instruction,
  type RunInstruction,
  type Stage,
  type Stages,
} from '../dockerfile/index.ts';

/** What an instruction asks for and the engine cannot do yet. */
interface Gap {
  readonly what: string;
  readonly code: 'UNSUPPORTED_FLAG';
  readonly hint?: string | undefined;
}

/**
 * Refuses, by name and line, what the types know and the graph cannot say yet. Nothing is accepted and ignored.
 *
 * @throws DockerfileError `UNSUPPORTED_FLAG`
 */
export function refuseUnsupported(source: Stages, stage: Stage): void {
  for (const instruction of stage.instructions) {
    const [gap] = gapsOf(instruction);
    if (!gap) continue;
    const message = `Cannot build ${where(source.ast, instruction)}: ${gap.what} is not supported yet`;
    throw new DockerfileError(gap.code, message, source.ast, instruction, { hint: gap.hint });
  }
}

function gapsOf(instruction: Instruction): readonly Gap[] {
  switch (instruction.kind) {
    case 'run':
      return runGaps(instruction);
    default:
      return [];
  }
}

function runGaps(run: RunInstruction): readonly Gap[] {
  return [
    ...(run.devices.length > 0 ? [flag('RUN --device', 'Use the device when the container runs')] : []),
    ...(run.security === 'sandbox' ? [] : [flag(`RUN --security=${run.security}`, INSECURE)]),
  ];
}

const INSECURE =
  'Leave the flag out if the command needs no more rights than RUN has; else run it in a container: berth run --privileged';

function flag(what: string, hint?: string): Gap {
  return { what, code: 'UNSUPPORTED_FLAG', hint };
}
