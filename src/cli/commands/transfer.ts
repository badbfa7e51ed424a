import { type Engine, EngineError } from '../../../engine/index.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { orNothing, single, toggle } from '../flags.ts';
import { withRenderer } from '../progress/index.ts';
import { TRUST } from '../trust.ts';
import { UsageError } from '../usage-error.ts';
import { parsePlatform } from '../values/platform.ts';
import { familiarName } from './images.ts';

export { parsePlatform } from '../values/platform.ts';

/** `berth pull`. */
export const pull = defineCommand({
  name: 'pull',
  docs: 'Pull an image from a registry',
  operands: 'IMAGE',
  flags: {
    allTags: toggle('-a, --all-tags', 'pull every tag of the name that its registry has'),
    platform: orNothing(
      single('--platform PLATFORM', 'choose the platform of an index: os/architecture[/variant]', parsePlatform),
    ),
    disableContentTrust: TRUST,
    quiet: toggle('-q, --quiet', 'show no progress'),
  },
  run: async (context, { allTags, platform, quiet }, [name = '']) => {
    const engine = await context.engine();
    for (const one of allTags ? await tagsThere(context, engine, name) : [name]) {
      const image = await withRenderer(quiet ? 'quiet' : 'auto', context, async (onEvent) =>
        engine.pull(one, { platform, onEvent, signal: context.signal }),
      );
      // The same image may also be here under other names.
      const repository = image.reference.replace(/(?:@|:[^/:]*$).*/, '');
      const digest = image.repoDigests.findLast((one) => one.startsWith(`${repository}@`))?.replace(/^.*@/, '');
      if (!quiet && digest !== undefined) context.stdout.write(`Digest: ${digest}\n`);
      context.stdout.write(`${image.reference}\n`);
    }
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
    platform: orNothing(single('--platform PLATFORM', 'push the image for one platform of several', parsePlatform)),
    disableContentTrust: TRUST,
    quiet: toggle('-q, --quiet', 'show no progress'),
  },
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

/** Names of all tags that a registry has of `name`. */
async function tagsThere({ signal }: Context, engine: Engine, name: string): Promise<readonly string[]> {
  refuseTag(name);
  const tags = await engine.tags(name, { signal });
  if (tags.length > 0) return tags.map((tag) => `${name}:${tag}`);
  throw new EngineError('IMAGE_NOT_FOUND', `Cannot pull ${name}: its registry has no tag of it`);
}

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
