import { EngineError } from '../../base/errors.ts';
import type { ActOptions } from '../../base/progress.ts';
import { asJsonList } from '../../base/single-quotes.ts';
import type { ExecOp, Vertex } from '../../graph/types.ts';
import type { Digest } from '../../image/types.ts';
import type { Ended } from '../../native/protocol.ts';
import type { ExecutorParts } from '../executor.ts';
import { withLent } from './lend.ts';
import { createLogTail } from '../log-tail.ts';
import { StepError } from '../step-error.ts';

/** A RUN to be done. */
export interface ExecStep {
  readonly vertex: Vertex;
  readonly op: ExecOp;
  readonly base: readonly Digest[];
  /** Layers of what it mounts, by input index. */
  readonly inputs: ReadonlyMap<number, readonly Digest[]>;
  readonly upper: string;
  readonly lowers: readonly string[];
}

/** Runs the process of a RUN over its upper, its output as log events. @throws {@link StepError}; `COMMAND_NOT_FOUND` */
export async function runExec(
  { snapshots, specOf, keepState, lender }: Pick<ExecutorParts, 'snapshots' | 'specOf' | 'keepState' | 'lender'>,
  step: ExecStep,
  { signal, onEvent }: ActOptions,
): Promise<void> {
  const { vertex, op, upper, lowers } = step;
  const tail = createLogTail();
  const log = (stream: 1 | 2) => (data: Uint8Array) => {
    tail.add(data);
    onEvent?.({ type: 'log', vertex: vertex.id, stream, data });
  };
  const onNote = (line: string): void => log(2)(Buffer.from(`${line}\n`));
  const spec = await specOf(op, lowers, { signal, onNote });
  const outcome = await withLent({ snapshots, lender }, step, { signal, onEvent }, ({ mounts, secretEnv, secrets }) =>
    ending(op, () =>
      snapshots.helper.call(
        'start',
        {
          ...spec,
          rootfs: { lowers: [...lowers], upper },
          ...(mounts.length > 0 ? { mounts } : {}),
          ...(secretEnv.length > 0 ? { secretEnv } : {}),
        },
        {
          signal,
          secrets,
          onData: log(1),
          onErrorData: log(2),
          onEvent: (event) => {
            if (event.type === 'warning') onEvent?.({ type: 'warning', vertex: vertex.id, message: event.message });
          },
        },
      ),
    ),
  );
  if (outcome.exitCode === 0) return;
  const stateImage = await keepState(vertex, op, step.base);
  throw stepError(step, outcome, tail.lines(), stateImage);
}

/** How it ended, or the refusal to start it at all, with the exit code that Docker gives it. */
type Ending = {
  readonly exitCode: number;
  readonly state: string;
  readonly hint?: string | undefined;
  /** Nobody can look around in the state before the step. */
  readonly isShellLess?: boolean;
  readonly cause?: unknown;
};

async function ending(op: ExecOp, start: () => Promise<Ended>): Promise<Ending> {
  try {
    const ended = await start();
    const exitCode = ended.exitCode ?? 255;
    return { exitCode, state: stateOf(ended), hint: exitCode === 127 ? quotingHint(op) : undefined };
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    const exitCode = NOT_STARTED[error.code];
    if (exitCode === undefined) throw error;
    return exitCode === 127 && isForShell(op)
      ? { exitCode, ...withoutShell(op), cause: error }
      : { exitCode, state: error.message, hint: error.hint, cause: error };
  }
}

const NOT_STARTED: Readonly<Record<string, number>> = {
  NATIVE_COMMAND_NOT_FOUND: 127,
  NATIVE_COMMAND_NOT_EXECUTABLE: 126,
};

function isForShell({ args }: ExecOp): boolean {
  return args.at(-2) === '-c';
}

/** A file that is there and whose loader is missing cannot be told from one that is not. */
function withoutShell({ args }: ExecOp): Pick<Ending, 'state' | 'hint' | 'isShellLess'> {
  return {
    state: `the stage has no ${args[0]} that could run the command`,
    hint: 'Write it without a shell, RUN ["/program", "argument"], or begin FROM an image that has a shell',
    isShellLess: true,
  };
}

function quotingHint({ args }: ExecOp): string | undefined {
  const list = args.at(-2) === '-c' ? asJsonList(args.at(-1) ?? '') : undefined;
  return list && `Single quotes are no JSON, so a shell has read this: write RUN ${list}`;
}

function stateOf({ exitCode, signal, oomKilled }: Ended): string {
  if (oomKilled) return 'it was killed because memory ran out';
  if (signal !== null) return `it was ended by ${signal}`;
  return `its exit code is ${exitCode}`;
}

function stepError(
  { vertex }: ExecStep,
  { exitCode, state, hint, isShellLess = false, cause }: Ending,
  log: readonly string[],
  stateImage: string | undefined,
): StepError {
  const line = vertex.location ? ` (${vertex.location.file} line ${vertex.location.startLine})` : '';
  const open = stateImage && !isShellLess && `The state before this step is kept: berth run -it --rm ${stateImage} sh`;
  return new StepError(
    `Cannot build ${vertex.name}${line}: ${state}`,
    { exitCode, log, stateImage },
    { hint: [hint, open].filter(Boolean).join('. ') || undefined, cause, location: vertex.location, vertex: vertex.id },
  );
}
