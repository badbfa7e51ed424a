import { existsSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { OnEvent, OutputOptions } from '../../../engine/index.ts';
import { attach, keepEarlySignals, outputOf, sizeOf } from '../attach.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { createRenderer } from '../progress/index.ts';
import { MissingPathError, OperandsError, UsageError } from '../usage-error.ts';
import { DEFAULT_DETACH_KEYS } from '../values/detach-keys.ts';
import { REFUSED_RUN_FLAGS, RUN_FLAGS, type StreamName, toRunSpec } from './run-flags.ts';

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
    const spec = { ...toRunSpec(values, image, command), detach: values.detach, attached: values.attach };
    const streams = streamsOf(values);
    const tty = values.tty && !values.detach;
    if (tty && streams.has('stdin') && !context.stdin.isTTY) {
      throw new OperandsError('Cannot attach a terminal: the input device is not a TTY', 'leave out -t');
    }
    checkCidfile(values.cidfile);
    const engine = await context.engine();
    const renderer = startRenderer(context, values.quiet);
    const proxy = values.sigProxy && !tty && !values.detach;
    const early = proxy ? keepEarlySignals(context) : undefined;
    const output = values.detach ? {} : only(early?.output ?? outputOf(context), streams);
    const handle = await engine.containers
      .run(
        {
          ...spec,
          interactive: values.interactive || streams.has('stdin'),
          ...(values.tty ? { tty: sizeOf(context.stdout.columns) } : {}),
        },
        {
          ...output,
          onEvent: renderer.onEvent,
          signal: context.signal,
          // As Docker: what cannot be started has been made all the same.
          onKept: (id) => {
            writeCidfile(values.cidfile, id);
            if (values.detach) context.stdout.write(`${id}\n`);
          },
        },
      )
      .finally(renderer.finish);
    writeCidfile(values.cidfile, handle.id);
    // Who sees nothing of it is told which one it is.
    if (values.detach || !(streams.has('stdout') || streams.has('stderr'))) context.stdout.write(`${handle.id}\n`);
    if (values.detach) return 0;
    return await attach(context, handle, {
      interactive: streams.has('stdin'),
      tty,
      proxy,
      early,
      detachKeys: values.detachKeys ?? DEFAULT_DETACH_KEYS,
    });
  },
});

/** What is joined: what `--attach` says, else the output, and the input with `-i`. @throws {UsageError} with `-d` */
function streamsOf({
  attach: asked,
  detach,
  interactive,
}: {
  readonly attach: readonly StreamName[];
  readonly detach: boolean;
  readonly interactive: boolean;
}): ReadonlySet<StreamName> {
  if (asked.length === 0) return new Set([...(interactive ? (['stdin'] as const) : []), 'stdout', 'stderr']);
  if (detach) throw new UsageError('conflicting options: cannot specify both --attach and --detach');
  return new Set(asked);
}

/** Output that nobody joined is the log's alone. */
function only(output: Required<OutputOptions>, streams: ReadonlySet<StreamName>): OutputOptions {
  return {
    ...(streams.has('stdout') ? { onStdout: output.onStdout } : {}),
    ...(streams.has('stderr') ? { onStderr: output.onStderr } : {}),
  };
}

/** @throws when the file is there, as an id of another container must not be lost, and when its folder is not */
export function checkCidfile(file: string | undefined): void {
  if (file !== undefined && existsSync(file)) {
    throw new UsageError(`Cannot write --cidfile ${file}: the file exists already`, `rm ${file}`);
  }
  if (file !== undefined && !existsSync(dirname(file))) {
    throw new MissingPathError(`Cannot write --cidfile ${file}: there is no such folder`, `mkdir -p ${dirname(file)}`);
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
