import { existsSync, writeFileSync } from 'node:fs';
import type { OnEvent } from '../../../engine/index.ts';
import { attach, outputOf, sizeOf } from '../attach.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { createRenderer } from '../progress/index.ts';
import { UsageError } from '../usage-error.ts';
import { REFUSED_RUN_FLAGS, RUN_FLAGS, toRunSpec } from './run-flags.ts';

/** `berth run`: a container of an image, attached or detached. */
export const run = defineCommand({
  name: 'run',
  docs: 'Run a command in a new container',
  operands: 'IMAGE [COMMAND...]',
  flags: RUN_FLAGS,
  refused: REFUSED_RUN_FLAGS,
  passThrough: true,
  failure: 125,
  run: async (context, values, [image = '', ...command]) => {
    const spec = toRunSpec(values, image, command);
    const tty = values.tty && !values.detach;
    if (tty && values.interactive && !context.stdin.isTTY) {
      throw new UsageError('Cannot attach a terminal: the input device is not a TTY', 'leave out -t');
    }
    if (values.cidfile !== undefined && existsSync(values.cidfile)) {
      throw new UsageError(`Cannot write --cidfile ${values.cidfile}: the file exists already`, `rm ${values.cidfile}`);
    }
    const engine = await context.engine();
    const renderer = startRenderer(context, values.quiet);
    const handle = await engine.containers
      .run(
        { ...spec, ...(tty ? { tty: sizeOf(context.stdout.columns) } : {}) },
        { ...(values.detach ? {} : outputOf(context)), onEvent: renderer.onEvent, signal: context.signal },
      )
      .finally(renderer.finish);
    if (values.cidfile !== undefined) writeFileSync(values.cidfile, handle.id, { flag: 'wx' });
    if (values.detach) {
      context.stdout.write(`${handle.id}\n`);
      return 0;
    }
    return await attach(context, handle, { interactive: values.interactive, tty, proxy: values.sigProxy && !tty });
  },
});

/** Shows a pull and warnings, and nothing of a run that needs neither: the screen belongs to the container. */
function startRenderer(context: Context, quiet: boolean): { readonly onEvent: OnEvent; readonly finish: () => void } {
  let made: ReturnType<typeof createRenderer> | undefined;
  return {
    onEvent: (event) => {
      if (quiet && event.type !== 'warning') return;
      made ??= createRenderer('auto', context);
      made.onEvent(event);
    },
    finish: () => made?.finish(),
  };
}
