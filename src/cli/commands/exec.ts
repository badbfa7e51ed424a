import { isEngineError, type ExecSpec } from '../../../engine/index.ts';
import { attach, outputOf, sizeOf } from '../attach.ts';
import { defineCommand } from '../command.ts';
import { list, orNothing, single, text, toggle, type Values } from '../flags.ts';
import { OperandsError } from '../usage-error.ts';
import { DEFAULT_DETACH_KEYS, parseDetachKeys } from '../values/detach-keys.ts';
import { parseEnv, readEnvFile } from '../values/environment.ts';
import { each } from './each.ts';

/** Flags of `exec`. */
export const EXEC_FLAGS = {
  detach: toggle('-d, --detach', 'run the command in the background'),
  detachKeys: orNothing(single('--detach-keys KEYS', 'keys that leave the command to itself', parseDetachKeys)),
  env: list('-e, --env NAME[=VALUE]', 'set an environment variable', (word, { lookup }) => parseEnv(word, lookup)),
  envFile: list('--env-file FILE', 'read environment variables from a file', (word, { lookup }) =>
    readEnvFile(word, '--env-file', lookup),
  ),
  interactive: toggle('-i, --interactive', 'keep standard input open'),
  privileged: toggle('--privileged', 'give the command all capabilities'),
  tty: toggle('-t, --tty', 'allocate a terminal'),
  user: text('-u, --user USER[:GROUP]', 'user name or id to run as'),
  workdir: text('-w, --workdir PATH', 'working directory in the container'),
} as const;

/** Docker's code of a process that its runtime refused to start. Who does not wait for it gets 1, as with any other error. */
const NOT_STARTED = 128;

/** What the engine is asked for; a terminal is another's to give. */
export function toExecSpec(values: Values<typeof EXEC_FLAGS>, command: readonly string[]): ExecSpec {
  return {
    command,
    env: [...values.envFile.flat(), ...values.env],
    workdir: values.workdir,
    user: values.user,
    detach: values.detach,
    interactive: values.interactive,
    privileged: values.privileged,
  };
}

/** `berth exec`: a further process in a running container. */
export const exec = defineCommand({
  name: 'exec',
  docs: 'Execute a command in a running container',
  operands: 'CONTAINER COMMAND [ARG...]',
  flags: EXEC_FLAGS,
  passThrough: true,
  readFirst: ['detach', 'env', 'interactive', 'privileged', 'tty', 'user', 'workdir'],
  run: async (context, values, [container = '', ...command]) => {
    const tty = values.tty && !values.detach;
    if (tty && values.interactive && !context.stdin.isTTY) {
      throw new OperandsError('Cannot attach a terminal: the input device is not a TTY', 'leave out -t');
    }
    const engine = await context.engine();
    const spec = { ...toExecSpec(values, command), ...(tty ? { tty: sizeOf(context.stdout.columns) } : {}) };
    if (values.detach) {
      // Nobody waits for the command: that it could not be started is an error like any other.
      return await each(context, [container], async (name) => {
        await engine.containers.exec(name, spec, { signal: context.signal });
        return undefined;
      });
    }
    const handle = await engine.containers
      .exec(container, spec, { ...outputOf(context), signal: context.signal })
      .catch((error: unknown) => {
        if (isEngineError(error, 'WORKDIR_NOT_ABSOLUTE')) context.fail(NOT_STARTED);
        throw error;
      });
    return await attach(context, handle, {
      interactive: values.interactive,
      tty,
      proxy: !tty,
      detachKeys: values.detachKeys ?? DEFAULT_DETACH_KEYS,
    });
  },
});
