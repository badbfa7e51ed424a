import { existsSync, writeFileSync } from 'node:fs';
import type { OnEvent } from '../../../engine/index.ts';
import { attach, keepEarlySignals, outputOf, sizeOf } from '../attach.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { createRenderer } from '../progress/index.ts';
import { UsageError } from '../usage-error.ts';
import { DEFAULT_DETACH_KEYS } from '../values/detach-keys.ts';
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
    const spec = { ...toRunSpec(values, image, command), detach: values.detach };
    const tty = values.tty && !values.detach;
    if (tty && values.interactive && !context.stdin.isTTY) {
      throw new UsageError('Cannot attach a terminal: the input device is not a TTY', 'leave out -t');
    }
    checkCidfile(values.cidfile);
    const engine = await context.engine();
    const renderer = startRenderer(context, values.quiet);
    const proxy = values.sigProxy && !tty && !values.detach;
    const early = proxy ? keepEarlySignals(context) : undefined;
    const output = values.detach ? {} : (early?.output ?? outputOf(context));
    const handle = await engine.containers
      .run(
        { ...spec, ...(values.tty ? { tty: sizeOf(context.stdout.columns) } : {}) },
        { ...output, onEvent: renderer.onEvent, signal: context.signal },
      )
      .finally(renderer.finish);
    writeCidfile(values.cidfile, handle.id);
    if (values.detach) {
      context.stdout.write(`${handle.id}\n`);
      return 0;
    }
    return await attach(context, handle, {
      interactive: values.interactive,
      tty,
      proxy,
      early,
      detachKeys: values.detachKeys ?? DEFAULT_DETACH_KEYS,
    });
  },
});

/** @throws when the file is there: an id of another container must not be lost */
export function checkCidfile(file: string | undefined): void {
  if (file !== undefined && existsSync(file)) {
    throw new UsageError(`Cannot write --cidfile ${file}: the file exists already`, `rm ${file}`);
  }
}

/** Writes the id of a container where the caller wants it. */
export function writeCidfile(file: string | undefined, id: string): void {
  if (file !== undefined) writeFileSync(file, id, { flag: 'wx' });
}

/** Shows a pull and warnings, and nothing of a run that needs neither: the screen belongs to the container. */
export function startRenderer(
  context: Context,
  quiet: boolean,
): { readonly onEvent: OnEvent; readonly finish: () => void } {
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
