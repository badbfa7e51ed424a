import { EngineError } from '../base/errors.ts';
import type { WarningEvent } from '../base/progress.ts';
import type { Stage, Stages } from '../dockerfile/index.ts';
import type { Descriptor, ImageConfig, Platform } from '../image/types.ts';
import type { GraphOptions } from './options.ts';
import type { Resolver } from './types.ts';

/** A stage that the target needs, with what it stands on. */
export interface ResolvedStage {
  readonly stage: Stage;
  readonly platform: Platform;
  /** Nothing, an earlier stage, or an image pinned to its manifest. */
  readonly base:
    | { readonly type: 'scratch' }
    | { readonly type: 'stage'; readonly index: number }
    | {
        readonly type: 'image';
        readonly reference: string;
        readonly manifest: Descriptor;
        readonly config: ImageConfig;
      };
}

/** The reachable stages in file order; all that {@link toGraph} needs. */
export interface ResolvedStages {
  readonly source: Stages;
  readonly target: number;
  readonly stages: readonly ResolvedStage[];
  readonly warnings: readonly WarningEvent[];
}

/**
 * Pins the bases of the stages that the target needs; images are asked for in parallel.
 *
 * @throws DockerfileError naming stage and line; the resolver's errors with the line of FROM
 */
export async function resolveBases(
  stages: Stages,
  resolver: Resolver,
  options: GraphOptions & { readonly signal?: AbortSignal | undefined },
): Promise<ResolvedStages> {
  options.signal?.throwIfAborted();
  throw new EngineError('UNSUPPORTED', `Cannot resolve ${stages.ast.file}: ${typeof resolver} is not asked yet`);
}
