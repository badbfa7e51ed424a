import type {
  AddInstruction,
  CopyInstruction,
  Instruction,
  RunInstruction,
  WorkdirInstruction,
} from '../dockerfile/index.ts';
import { applyArg } from './arg.ts';
import { locationOf, stateOf, type Conversion } from './conversion.ts';
import { copyOp, type CopyPlace } from './copy.ts';
import { summarize } from './name.ts';
import { workdirAfter } from './path.ts';
import { copySource } from './reference.ts';
import { execOp, runHistory } from './run.ts';
import { applySetting } from './settings.ts';
import { remember, type StageState } from './state.ts';
import { addSource, addStep } from './step.ts';
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
  const op = execOp(state, run, conversion.proxyEnv);
  const [document] = run.files;
  const suffix = document && ` (${summarize(document.data)})`;
  return addStep(conversion, state, op, { place: run, createdBy: runHistory(state, op), suffix });
}

function applyCopy(conversion: Conversion, state: StageState, copy: CopyInstruction): StageState {
  const location = locationOf(conversion, copy);
  const { from } = copy;
  if (from === undefined) return addCopy(conversion, state, copy, { from: 'context', location });
  const stage = copySource(conversion.source, state.stage, { ...copy, from });
  if (stage) {
    return addCopy(conversion, state, copy, { from: 1, location }, stateOf(conversion, stage.index).vertex);
  }
  const source = state.sources.get(from);
  if (!source) throw new Error(`COPY --from=${from} was not resolved`);
  if (source.type === 'files') {
    return addCopy(conversion, state, copy, { from: { type: 'named', name: source.name }, location });
  }
  return addCopy(conversion, state, copy, { from: 1, location }, addSource(conversion, state, copy, source));
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
