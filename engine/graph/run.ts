import { chomp, parseHeredoc, type RunInstruction } from '../dockerfile/index.ts';
import { entriesOf } from './env.ts';
import { withShell } from './shell.ts';
import type { StageState } from './state.ts';
import type { ExecOp } from './types.ts';

/** RUN as operation: what BuildKit's ExecOp has of it (spec/engine.md 4a.3). */
export function execOp(state: StageState, run: RunInstruction, proxyEnv: readonly string[]): ExecOp {
  const command = withDocuments(run);
  return {
    type: 'exec',
    args: run.shellForm ? withShell(state.config, command) : command,
    env: entriesOf(state.env),
    cwd: state.workdir,
    user: state.config.User ?? '',
    proxyEnv,
  };
}

/** `RUN |1 A=b /bin/sh -c command # buildkit`: the line of a RUN in the history. */
export function runHistory(state: StageState, { args }: ExecOp): string {
  const values = new Map(state.args.map(({ key, value }) => [key, state.env.get(key) ?? value ?? '']));
  const shown = [...values].map(([key, value]) => `${key}=${value}`);
  return ['RUN', ...(shown.length > 0 ? [`|${shown.length}`, ...shown] : []), ...args, '# buildkit'].join(' ');
}

/**
 * The command with its here-documents. When it is nothing but one document the shell gets its text, so that shells without here-documents
 * work too; else the shell reads them itself.
 */
function withDocuments({ command, files }: RunInstruction): readonly string[] {
  const [line = ''] = command;
  const [first] = files;
  if (!first) return command;
  if (parseHeredoc(line)) return [first.chomp ? chomp(first.data) : first.data];
  return [line + files.map(({ name, data }) => `\n${data}${name}`).join('')];
}
