import {
  type Engine,
  EngineError,
  isEngineError,
  parsePlatform as readAnyPlatform,
  type Platform,
} from '../../../engine/index.ts';
import { defineCommand } from '../command.ts';
import { single, toggle } from '../flags.ts';
import { withRenderer } from '../progress/index.ts';
import { UsageError } from '../usage-error.ts';
import { familiarName } from './images.ts';

/** `berth pull`. */
export const pull = defineCommand({
  name: 'pull',
  docs: 'Pull an image from a registry',
  operands: 'IMAGE',
  flags: {
    platform: single(
      '--platform PLATFORM',
      'choose the platform of an index: os/architecture[/variant]',
      parsePlatform,
    ),
    quiet: toggle('-q, --quiet', 'show no progress'),
  },
  refused: ['a', 'all-tags', 'disable-content-trust'],
  run: async (context, { platform, quiet }, [name = '']) => {
    const engine = await context.engine();
    const image = await withRenderer(quiet ? 'quiet' : 'auto', context, async (onEvent) =>
      engine.pull(name, { platform, onEvent, signal: context.signal }),
    );
    const digest = image.repoDigests.at(-1)?.replace(/^.*@/, '') ?? image.manifest?.digest;
    if (!quiet && digest !== undefined) context.stdout.write(`Digest: ${digest}\n`);
    context.stdout.write(`${image.names[0] ?? name}\n`);
    return 0;
  },
});

/** `berth push`. */
export const push = defineCommand({
  name: 'push',
  docs: 'Push an image to a registry',
  operands: 'NAME',
  flags: {
    allTags: toggle('-a, --all-tags', 'push every tag of the name that is here'),
    platform: single('--platform PLATFORM', 'push the image for one platform of several', parsePlatform),
    quiet: toggle('-q, --quiet', 'show no progress'),
  },
  refused: ['disable-content-trust'],
  run: async (context, { allTags, platform, quiet }, [name = '']) => {
    const engine = await context.engine();
    for (const one of allTags ? await tagsHere(engine, name) : [name]) {
      const result = await withRenderer(quiet ? 'quiet' : 'auto', context, async (onEvent) =>
        engine.push(one, one, { platform, onEvent, signal: context.signal }),
      );
      context.stdout.write(quiet ? `${result.name}\n` : `${result.name}: digest: ${result.digest}\n`);
    }
    return 0;
  },
});

/** Names in the store that are tags of `name`. */
async function tagsHere(engine: Engine, name: string): Promise<readonly string[]> {
  refuseTag(name);
  const wanted = familiarName(name);
  const names = (await engine.images.list()).flatMap((image) => image.names);
  const found = names.filter((one) => familiarName(one).replace(/:[^/:]*$/, '') === wanted);
  if (found.length > 0) return found;
  throw new EngineError(
    'IMAGE_NOT_FOUND',
    `Cannot push ${name}: An image does not exist locally with the tag: ${name}`,
    { hint: 'berth images lists what is here' },
  );
}

function refuseTag(name: string): void {
  if (!/[:@][^/]*$/.test(name)) return;
  throw new UsageError(
    "tag can't be used with --all-tags/-a",
    `give the name alone: ${name.replace(/[:@][^/]*$/, '')}`,
  );
}

/** `linux/amd64`, `linux/arm64/v8`, or an architecture alone. @throws {UsageError} */
export function parsePlatform(word: string): Platform {
  const platform = readPlatform(word);
  if (platform.os === 'linux') return platform;
  throw new UsageError(`images for ${platform.os} are not supported`, 'wanted linux/ARCHITECTURE[/VARIANT]');
}

function readPlatform(word: string): Platform {
  try {
    return readAnyPlatform(word);
  } catch (error) {
    throw isEngineError(error) ? new UsageError(error.message, error.hint) : error;
  }
}
