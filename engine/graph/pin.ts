import type { Range, Stages } from '../dockerfile/index.ts';
import { formatPlatform } from '../image/platform.ts';
import type { Descriptor, ImageConfig, Platform } from '../image/types.ts';
import { atStage } from './at-stage.ts';
import type { Resolver } from './types.ts';

/** FROM an image, pinned to its manifest. */
export interface PinnedBase {
  readonly type: 'image';
  readonly reference: string;
  readonly manifest: Descriptor;
  readonly config: ImageConfig;
}

/**
 * Pins the base of a stage, or the image that a COPY or a mount names, where `place` stands. `hint` is what to say when there is no such
 * image.
 */
export type Pin = (place: Range, name: string, platform: Platform, hint?: string) => Promise<PinnedBase>;

/** A {@link Pin} that asks for each image and platform once. */
export function createPin(source: Stages, resolver: Resolver): Pin {
  const asked = new Map<string, ReturnType<Resolver['resolve']>>();
  return async (place, name, platform, hint) => {
    const key = JSON.stringify([name, formatPlatform(platform)]);
    const answer = asked.get(key) ?? resolver.resolve(name, platform);
    asked.set(key, answer);
    try {
      return { type: 'image', ...(await answer) };
    } catch (error) {
      throw atStage(source, place, error, hint);
    }
  };
}
