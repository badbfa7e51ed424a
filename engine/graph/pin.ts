import { DockerfileError, where, type Stage, type Stages } from '../dockerfile/index.ts';
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

/** Pins the base of a stage. */
export type Pin = (stage: Stage, name: string, platform: Platform) => Promise<PinnedBase>;

/** A {@link Pin} that asks for each image and platform once. */
export function createPin(source: Stages, resolver: Resolver): Pin {
  const asked = new Map<string, ReturnType<Resolver['resolve']>>();
  return async (stage, name, platform) => {
    const key = JSON.stringify([name, formatPlatform(platform)]);
    const answer = asked.get(key) ?? resolver.resolve(name, platform);
    asked.set(key, answer);
    try {
      return refuseTriggers(source, stage, { type: 'image', ...(await answer) });
    } catch (error) {
      throw atStage(source, stage, error);
    }
  };
}

function refuseTriggers(source: Stages, stage: Stage, base: PinnedBase): PinnedBase {
  const [trigger] = base.config.config?.OnBuild ?? [];
  if (trigger === undefined) return base;
  const shown = `${base.reference} has ONBUILD triggers (${trigger.slice(0, 80)})`;
  const message = `Cannot build ${where(source.ast, stage)}: ${shown}, which are not supported yet`;
  throw new DockerfileError('UNSUPPORTED_INSTRUCTION', message, source.ast, stage);
}
