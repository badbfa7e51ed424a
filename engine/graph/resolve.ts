import type { Stage, Stages } from '../dockerfile/index.ts';
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
import { triggersOf, withTriggers } from './onbuild.ts';
import type { GraphOptions } from './options.ts';
import { lintBase } from './lint/from.ts';
import { createPin, type Pin, type PinnedBase } from './pin.ts';
import { copySource, nearStage } from './reference.ts';
import { refuseUnsupported } from './supported.ts';
import { findTarget } from './target.ts';
import type { Resolver } from './types.ts';

/** A stage that the target needs, with what it stands on. Triggers of its base stand in front of its instructions. */
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
 * Pins the bases of the stages that the target needs, and the images that they take files from; images are asked for in parallel, each
 * once. What cannot be built is refused before the network is, but for what only a trigger of a base asks for.
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
  const pin = createPin(source, resolver);
  const resolved = new Map<number, ResolvedStage>();
  let linked = inheritFromStages(source, linkStages(source, options));
  // A trigger may copy from a stage that nothing else needs: until there is no new one.
  for (;;) {
    const reachable = options.allStages === true ? linked : reachableFrom(source, linked, target.index);
    const missing = reachable.filter(({ stage }) => !resolved.has(stage.index));
    if (missing.length === 0) break;
    for (const { stage } of missing) refuseUnsupported(source, stage);
    const found = await Promise.all(missing.map((one) => resolveOne(source, one, pin, options)));
    for (const one of found) resolved.set(one.stage.index, one);
    linked = linked.map((one) => ({ ...one, stage: resolved.get(one.stage.index)?.stage ?? one.stage }));
    options.signal?.throwIfAborted();
  }
  return { source, target: target.index, stages: linked.flatMap(({ stage }) => resolved.get(stage.index) ?? []) };
}

async function resolveOne(
  source: Stages,
  linked: LinkedStage,
  pin: Pin,
  options: GraphOptions,
): Promise<ResolvedStage> {
  const { stage, base, platform } = linked;
  const [pinned, sources] = await Promise.all([
    base.type === 'image' ? pin(stage, base.name, platform, base.hint) : base,
    resolveSources(source, linked, pin, options),
  ]);
  if (base.type !== 'image' || pinned.type !== 'image') return { stage, platform, base: pinned, sources };
  lintBase(source, stage, { name: base.name, actual: pinned.config, expected: platform });
  const fired = withTriggers(source, stage, pinned.config.config?.OnBuild ?? [], pinned.reference);
  if (fired === stage) return { stage, platform, base: pinned, sources };
  refuseUnsupported(source, fired);
  return {
    stage: fired,
    platform,
    base: pinned,
    sources: await resolveSources(source, { ...linked, stage: fired }, pin, options),
  };
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
    return [copy.from, await pin(copy, named.name, platform, hint)];
  });
  return new Map(await Promise.all(resolved));
}

/** A stage on a stage is for the same platform, and its base's triggers fire in it; in file order the earlier one is done. */
function inheritFromStages(source: Stages, stages: readonly LinkedStage[]): readonly LinkedStage[] {
  const platforms = new Map<number, Platform>();
  return stages.map((linked) => {
    const { base, stage } = linked;
    const below = base.type === 'stage' ? stages[base.index]?.stage : undefined;
    const platform = (base.type === 'stage' ? platforms.get(base.index) : undefined) ?? linked.platform;
    platforms.set(stage.index, platform);
    const fired = below ? withTriggers(source, stage, triggersOf(below), `stage ${below.name || below.index}`) : stage;
    return { ...linked, platform, stage: fired };
  });
}
