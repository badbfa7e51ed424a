import { EngineError, isEngineError, type Platform } from '../../../engine/index.ts';
import { type AnyCommand, defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { choice, single, text } from '../flags.ts';
import { printObjects } from '../print-objects.ts';
import { parsePlatform } from './transfer.ts';
import { inspectedVolume } from './volume.ts';

const TYPES = ['container', 'image', 'volume'] as const;
type Kind = (typeof TYPES)[number];

const FLAGS = {
  format: text('-f, --format FORMAT', 'json, or a template such as {{.State.Status}}'),
  platform: single('--platform PLATFORM', 'the image for one platform of several', parsePlatform),
  type: choice('--type TYPE', 'what the name stands for', TYPES),
};

/** `berth inspect`: a container, else an image, else a volume. */
export const inspect = defineInspect('inspect', undefined);
/** `berth container inspect`. */
export const inspectContainer = defineInspect('inspect', 'container');
/** `berth image inspect`. */
export const inspectImage = defineInspect('inspect', 'image');

function defineInspect(name: string, kind: Kind | undefined): AnyCommand {
  return defineCommand({
    name,
    docs: 'Show everything about containers, images or volumes',
    operands: 'NAME [NAME...]',
    flags: FLAGS,
    refused: ['s', 'size'],
    run: async (context, { format, platform, type }, names) =>
      await printObjects(context, names, {
        format,
        find: async (wanted) => await find(context, wanted, { kind: kind ?? type, platform }),
      }),
  });
}

/** What of the three has the name: `docker inspect` looks in this order too. */
async function find(
  context: Context,
  name: string,
  { kind: type, platform }: { readonly kind: Kind | undefined; readonly platform: Platform | undefined },
): Promise<Record<string, unknown>> {
  const engine = await context.engine();
  const finders: Readonly<Record<Kind, () => Promise<Record<string, unknown>>>> = {
    container: () => engine.containers.inspect(name),
    image: () => engine.images.inspect(name, { platform }),
    volume: async () => inspectedVolume(await engine.volumes.resolve(name)),
  };
  if (type !== undefined) return await finders[type]();
  for (const kind of TYPES) {
    try {
      return await finders[kind]();
    } catch (error) {
      if (!isEngineError(error) || !MISSING.has(error.code)) throw error;
    }
  }
  throw new EngineError('NOT_FOUND', `Cannot find ${name}: No such object: ${name}`, {
    hint: 'berth ps -a and berth images list what there is',
  });
}

const MISSING = new Set(['CONTAINER_NOT_FOUND', 'IMAGE_NOT_FOUND', 'VOLUME_NOT_FOUND', 'INVALID_REFERENCE']);
