import type { CopyInstruction, Instruction, RunInstruction, WorkdirInstruction } from '../dockerfile/index.ts';
import { applyArg } from './arg.ts';
import { locationOf, stateOf, type Conversion } from './conversion.ts';
import { copyOp } from './copy.ts';
import { summarize } from './name.ts';
import { workdirAfter } from './path.ts';
import { copySource } from './reference.ts';
import { execOp, runHistory } from './run.ts';
import { applySetting } from './settings.ts';
import { remember, type StageState } from './state.ts';
import { addStep } from './step.ts';

/**
 * The state of a stage after one more instruction.
 *
 * @throws SyntaxMistake, DockerfileError
 */
export function applyInstruction(conversion: Conversion, state: StageState, instruction: Instruction): StageState {
  switch (instruction.kind) {
    case 'arg':
      return applyArg(conversion, state, instruction);
    case 'workdir':
      return applyWorkdir(conversion, state, instruction);
    case 'run':
      return applyRun(conversion, state, instruction);
    case 'copy':
      return applyCopy(conversion, state, instruction);
    case 'add': {
      const { op, createdBy } = copyOp(conversion, state, instruction, {
        from: 'context',
        location: locationOf(conversion, instruction),
      });
      return addStep(conversion, state, op, { place: instruction, createdBy });
    }
    default:
      return applySetting(conversion, state, instruction);
  }
}

function applyRun(conversion: Conversion, state: StageState, run: RunInstruction): StageState {
  const op = execOp(state, run, conversion.proxyEnv);
  const [document] = run.files;
  const suffix = document && ` (${summarize(document.data)})`;
  return addStep(conversion, state, op, { place: run, createdBy: runHistory(state, op), suffix });
}

function applyCopy(conversion: Conversion, state: StageState, copy: CopyInstruction): StageState {
  const { from } = copy;
  const stage = from === undefined ? undefined : copySource(conversion.source, state.stage, { ...copy, from });
  const place = { from: stage ? 1 : 'context', location: locationOf(conversion, copy) } as const;
  const { op, createdBy } = copyOp(conversion, state, copy, place);
  const inputs = stage ? [stateOf(conversion, stage.index).vertex] : [];
  return addStep(conversion, state, op, { place: copy, createdBy, inputs });
}

/** WORKDIR makes its directory, as a layer of its own even when it exists; `/` is always there. */
function applyWorkdir(conversion: Conversion, state: StageState, instruction: WorkdirInstruction): StageState {
  const path = workdirAfter(state.workdir, conversion.expand(state, instruction.path));
  const moved = { ...state, workdir: path, isAnchored: true, config: { ...state.config, WorkingDir: path } };
  const createdBy = `WORKDIR ${path}`;
  if (path === '/') return remember(moved, createdBy);
  const mkdir = { action: 'mkdir', path, mode: 0o755, owner: state.config.User ?? '' } as const;
  return addStep(conversion, moved, { type: 'file', actions: [mkdir] }, { place: instruction, createdBy });
}
