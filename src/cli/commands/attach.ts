import { attach as join, outputOf, sizeOf } from '../attach.ts';
import { defineCommand } from '../command.ts';
import { orNothing, single, toggle } from '../flags.ts';
import { OperandsError } from '../usage-error.ts';
import { DEFAULT_DETACH_KEYS, parseDetachKeys } from '../values/detach-keys.ts';

/** `berth attach`. */
export const attach = defineCommand({
  name: 'attach',
  docs: 'Join the input, the output and the signals of a running container',
  operands: 'CONTAINER',
  flags: {
    detachKeys: orNothing(single('--detach-keys KEYS', 'keys that leave the container to itself', parseDetachKeys)),
    noStdin: toggle('--no-stdin', 'do not join standard input'),
    sigProxy: toggle('--sig-proxy', 'hand signals on to the process (default true)', true),
  },
  readFirst: ['noStdin', 'sigProxy'],
  run: async (context, values, [name = '']) => {
    const { containers } = await context.engine();
    const summary = await containers.resolve(name);
    const interactive = summary.interactive && !values.noStdin;
    if (summary.tty && interactive && !context.stdin.isTTY) {
      throw new OperandsError(
        'Cannot attach to a container with a terminal: the input device is not a TTY',
        'berth attach --no-stdin shows its output',
      );
    }
    const handle = await containers.attach(name, { ...outputOf(context), signal: context.signal });
    const tty = summary.tty && context.stdin.isTTY;
    if (tty) {
      const size = sizeOf(context.stdout.columns);
      await handle.resize(size.rows, size.columns);
    }
    return await join(context, handle, {
      interactive,
      tty,
      proxy: values.sigProxy && !summary.tty,
      detachKeys: values.detachKeys ?? DEFAULT_DETACH_KEYS,
    });
  },
});
