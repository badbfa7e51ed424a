import { availableParallelism } from 'node:os';
import { createLocalCache } from './cache/index.ts';
import { withVertex, type ActOptions, type OnEvent, type WarningEvent } from './base/progress.ts';
import { EngineError } from './base/errors.ts';
import { refuseArgs } from './build-args.ts';
import { createBlobMaker, DEFAULT_PACKING, type BlobMaker } from './build-blobs.ts';
import { checkOutputs, isKept, packingOf, produceOutputs, requireEpoch } from './build-outputs.ts';
import { exportCaches, importCaches } from './build-cache.ts';
import { graphContexts, withLayouts } from './build-contexts.ts';
import { readDockerfile } from './build-file.ts';
import { openInputs, type BuildInputs } from './build-inputs.ts';
import { createBuildExecutor } from './build-executor.ts';
import { withoutLost } from './build-lost.ts';
import type { Machine, Parts } from './connect.ts';
import type { DescribeOptions } from './build-describe.ts';
import { readGraph } from './build-graph.ts';
import { readHiddenSources } from './context/index.ts';
import type { BuildOutput, BuildRequest, BuildResult, Explanation } from './engine.ts';
import { epochOf, parseEpoch, toTime } from './epoch.ts';
import { globalScope, type Graph, type GraphOptions, type Resolver, type VertexId } from './graph/index.ts';
import { hostPlatform } from './host-platform.ts';
import { assemble, type AssembledImage } from './image/assemble.ts';
import { runsOn } from './image/choose.ts';
import { formatPlatform } from './image/platform.ts';
import type { Digest } from './image/types.ts';
import { withStore } from './leftovers.ts';
import { requireTag } from './names.ts';
import { resolveImage } from './resolve-image.ts';
import {
  diffIdsOf,
  explainMiss,
  solve,
  type Executor,
  type Ref,
  type Solved,
  type SolveParts,
} from './solver/index.ts';
import type { ForbiddenValue, Packing } from './store/index.ts';
import { forbiddenValues, refuseSecretsInConfig, refuseSecretsInRequest } from './build-secrets.ts';

/**
 * A `docker build`: the steps 2 to 8 of DESIGN.md 2, in order. The same request with every step cached gives the same digest and reads no
 * layer.
 *
 * @throws `DockerfileError` and `StepError` with the line; the registries' errors; `ISOLATION_IMPOSSIBLE` before anything is downloaded
 */
export async function build(parts: Parts, request: BuildRequest, options: ActOptions = {}): Promise<BuildResult> {
  const names = (request.tags ?? []).map(requireTag);
  refuseArgs(request.buildArgs);
  epochOf(request.buildArgs);
  checkOutputs(request.outputs ?? [], names);
  const warnings: WarningEvent[] = [];
  const act = { ...options, onEvent: collecting(warnings, options.onEvent) };
  // Probed while the lock is waited for; what it finds is asked for below.
  parts.machine(act).catch(() => undefined);
  const asked = await withLayouts(parts, request, act);
  return await withStore(parts, act, () => buildLocked(parts, asked, { names, warnings, act }));
}

async function buildLocked(
  parts: Parts,
  asked: BuildRequest,
  {
    names,
    warnings,
    act,
  }: { readonly names: readonly string[]; readonly warnings: readonly WarningEvent[]; readonly act: ActOptions },
): Promise<BuildResult> {
  refuseSecretsInRequest(asked, forbiddenValues(asked));
  const machine = await parts.machine(act);
  const inputs = await openInputs(parts, machine, asked, act);
  try {
    return await buildFrom(parts, machine, inputs, { names, warnings, act });
  } finally {
    await inputs.close();
  }
}

