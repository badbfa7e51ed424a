import { DockerfileError, where, type Stage, type Stages } from '../dockerfile/index.ts';
import type { Platform } from '../image/types.ts';
import {
  copiesFrom,
  linkStages,
  reachableFrom,
  type FilesBase,
  type LinkedStage,
  type ScratchBase,
  type StageBase,
} from './link.ts';
import { contextNamed } from './named.ts';
import type { GraphOptions } from './options.ts';
import { lintBase } from './lint/from.ts';
import { createPin, type Pin, type PinnedBase } from './pin.ts';
import { copySource, nearStage } from './reference.ts';
import { refuseUnsupported } from './supported.ts';
import { findTarget } from './target.ts';
import type { Resolver } from './types.ts';

/** A stage that the target needs, with what it stands on. */
export interface ResolvedStage {
  readonly stage: Stage;
  readonly platform: Platform;
  readonly base: ScratchBase | StageBase | FilesBase | PinnedBase;
  /** What `--from` means where it is no stage: an image, or a named context with files. */
  readonly sources: ReadonlyMap<string, PinnedBase | FilesBase>;
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
  const resolved = await Promise.all(reachable.map((linked) => resolveOne(source, linked, pin, options)));
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

async function resolveOne(
  source: Stages,
  linked: LinkedStage,
  pin: Pin,
  options: GraphOptions,
): Promise<ResolvedStage> {
  const { stage, base, platform } = linked;
  const [pinned, sources] = await Promise.all([
    base.type === 'image' ? pin.base(stage, base.name, platform) : base,
    resolveSources(source, linked, pin, options),
  ]);
  if (base.type === 'image' && pinned.type === 'image') {
    lintBase(source, stage, { name: base.name, actual: pinned.config, expected: platform });
  }
  return { stage, platform, base: pinned, sources };
}

/** Named contexts go before images, but not before stages: one with the name of a stage has taken its place already. */
async function resolveSources(
  source: Stages,
  { stage, platform }: LinkedStage,
  pin: Pin,
  { contexts = {} }: GraphOptions,
): Promise<ReadonlyMap<string, PinnedBase | FilesBase>> {
  const others = copiesFrom(stage).filter((copy) => copySource(source, stage, copy) === undefined);
  const resolved = others.map(async (copy): Promise<readonly [string, PinnedBase | FilesBase]> => {
    const named = contextNamed(contexts, copy.from) ?? { type: 'image', name: copy.from };
    if (named.type === 'files') return [copy.from, named];
    const near = nearStage(source.stages, copy.from);
    const hint = near === undefined ? undefined : `Did you mean the stage --from=${near}?`;
    return [copy.from, await pin.source(copy, named.name, platform, hint)];
  });
  return new Map(await Promise.all(resolved));
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
