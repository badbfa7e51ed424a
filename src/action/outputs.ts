import type { PipelineResult } from '../pipeline/index.ts';

/** What the cache did, for outputs and summary. */
export interface CacheFigures {
  readonly state: 'off' | 'miss' | 'hit';
  readonly blobs: number;
  readonly bytes: number;
}

/** What the result does not say. */
export interface Further {
  /** Why the step failed, when there is no result. */
  readonly reason?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly layout?: string | undefined;
  /** File with what the tested container said. */
  readonly log?: string | undefined;
}

/** The step's outputs by name; an empty string is an output that has no value. All are set, also when the step fails. */
export function outputsOf(
  result: PipelineResult | undefined,
  cache: CacheFigures,
  { reason = '', tags = [], layout = '', log = '' }: Further = {},
): Readonly<Record<string, string>> {
  const { build, smoke } = result ?? {};
  const digest = result?.pushedDigest ?? build?.manifest?.digest ?? '';
  const tested = smoke?.verdict === 'passed' ? (result?.testedDigest ?? '') : '';
  return {
    digest,
    imageid: build?.imageId ?? '',
    metadata: result ? JSON.stringify(metadataOf(result)) : '{}',
    tags: tagsOf(result, tags).join('\n'),
    'tested-digest': tested,
    'ready-seconds': smoke?.readySeconds?.toFixed(3) ?? '',
    'first-predict-ms': smoke?.firstPredictMs?.toFixed(1) ?? '',
    'p95-ms': smoke?.p95Ms?.toFixed(1) ?? '',
    'memory-peak-bytes': smoke?.memoryPeak?.bytes.toString() ?? '',
    'image-size-bytes': (smoke?.imageSize ?? build?.size)?.toString() ?? '',
    'base-url': smoke?.baseUrl ?? '',
    junit: result?.junit ?? '',
    log,
    'oci-layout': layout,
    'exit-reason': result?.exitReason ?? reason,
    'cache-state': cache.state,
    'steps-total': build?.steps.total.toString() ?? '',
    'steps-cached': build?.steps.cached.toString() ?? '',
    'cache-bytes-restored': cache.bytes.toString(),
  };
}

/** Names of the image: where it was pushed, else what it is called in the job's store. */
function tagsOf(result: PipelineResult | undefined, tags: readonly string[]): readonly string[] {
  if (!result) return [];
  return result.ok && result.pushes.length === 0 ? tags : result.pushes.map(({ name }) => name);
}

/** docker/build-push-action's keys, for the steps that read them. */
function metadataOf({ build, pushedDigest, pushes }: PipelineResult): Readonly<Record<string, unknown>> {
  return {
    ...(build === undefined || build.platforms ? {} : { 'containerimage.config.digest': build.imageId }),
    ...(build?.manifest === undefined
      ? {}
      : {
          'containerimage.descriptor': build.manifest,
          'containerimage.digest': pushedDigest ?? build.manifest.digest,
        }),
    ...(pushes.length === 0 ? {} : { 'image.name': pushes.map(({ name }) => name).join(',') }),
  };
}
