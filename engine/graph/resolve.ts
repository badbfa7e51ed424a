import { DockerfileError, where, type Stage, type Stages } from '../dockerfile/index.ts';
import type { Platform } from '../image/types.ts';
import { linkStages, reachableFrom, type LinkedStage, type ScratchBase, type StageBase } from './link.ts';
import type { GraphOptions } from './options.ts';
import { lintBase } from './lint/from.ts';
import { createPin, type Pin, type PinnedBase } from './pin.ts';
import { refuseUnsupported } from './supported.ts';
import { findTarget } from './target.ts';
import type { Resolver } from './types.ts';

/** A stage that the target needs, with what it stands on. */
export interface ResolvedStage {
  readonly stage: Stage;
  readonly platform: Platform;
  readonly base: ScratchBase | StageBase | PinnedBase;
}

/** The reachable stages in file order; all that {@link toGraph} needs. */
export interface ResolvedStages {
  readonly source: Stages;
  /** Index of the stage to build. */
  readonly target: number;
  readonly stages: readonly ResolvedStage[];
}

/**
 * Pins the bases of the stages that the target needs; images are asked for in parallel, each once. What cannot be built is refused before
 * the network is.
 *
 * @throws DockerfileError naming stage and line, also for the resolver's errors, whose code it keeps; `TARGET_NOT_FOUND`
 */
export async function resolveBases(
  source: Stages,
  resolver: Resolver,
  options: GraphOptions & { readonly signal?: AbortSignal | undefined },
): Promise<ResolvedStages> {
  options.signal?.throwIfAborted();
  const target = findTarget(source, options.target);
  const linked = linkStages(source, options);
  const reachable = options.allStages === true ? linked : reachableFrom(source, linked, target.index);
  for (const one of reachable) {
    refuseUnsupported(source, one.stage);
    refuseStageTriggers(source, one);
  }
  const pin = createPin(source, resolver);
  const resolved = await Promise.all(reachable.map((linked) => resolveOne(source, linked, pin)));
  options.signal?.throwIfAborted();
  return { source, target: target.index, stages: inheritPlatforms(resolved) };
}

function refuseStageTriggers(source: Stages, { stage, base }: LinkedStage): void {
  const below = base.type === 'stage' ? source.stages[base.index]?.instructions : undefined;
  const trigger = below?.find((instruction) => instruction.kind === 'onbuild');
  if (!trigger) return;
  const state = `its base has an ONBUILD on line ${trigger.startLine}, and triggers are not supported yet`;
  const message = `Cannot build ${where(source.ast, stage)}: ${state}`;
  throw new DockerfileError('UNSUPPORTED_INSTRUCTION', message, source.ast, stage);
}

async function resolveOne(source: Stages, { stage, base, platform }: LinkedStage, pin: Pin): Promise<ResolvedStage> {
  if (base.type !== 'image') return { stage, platform, base };
  const pinned = await pin(stage, base.name, platform);
  lintBase(source, stage, { name: base.name, actual: pinned.config, expected: platform });
  return { stage, platform, base: pinned };
}

/** A stage on a stage is for the same platform; in file order the earlier one is done. */
function inheritPlatforms(stages: readonly ResolvedStage[]): readonly ResolvedStage[] {
  const platforms = new Map<number, Platform>();
  return stages.map((resolved) => {
    const { base, stage } = resolved;
    const platform = (base.type === 'stage' ? platforms.get(base.index) : undefined) ?? resolved.platform;
    platforms.set(stage.index, platform);
    return { ...resolved, platform };
  });
}
