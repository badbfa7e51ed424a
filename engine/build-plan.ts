import type { ActOptions } from './base/progress.ts';
import { isSet } from './build-args.ts';
import { graphContexts } from './build-contexts.ts';
import type { DescribeOptions } from './build-describe.ts';
import type { DockerfileSource } from './build-file.ts';
import { readGraph } from './build-graph.ts';
import type { BuildInputs } from './build-inputs.ts';
import type { Parts } from './connect.ts';
import { readHiddenSources } from './context/index.ts';
import { parse, parseStages, type Stages } from './dockerfile/index.ts';
import type { BuildRequest } from './engine.ts';
import { CONTEXT_EPOCH, isEpochName, parseEpoch } from './epoch.ts';
import { EPOCH, epochSource, globalScope, type Graph, type GraphOptions, type Resolver } from './graph/index.ts';
import { hostPlatform } from './host-platform.ts';
import { checkDraft } from './image/assemble.ts';
import { formatPlatform, normalizePlatform } from './image/platform.ts';
import type { Platform } from './image/types.ts';
import { resolveImage } from './resolve-image.ts';

/** What is built for one platform. */
export interface Plan {
  readonly graph: Graph;
  readonly epoch: number | undefined;
}

/** A graph for each platform, in their order; `SOURCE_DATE_EPOCH` as each says it. @throws DockerfileError; `TOO_LARGE`; the resolver's errors */
export async function planImages(
  parts: Parts,
  inputs: BuildInputs,
  source: DockerfileSource,
  act: ActOptions,
): Promise<readonly Plan[]> {
  const { request } = inputs;
  const isIgnored = await readHiddenSources(request.context, {
    dockerfile: source.path,
    ignoreFile: request.ignoreFile,
  });
  const resolver = createResolver(parts, request, act);
  const plans: Plan[] = [];
  // One after the other: each asks the registries for its bases, and the first error is that of the first platform.
  for (const platform of platformsOf(request)) {
    const options = await withEpoch(source, toGraphOptions(request, platform), inputs);
    const { graph, stages } = await readGraph(source, { ...act, resolver, graph: { ...options, isIgnored } });
    checkDraft(graph.image);
    plans.push({ graph, epoch: parseEpoch(epochText(stages, options)) });
  }
  return plans;
}

function epochText(stages: Stages, options: GraphOptions): string | undefined {
  return globalScope(stages, options).get(EPOCH) ?? options.buildArgs?.[EPOCH];
}

/**
 * `SOURCE_DATE_EPOCH=context`, or the name of a stage or a named context, of the user or of an ARG before the first FROM: the time of that in its
 * place, or nothing.
 */
async function withEpoch(source: DockerfileSource, options: GraphOptions, inputs: BuildInputs): Promise<GraphOptions> {
  const { stages, name } = readEpoch(source, options) ?? {};
  if (!stages || name === undefined || !isEpochName(name)) return options;
  const time = await (name === CONTEXT_EPOCH ? inputs.contextTime() : timeOf(stages, name));
  return { ...options, buildArgs: { ...options.buildArgs, [EPOCH]: time === undefined ? '' : String(time) } };

  async function timeOf(read: Stages, epoch: string): Promise<number | undefined> {
    const from = epochSource(read, epoch, options);
    return from && (await inputs.time(from));
  }
}

function readEpoch(
  { text, file }: DockerfileSource,
  options: GraphOptions,
): { readonly stages: Stages; readonly name: string | undefined } | undefined {
  try {
    const stages = parseStages(parse(text, { file }));
    return { stages, name: epochText(stages, options) };
  } catch {
    // Said when the file is read for the graph, with what the checks find in it.
    return undefined;
  }
}

/** What the image is for: this machine where nothing is said. Each platform once. */
export function platformsOf({ platform, platforms = [] }: BuildRequest): readonly Platform[] {
  const all = [...(platform ? [platform] : []), ...platforms];
  const known = new Map(all.map((one) => [formatPlatform(normalizePlatform(one)), one]));
  return known.size === 0 ? [hostPlatform()] : [...known.values()];
}

function toGraphOptions(request: BuildRequest, platform: Platform): GraphOptions {
  const { target, buildArgs, labels, noCache, noCacheFilter, contexts } = request;
  const { network, allowHostNetwork, extraHosts, shmSize, ulimits } = request;
  const platforms = { platform, buildPlatform: hostPlatform(), showPlatform: isForSeveral(request) };
  return {
    target,
    buildArgs,
    labels,
    noCache,
    noCacheFilter,
    ...platforms,
    contexts: contexts && graphContexts(contexts),
    network,
    allowHostNetwork,
    extraHosts,
    shmSize,
    ulimits,
  };
}

/** Whether the result is an index, whose manifests need blobs: several platforms, or one of which an index is wanted all the same. */
export function isForSeveral(request: BuildRequest): boolean {
  return platformsOf(request).length > 1 || isSet(request.buildArgs, 'BUILDKIT_MULTI_PLATFORM');
}

/** How a build reads a Dockerfile, for those who only want to know what it says. */
export function describeOptions(parts: Parts, request: BuildRequest, act: ActOptions = {}): DescribeOptions {
  const [platform = hostPlatform()] = platformsOf(request);
  return { ...act, resolver: createResolver(parts, request, act), graph: toGraphOptions(request, platform) };
}

function createResolver(parts: Parts, { pull }: BuildRequest, act: ActOptions): Resolver {
  return { resolve: (reference, platform) => resolveImage(parts, reference, platform, { ...act, pull, isBase: true }) };
}
