import { isEngineError } from '../base/errors.ts';
import {
  createExpander,
  DockerfileError,
  locate,
  SyntaxMistake,
  where,
  type Stage,
  type Stages,
} from '../dockerfile/index.ts';
import { formatPlatform, parsePlatform } from '../image/platform.ts';
import type { Descriptor, ImageConfig, Platform } from '../image/types.ts';
import type { GraphOptions } from './options.ts';
import { copySource, findByName } from './reference.ts';
import { globalScope } from './scope.ts';
import { refuseUnsupported } from './supported.ts';
import { findTarget } from './target.ts';
import type { Resolver } from './types.ts';

/** A stage that the target needs, with what it stands on. */
export interface ResolvedStage {
  readonly stage: Stage;
  readonly platform: Platform;
  readonly base: Base;
}

/** Nothing, an earlier stage, or an image pinned to its manifest. */
export type Base = { readonly type: 'scratch' } | StageBase | PinnedBase;

interface StageBase {
  readonly type: 'stage';
  readonly index: number;
}

interface PinnedBase {
  readonly type: 'image';
  readonly reference: string;
  readonly manifest: Descriptor;
  readonly config: ImageConfig;
}

/** The reachable stages in file order; all that {@link toGraph} needs. */
export interface ResolvedStages {
  readonly source: Stages;
  /** Index of the stage to build. */
  readonly target: number;
  readonly stages: readonly ResolvedStage[];
}

/**
 * Pins the bases of the stages that the target needs; images are asked for in parallel, each once.
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
  const wanted = linkStages(source, options);
  const reachable = reachableFrom(source, wanted, target.index);
  for (const want of reachable) {
    refuseUnsupported(source, want.stage);
    refuseStageTriggers(source, want);
  }
  const pin = pinOnce(source, resolver);
  const resolved = await Promise.all(reachable.map((want) => resolveOne(want, pin)));
  options.signal?.throwIfAborted();
  return { source, target: target.index, stages: inheritPlatforms(resolved) };
}

/** A stage whose base is known by name only. */
interface Wanted {
  readonly stage: Stage;
  readonly base: { readonly type: 'scratch' } | StageBase | { readonly type: 'image'; readonly name: string };
  readonly platform: Platform;
}

function linkStages(source: Stages, options: GraphOptions): readonly Wanted[] {
  const scope = globalScope(source, options);
  const expander = createExpander(source.ast.directives.escape);
  const expand = (word: string): string => expander.word(word, (name) => scope.get(name));
  return source.stages.map((stage) =>
    locate(source.ast, stage, () => {
      const name = expand(stage.base);
      if (name === '')
        throw new SyntaxMistake(
          'bad-value',
          `the base "${stage.base}" is empty`,
          'Give the ARG a default, or pass --build-arg',
        );
      const earlier = findByName(source.stages.slice(0, stage.index), name);
      const platform =
        stage.platform === undefined ? options.platform : readPlatform(source, stage, expand(stage.platform));
      if (earlier) return { stage, platform, base: { type: 'stage', index: earlier.index } };
      return { stage, platform, base: name === 'scratch' ? { type: 'scratch' } : { type: 'image', name } };
    }),
  );
}

function readPlatform(source: Stages, stage: Stage, text: string): Platform {
  if (text === '') throw new SyntaxMistake('bad-value', `the platform "${stage.platform}" is empty`);
  try {
    return parsePlatform(text);
  } catch (error) {
    throw atStage(source, stage, error);
  }
}

function reachableFrom(source: Stages, wanted: readonly Wanted[], target: number): readonly Wanted[] {
  const reached = new Set([target]);
  for (const index of reached) {
    const want = wanted[index];
    if (want?.base.type === 'stage') reached.add(want.base.index);
    for (const from of want ? copySources(source, want.stage) : []) reached.add(from.index);
  }
  return wanted.filter(({ stage }) => reached.has(stage.index));
}

function copySources(source: Stages, stage: Stage): readonly Stage[] {
  return stage.instructions.flatMap((instruction) => {
    if (instruction.kind !== 'copy' || instruction.from === undefined) return [];
    return [copySource(source, stage, { ...instruction, from: instruction.from })];
  });
}

type Pin = (stage: Stage, name: string, platform: Platform) => Promise<PinnedBase>;

function pinOnce(source: Stages, resolver: Resolver): Pin {
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
  const message = `Cannot build ${where(source.ast, stage)}: ${base.reference} has ONBUILD triggers (${trigger.slice(0, 80)}), which are not supported yet`;
  throw new DockerfileError('UNSUPPORTED_INSTRUCTION', message, source.ast, stage);
}

function refuseStageTriggers(source: Stages, { stage, base }: Wanted): void {
  const below = base.type === 'stage' ? source.stages[base.index]?.instructions : undefined;
  const trigger = below?.find((instruction) => instruction.kind === 'onbuild');
  if (!trigger) return;
  const message = `Cannot build ${where(source.ast, stage)}: its base has an ONBUILD on line ${trigger.startLine}, and triggers are not supported yet`;
  throw new DockerfileError('UNSUPPORTED_INSTRUCTION', message, source.ast, stage);
}

async function resolveOne({ stage, base, platform }: Wanted, pin: Pin): Promise<ResolvedStage> {
  return { stage, platform, base: base.type === 'image' ? await pin(stage, base.name, platform) : base };
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

/** An error of the engine with the line of FROM; its code and hint stay. */
function atStage(source: Stages, stage: Stage, error: unknown): unknown {
  if (!isEngineError(error) || error instanceof DockerfileError) return error;
  const message = `${error.message} (${where(source.ast, stage)})`;
  return new DockerfileError(error.code, message, source.ast, stage, { hint: error.hint, cause: error });
}
