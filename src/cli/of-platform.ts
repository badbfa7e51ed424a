import { type Engine, EngineError, type Platform } from '../../engine/index.ts';
import { single } from './flags.ts';
import { parsePlatform } from './values/platform.ts';

/** `--platform` of a command on an image that is here. */
export const PLATFORM = single('--platform PLATFORM', 'the image must be for this os/architecture', parsePlatform);

/**
 * An image that is for one platform is not there for another one.
 *
 * @throws `PLATFORM_MISMATCH` in Docker's words, and for an image of several platforms, of which this command takes all; `IMAGE_NOT_FOUND`
 */
export async function requirePlatform(engine: Engine, name: string, platform: Platform | undefined): Promise<void> {
  if (platform === undefined) return;
  const { config, index } = await engine.images.resolve(name);
  if (index) {
    throw new EngineError(
      'PLATFORM_MISMATCH',
      `Cannot use --platform for ${name}: it is an image for several platforms`,
      {
        hint: 'leave it out to take all of them',
      },
    );
  }
  const isSame = config.os === platform.os && config.architecture === platform.architecture;
  const variants = [config.variant, platform.variant].filter((variant) => variant !== undefined);
  if (isSame && new Set(variants).size < 2) return;
  const own = shown(config);
  throw new EngineError(
    'PLATFORM_MISMATCH',
    `Cannot use ${name}: image with reference ${name} was found but its platform (${own}) does not match the specified platform (${shown(platform)})`,
    { hint: 'leave --platform out' },
  );
}

function shown({ os, architecture, variant }: Platform): string {
  return [os, architecture, variant].filter(Boolean).join('/');
}
