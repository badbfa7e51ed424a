import { formatPlatform, type BuiltPlatform } from '../../engine/index.ts';
import type { PipelineResult } from './result.ts';

/** Of an image for several platforms, the one whose container is tested; undefined for an image of one. */
export function testedPlatform({
  build,
  testedDigest,
}: Pick<PipelineResult, 'build' | 'testedDigest'>): BuiltPlatform | undefined {
  return build?.platforms?.find(({ manifest }) => manifest.digest === testedDigest);
}

/** The platforms that were built and never started, as text; none for an image of one. */
export function untestedPlatforms(result: Pick<PipelineResult, 'build' | 'testedDigest'>): readonly string[] {
  const tested = testedPlatform(result);
  return (result.build?.platforms ?? [])
    .filter((one) => one !== tested)
    .map(({ platform }) => formatPlatform(platform));
}
