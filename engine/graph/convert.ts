import { EngineError } from '../base/errors.ts';
import type { GraphOptions } from './options.ts';
import type { ResolvedStages } from './resolve.ts';
import type { Graph } from './types.ts';

/**
 * The build graph of the target: vertices, edges and the image's configuration. Pure: no disk, no network, no clock.
 *
 * @throws DockerfileError naming the line
 */
export function toGraph(resolved: ResolvedStages, options: GraphOptions): Graph {
  throw new EngineError(
    'UNSUPPORTED',
    `Cannot make a graph of ${resolved.source.ast.file} for ${options.platform.os} yet`,
  );
}
