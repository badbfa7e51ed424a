import type {
  AddInstruction,
  CopyInstruction,
  Instruction,
  RunInstruction,
  WorkdirInstruction,
} from '../dockerfile/index.ts';
import { applyArg } from './arg.ts';
import { locationOf, type Conversion } from './conversion.ts';
import { copyOp, type CopyPlace } from './copy.ts';
import { fromSource } from './from-source.ts';
import { mountsOf } from './mount.ts';
import { summarize } from './name.ts';
import { workdirAfter } from './path.ts';
import { execOp, runHistory } from './run.ts';
import { applySetting } from './settings.ts';
import { remember, type StageState } from './state.ts';
import { addStep } from './step.ts';
import type { VertexId } from './types.ts';

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
    case 'add':
      return addCopy(conversion, state, instruction, {
        from: 'context',
        location: locationOf(conversion, instruction),
      });
    default:
      return applySetting(conversion, state, instruction);
  }
}

function applyRun(conversion: Conversion, state: StageState, run: RunInstruction): StageState {
  const { mounts, inputs } = mountsOf(conversion, state, run);
  const op = execOp(conversion, state, run, mounts);
  const [document] = run.files;
  const suffix = document && ` (${summarize(document.data)})`;
  return addStep(conversion, state, op, { place: run, createdBy: runHistory(state, op), suffix, inputs });
}

function applyCopy(conversion: Conversion, state: StageState, copy: CopyInstruction): StageState {
  const location = locationOf(conversion, copy);
  const { from } = copy;
  if (from === undefined) return addCopy(conversion, state, copy, { from: 'context', location });
  const found = fromSource(conversion, state, { ...copy, from });
  if (found.type === 'named') return addCopy(conversion, state, copy, { from: found, location });
  return addCopy(conversion, state, copy, { from: 1, location }, found.vertex);
}

function addCopy(
  conversion: Conversion,
  state: StageState,
  copy: CopyInstruction | AddInstruction,
  place: CopyPlace,
  input?: VertexId,
): StageState {
  const { op, createdBy } = copyOp(conversion, state, copy, place);
  return addStep(conversion, state, op, { place: copy, createdBy, inputs: input === undefined ? [] : [input] });
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
