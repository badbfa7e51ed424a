import { type Engine, EngineError, isEngineError, type Platform } from '../../../engine/index.ts';
import { ABSENT_OF_CONTAINER, ABSENT_OF_IMAGE, withAbsent } from '../absent-fields.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { orNothing, single, text, toggle } from '../flags.ts';
import { printObjects } from '../print-objects.ts';
import type { Fields } from '../template/index.ts';
import { OperandsError } from '../usage-error.ts';
import { parsePlatform } from '../values/platform.ts';
import { inspectedVolume } from './volume.ts';

const TYPES = ['container', 'image', 'volume', 'network'] as const;
type Kind = (typeof TYPES)[number];

const OPERANDS = 'NAME [NAME...]';
const FORMAT = orNothing(text('-f, --format FORMAT', 'json, or a template such as {{.State.Status}}'));
const SIZE = toggle('-s, --size', 'add what a container has written, and its files together');

/** `berth inspect`: a container, else an image, else a volume, else a network. */
export const inspect = defineCommand({
  name: 'inspect',
  docs: 'Show everything about containers, images, volumes or networks',
  operands: OPERANDS,
  flags: {
    format: FORMAT,
    size: SIZE,
    type: single(`--type TYPE`, `what the name stands for (${TYPES.join('|')})`, parseType),
  },
  run: async (context, { format, size, type }, names) =>
    await printObjects(context, names, {
      format,
      find: async (name) => await find(context, name, { type, size }),
      complete,
    }),
});

/** `berth container inspect`. */
export const inspectContainer = defineCommand({
  name: 'inspect',
  docs: 'Show everything about containers',
  operands: OPERANDS,
  flags: { format: FORMAT, size: SIZE },
  run: async (context, { format, size }, names) =>
    await printObjects(context, names, {
      format,
      find: async (name) => await find(context, name, { type: 'container', size }),
      complete,
    }),
});

/** `berth image inspect`. */
export const inspectImage = defineCommand({
  name: 'inspect',
  docs: 'Show everything about images',
  operands: OPERANDS,
  flags: {
    format: FORMAT,
    platform: single('--platform PLATFORM', 'the image for one platform of several', parsePlatform),
  },
  run: async (context, { format, platform }, names) =>
    await printObjects(context, names, {
      format,
      find: async (name) => await find(context, name, { type: 'image', platform }),
      complete,
    }),
});

/** Containers and images are known by what only they have. */
function complete(found: Fields): Fields {
  if ('HostConfig' in found) return withAbsent(found, ABSENT_OF_CONTAINER);
  return 'RootFS' in found ? withAbsent(found, ABSENT_OF_IMAGE) : found;
}

/** A kind that is none is found out after the flags were read, as with Docker: its exit code is 1. */
function parseType(word: string): Kind {
  const found = TYPES.find((type) => type === word);
  if (found === undefined) {
    throw new OperandsError(`Cannot inspect: unknown type: "${word}": must be one of ${TYPES.join(', ')}`);
  }
  return found;
}

/** What of them has the name: `docker inspect` looks in this order too. */
async function find(
  context: Context,
  name: string,
  {
    type,
    size = false,
    platform,
  }: { readonly type: Kind | undefined; readonly size?: boolean; readonly platform?: Platform | undefined },
): Promise<Record<string, unknown>> {
  const engine = await context.engine();
  const finders: Readonly<Record<Kind, () => Promise<Record<string, unknown>>>> = {
    container: async () => ({
      ...(await engine.containers.inspect(name)),
      ...(size ? await sizeOf(engine, name) : {}),
    }),
    image: () => engine.images.inspect(name, { platform }),
    volume: async () => inspectedVolume(await engine.volumes.resolve(name)),
    network: () => engine.networks.inspect(name),
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

const MISSING = new Set([
  'CONTAINER_NOT_FOUND',
  'IMAGE_NOT_FOUND',
  'VOLUME_NOT_FOUND',
  'NETWORK_NOT_FOUND',
  'INVALID_REFERENCE',
]);

async function sizeOf({ containers, images }: Engine, name: string): Promise<Record<string, number>> {
  const { id, imageId } = await containers.resolve(name);
  const [sizes, all] = await Promise.all([containers.sizes(), images.list()]);
  const written = sizes.get(id) ?? 0;
  return { SizeRw: written, SizeRootFs: written + (all.find((image) => image.id === imageId)?.size ?? 0) };
}