async function buildFrom(
  parts: Parts,
  machine: Machine,
  inputs: BuildInputs,
  {
    names,
    warnings,
    act,
  }: { readonly names: readonly string[]; readonly warnings: readonly WarningEvent[]; readonly act: ActOptions },
): Promise<BuildResult> {
  const { request } = inputs;
  const forbidden = forbiddenValues(request);
  const graphOptions = toGraphOptions(request);
  const source = await withVertex(LOAD_DOCKERFILE, act.onEvent, () => readDockerfile(request));
  const isIgnored = await readHiddenSources(request.context, {
    dockerfile: source.path,
    ignoreFile: request.ignoreFile,
  });
  const resolver = createResolver(parts, request, act);
  const { graph, stages } = await readGraph(source, { ...act, resolver, graph: { ...graphOptions, isIgnored } });
  const epoch = parseEpoch(
    globalScope(stages, graphOptions).get('SOURCE_DATE_EPOCH') ?? request.buildArgs?.['SOURCE_DATE_EPOCH'],
  );
  requireEpoch(request.outputs ?? [], epoch);
  refuseSecretsInConfig(graph, forbidden);
  requirePlatform(graph);
  await importCaches(parts, request.cacheFrom ?? [], act);
  const blobs = await createBlobMaker(parts, packingFor(request), act);
  const explained = await createExplanations(parts, machine, request);
  const solved = await solveGraph(
    parts,
    machine,
    { inputs, source: source.path, graph, forbidden, blobs, ...explained },
    act,
  );
  const outputs = request.outputs ?? [];
  const image = await withVertex(EXPORT, act.onEvent, async () =>
    exportImage(parts, graph, { solved, blobs, names, epoch, isKept: outputs.length === 0 || outputs.some(isKept) }),
  );
  await exportCaches(parts, request.cacheTo ?? [], new Set(diffIdsOf(solved.target)), act);
  const produced = await produceOutputs(
    parts,
    {
      id: image.id,
      config: image.imageConfig,
      baseLayers: graph.image.base?.rootfs.diff_ids.length ?? 0,
      names,
      annotations: request.annotations,
      epoch,
    },
    annotated(request),
    act,
  );
  return {
    imageId: produced.id ?? image.id,
    manifest: produced.manifest ?? image.manifest?.descriptor,
    names,
    pushed: produced.pushed,
    explanations: explained.list,
    config: image.imageConfig.config ?? {},
    steps: solved.steps,
    warnings,
    size: await sizeOf(parts, solved),
  };
}

const LOAD_DOCKERFILE = { id: 'load dockerfile', name: '[internal] load build definition' };
const EXPORT = { id: 'export image', name: 'exporting to image' };

function toGraphOptions(request: BuildRequest): GraphOptions {
  const { target, buildArgs, labels, noCache, noCacheFilter, platform, contexts } = request;
  const { network, extraHosts, shmSize, ulimits } = request;
  const host = hostPlatform();
  const platforms = { platform: platform ?? host, buildPlatform: host };
  return {
    target,
    buildArgs,
    labels,
    noCache,
    noCacheFilter,
    ...platforms,
    contexts: contexts && graphContexts(contexts),
    network,
    extraHosts,
    shmSize,
    ulimits,
  };
}

/** How layers are packed while steps run: as the first output that needs blobs wants it. */
function packingFor({ complete = false, outputs = [], cacheTo = [] }: BuildRequest): Packing | undefined {
  const wanted = outputs.find((output) => packingOf(output) !== undefined && output.rewriteTimestamp !== true);
  return (wanted && packingOf(wanted)) ?? (complete || cacheTo.length > 0 ? DEFAULT_PACKING : undefined);
}

/** Annotations belong to a manifest: a build without outputs gets one for them. */
function annotated({ outputs = [], annotations = {} }: BuildRequest): readonly BuildOutput[] {
  return outputs.length === 0 && Object.keys(annotations).length > 0 ? [{ type: 'image' }] : outputs;
}

/** Steps of another machine cannot run here. @throws `PLATFORM_UNSUPPORTED` naming the line */
function requirePlatform({ vertices, image: { platform } }: Graph): void {
  const step = vertices.find(({ op }) => op.type === 'exec');
  if (!step || runsOn(platform, hostPlatform())) return;
  const own = formatPlatform(hostPlatform());
  throw new EngineError(
    'PLATFORM_UNSUPPORTED',
    `Cannot build for ${formatPlatform(platform)}: ${step.name} must run, and this machine runs ${own}`,
    { hint: `Build on such a machine, or with --platform ${own}`, location: step.location, vertex: step.id },
  );
}

/** How {@link build} reads a Dockerfile, for those who only want to know what it says. */
export function describeOptions(parts: Parts, request: BuildRequest, act: ActOptions = {}): DescribeOptions {
  return { ...act, resolver: createResolver(parts, request, act), graph: toGraphOptions(request) };
}

function createResolver(parts: Parts, { pull }: BuildRequest, act: ActOptions): Resolver {
  return { resolve: (reference, platform) => resolveImage(parts, reference, platform, { ...act, pull }) };
}

