import type { Platform } from '../../../engine/index.ts';
import { defineCommand } from '../command.ts';
import { single, toggle } from '../flags.ts';
import { withRenderer } from '../progress/index.ts';
import { UsageError } from '../usage-error.ts';

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
  flags: { quiet: toggle('-q, --quiet', 'show no progress') },
  refused: ['a', 'all-tags', 'disable-content-trust', 'platform'],
  run: async (context, { quiet }, [name = '']) => {
    const engine = await context.engine();
    const result = await withRenderer(quiet ? 'quiet' : 'auto', context, async (onEvent) =>
      engine.push(name, name, { onEvent, signal: context.signal }),
    );
    context.stdout.write(quiet ? `${result.name}\n` : `${result.name}: digest: ${result.digest}\n`);
    return 0;
  },
});

/** `linux/amd64`, `linux/arm64/v8`. */
export function parsePlatform(word: string): Platform {
  const [os = '', architecture, variant, ...rest] = word.split('/');
  if (os !== 'linux' || !architecture || rest.length > 0 || variant === '') {
    throw new UsageError('wanted linux/ARCHITECTURE[/VARIANT]');
  }
  return { os, architecture, ...(variant ? { variant } : {}) };
}
