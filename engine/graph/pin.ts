import { DockerfileError, where, type Range, type Stages } from '../dockerfile/index.ts';
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

/** Pins the base of a stage, or the image that a COPY names, where `place` stands. */
export interface Pin {
  /** FROM: its triggers count. */
  base(place: Range, name: string, platform: Platform): Promise<PinnedBase>;
  /** `--from`: only its files do. `hint` is what to say when there is no such image. */
  source(place: Range, name: string, platform: Platform, hint?: string): Promise<PinnedBase>;
}

/** A {@link Pin} that asks for each image and platform once. */
export function createPin(source: Stages, resolver: Resolver): Pin {
  const asked = new Map<string, ReturnType<Resolver['resolve']>>();
  const pin = async (name: string, platform: Platform): Promise<PinnedBase> => {
    const key = JSON.stringify([name, formatPlatform(platform)]);
    const answer = asked.get(key) ?? resolver.resolve(name, platform);
    asked.set(key, answer);
    return { type: 'image', ...(await answer) };
  };
  return {
    base: async (place, name, platform) => {
      try {
        return refuseTriggers(source, place, await pin(name, platform));
      } catch (error) {
        throw atStage(source, place, error);
      }
    },
    source: async (place, name, platform, hint) => {
      try {
        return await pin(name, platform);
      } catch (error) {
        throw atStage(source, place, error, hint);
      }
    },
  };
}

function refuseTriggers(source: Stages, stage: Range, base: PinnedBase): PinnedBase {
  const [trigger] = base.config.config?.OnBuild ?? [];
  if (trigger === undefined) return base;
  const shown = `${base.reference} has ONBUILD triggers (${trigger.slice(0, 80)})`;
  const message = `Cannot build ${where(source.ast, stage)}: ${shown}, which are not supported yet`;
  throw new DockerfileError('UNSUPPORTED_INSTRUCTION', message, source.ast, stage);
}