async function solveGraph(
  parts: Parts,
  machine: Machine,
  {
    inputs,
    source,
    graph,
    forbidden,
    blobs,
    onMiss,
  }: {
    readonly inputs: BuildInputs;
    readonly source: string | undefined;
    readonly graph: Graph;
    readonly forbidden: readonly ForbiddenValue[];
    readonly blobs: BlobMaker;
    readonly onMiss: SolveParts['onMiss'];
  },
  act: ActOptions,
): Promise<Solved> {
  const { request } = inputs;
  const found = await createBuildExecutor(parts, machine, {
    inputs,
    dockerfile: source,
    platform: graph.image.platform,
    forbidden,
    act,
  });
  const lost = new Set<Digest>();
  const executor: Executor = { ...found, has: async (layer, below) => !lost.has(layer) && found.has(layer, below) };
  const isolation = machine.isolation.rung;
  const warn = (message: string): void => act.onEvent?.({ type: 'warning', message });
  const cache = createLocalCache(parts.store.records, { isolation, warn });
  const solveParts = {
    executor,
    cache,
    concurrency: Math.max(2, availableParallelism()),
    now: () => new Date(),
    onMiss,
    onRef: packLayers(graph, blobs, needsAllStages(request)),
  };
  try {
    return await withoutLost(graph, { lost, warn }, () => solve(graph, solveParts, act));
  } catch (error) {
    await blobs.stop();
    throw error;
  }
}

function needsAllStages({ completeStages = false, cacheTo = [] }: BuildRequest): boolean {
  return completeStages || cacheTo.some(({ mode }) => mode === 'max');
}

/** Gathers why steps ran; compared with the records that were there before. */
async function createExplanations(
  { store }: Parts,
  { isolation }: Machine,
  { explain = false }: BuildRequest,
): Promise<{ readonly list: readonly Explanation[]; readonly onMiss: SolveParts['onMiss'] }> {
  if (!explain) return { list: [], onMiss: undefined };
  const records = await store.records.untracked.list();
  const list: Explanation[] = [];
  return {
    list,
    onMiss: ({ id, name }, miss) => list.push({ vertex: id, name, reason: explainMiss(miss, records, isolation.rung) }),
  };
}

/** Layers of the image itself are packed as soon as they are known; those of other stages when an outer cache will take them. */
function packLayers(graph: Graph, blobs: BlobMaker, allStages: boolean): (id: VertexId, ref: Ref) => void {
  const vertices = new Map(graph.vertices.map((vertex) => [vertex.id, vertex]));
  const chain = new Set<VertexId>();
  for (let id: VertexId | undefined = graph.target; id !== undefined; id = vertices.get(id)?.inputs[0]) chain.add(id);
  return (id, ref) => {
    if (allStages || chain.has(id)) blobs.start(ref);
  };
}

/** Layers and draft become config and, with blobs, manifest; names are given last, when everything they name is there. */
async function exportImage(
  { store }: Parts,
  graph: Graph,
  {
    solved,
    blobs,
    names,
    epoch,
    isKept,
  }: {
    readonly solved: Solved;
    readonly blobs: BlobMaker;
    readonly names: readonly string[];
    readonly epoch: number | undefined;
    /** False: only files or an archive were asked for. */
    readonly isKept: boolean;
  },
): Promise<AssembledImage> {
  const descriptors = await blobs.finish(solved.target);
  const layers = graph.image.history.flatMap(({ vertex }) => {
    if (vertex === undefined) return [];
    const ref = solved.refs.get(vertex);
    if (!ref) throw new Error(`The image needs vertex ${vertex}, which was not solved`);
    if (ref.own === null || ref.own === undefined) return [null];
    return [{ diffId: ref.own, createdAt: ref.createdAt ?? '', descriptor: descriptors?.at(ref.layers.length - 1) }];
  });
  const baseLayers = descriptors?.slice(0, graph.image.base?.rootfs.diff_ids.length ?? 0);
  const created = epoch === undefined ? undefined : toTime(epoch);
  const image = assemble({ draft: graph.image, layers, baseLayers, created });
  await store.content.write(image.config.descriptor.mediaType, image.config.content);
  if (image.manifest) await store.content.write(image.manifest.descriptor.mediaType, image.manifest.content);
  if (isKept) await store.images.put({ id: image.id, manifest: image.manifest?.descriptor, names });
  return image;
}

async function sizeOf({ store }: Parts, { target }: Solved): Promise<number> {
  const records = await Promise.all(diffIdsOf(target).map((diffId) => store.layers.get(diffId)));
  return records.reduce((sum, record) => sum + (record?.size ?? 0), 0);
}

/** Keeps the warnings for the result. What many steps say alike is said once. */
function collecting(warnings: WarningEvent[], onEvent: OnEvent | undefined): OnEvent {
  return (event) => {
    if (event.type === 'warning') {
      if (warnings.some(({ message, location }) => message === event.message && location === event.location)) return;
      warnings.push(event);
    }
    onEvent?.(event);
  };
}
