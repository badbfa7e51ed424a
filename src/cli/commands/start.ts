import { attach, outputOf } from '../attach.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { orNothing, single, toggle } from '../flags.ts';
import { OperandsError } from '../usage-error.ts';
import { DEFAULT_DETACH_KEYS, type DetachKeys, parseDetachKeys } from '../values/detach-keys.ts';
import { each } from './each.ts';

/** `berth start`. */
export const start = defineCommand({
  name: 'start',
  docs: 'Start containers that were created or have ended',
  operands: 'CONTAINER [CONTAINER...]',
  flags: {
    attach: toggle('-a, --attach', 'join its output, hand signals on, and end with its exit code'),
    detachKeys: orNothing(single('--detach-keys KEYS', 'keys that leave the container to itself', parseDetachKeys)),
    interactive: toggle('-i, --interactive', 'join its standard input'),
  },
  refused: ['checkpoint', 'checkpoint-dir'],
  readFirst: ['attach', 'interactive'],
  run: async (context, values, names) => {
    if (values.attach || values.interactive) {
      if (names.length > 1) throw new OperandsError('you cannot start and attach multiple containers at once');
      return await startAttached(context, names[0] ?? '', values);
    }
    const { containers } = await context.engine();
    return await each(context, names, async (name) => {
      await containers.start(name, { signal: context.signal });
      return name;
    });
  },
});

async function startAttached(
  context: Context,
  name: string,
  values: { readonly interactive: boolean; readonly detachKeys: DetachKeys | undefined },
): Promise<number> {
  const { containers } = await context.engine();
  const summary = await containers.resolve(name);
  const options = { ...outputOf(context), signal: context.signal };
  const handle =
    (await containers.start(name, { ...options, attach: true })) ?? (await containers.attach(name, options));
  return await attach(context, handle, {
    interactive: values.interactive && summary.interactive,
    tty: summary.tty && context.stdin.isTTY,
    proxy: !summary.tty,
    detachKeys: values.detachKeys ?? DEFAULT_DETACH_KEYS,
  });
}
