import { isEngineError } from '../../../engine/index.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { choice, text } from '../flags.ts';
import { reportError } from '../report-error.ts';
import { renderTemplate } from '../template.ts';

const FLAGS = {
  format: text('-f, --format FORMAT', 'json, or a template such as {{.State.Status}}'),
  type: choice('--type TYPE', 'what the name stands for', ['container', 'image']),
};

/** `berth inspect`: a container, else an image. */
export const inspect = defineInspect('inspect', undefined);
/** `berth container inspect`. */
export const inspectContainer = defineInspect('inspect', 'container');
/** `berth image inspect`. */
export const inspectImage = defineInspect('inspect', 'image');

function defineInspect(name: string, kind: 'container' | 'image' | undefined): ReturnType<typeof defineCommand> {
  return defineCommand({
    name,
    docs: 'Show everything about containers or images',
    operands: 'NAME [NAME...]',
    flags: FLAGS,
    refused: ['s', 'size', 'platform'],
    run: async (context, { format, type }, names) => await inspectAll(context, names, { format, type: kind ?? type }),
  });
}

async function inspectAll(
  context: Context,
  names: readonly string[],
  { format, type }: { readonly format: string | undefined; readonly type: 'container' | 'image' | undefined },
): Promise<number> {
  const found: Record<string, unknown>[] = [];
  let exitCode = 0;
  for (const name of names) {
    try {
      found.push(await find(context, name, type));
    } catch (error) {
      if (!isEngineError(error)) throw error;
      reportError(error, context.stderr);
      exitCode = 1;
    }
  }
  if (format === undefined) context.stdout.write(`${JSON.stringify(found, null, 4)}\n`);
  else for (const object of found) context.stdout.write(`${renderTemplate(format, object)}\n`);
  return exitCode;
}

async function find(
  context: Context,
  name: string,
  type: 'container' | 'image' | undefined,
): Promise<Record<string, unknown>> {
  const engine = await context.engine();
  if (type === 'image') return await engine.images.inspect(name);
  try {
    return await engine.containers.inspect(name);
  } catch (error) {
    if (type === 'container' || !isEngineError(error, 'CONTAINER_NOT_FOUND')) throw error;
    return await engine.images.inspect(name);
  }
}
