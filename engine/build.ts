import { availableParallelism } from 'node:os';
import { createLocalCache } from './cache/index.ts';
import { withVertex, type ActOptions, type OnEvent, type WarningEvent } from './base/progress.ts';
import { createBlobMaker, type BlobMaker } from './build-blobs.ts';
import { readDockerfile } from './build-file.ts';
import { createBuildExecutor } from './build-executor.ts';
import { withoutLost } from './build-lost.ts';
import type { Machine, Parts } from './connect.ts';
import type { DescribeOptions } from './build-describe.ts';
import { readGraph } from './build-graph.ts';
import { readHiddenSources } from './context/index.ts';
import type { BuildRequest, BuildResult } from './engine.ts';
import type { Graph, GraphOptions, Resolver, VertexId } from './graph/index.ts';
import { assemble, type AssembledImage } from './image/assemble.ts';
import type { Digest, Platform } from './image/types.ts';
import { withStore } from './leftovers.ts';
import { requireTag } from './names.ts';
import { resolveImage } from './resolve-image.ts';
import { diffIdsOf, solve, type Executor, type Ref, type Solved } from './solver/index.ts';

/**
 * A `docker build`: the steps 2 to 8 of DESIGN.md 2, in order. The same request with every step cached gives the same digest and reads no
 * layer.
 *
 * @throws `DockerfileError` and `StepError` with the line; the registries' errors; `ISOLATION_IMPOSSIBLE` before anything is downloaded
 */
export async function build(parts: Parts, request: BuildRequest, options: ActOptions = {}): Promise<BuildResult> {
  const names = (request.tags ?? []).map(requireTag);
  const warnings: WarningEvent[] = [];
  const act = { ...options, onEvent: collecting(warnings, options.onEvent) };
  return await withStore(parts, act, () => buildLocked(parts, request, { names, warnings, act }));
}

async function buildLocked(
  parts: Parts,
  request: BuildRequest,
  {
    names,
    warnings,
    act,
  }: { readonly names: readonly string[]; readonly warnings: readonly WarningEvent[]; readonly act: ActOptions },
): Promise<BuildResult> {
  const machine = await parts.machine(act);
  const graphOptions = toGraphOptions(request);
  const source = await withVertex(LOAD_DOCKERFILE, act.onEvent, () => readDockerfile(request));
  const isIgnored = await readHiddenSources(request.context, { dockerfile: source.path });
  const resolver = createResolver(parts, request, act);
  const { graph } = await readGraph(source, { ...act, resolver, graph: { ...graphOptions, isIgnored } });
  const blobs = await createBlobMaker(parts, request.complete ?? false, act);
  const solved = await solveGraph(parts, machine, { request, source: source.path, graph, blobs }, act);
  const image = await withVertex(EXPORT, act.onEvent, async () => exportImage(parts, graph, solved, blobs, names));
  return {
    imageId: image.id,
    manifest: image.manifest?.descriptor,
    names,
    config: image.imageConfig.config ?? {},
    steps: solved.steps,
    warnings,
    size: await sizeOf(parts, solved),
  };
}

const LOAD_DOCKERFILE = { id: 'load dockerfile', name: '[internal] load build definition' };
const EXPORT = { id: 'export image', name: 'exporting to image' };

function toGraphOptions({ target, buildArgs, labels, noCache, platform }: BuildRequest): GraphOptions {
  return { target, buildArgs, labels, noCache, platform: platform ?? hostPlatform(), buildPlatform: hostPlatform() };
}

/** How {@link build} reads a Dockerfile, for those who only want to know what it says. */
export function describeOptions(parts: Parts, request: BuildRequest, act: ActOptions = {}): DescribeOptions {
  return { ...act, resolver: createResolver(parts, request, act), graph: toGraphOptions(request) };
}

/** What this machine runs. */
export function hostPlatform(): Platform {
  const names: Readonly<Partial<Record<NodeJS.Architecture, string>>> = { x64: 'amd64', ia32: '386' };
  return { os: 'linux', architecture: names[process.arch] ?? process.arch };
}

function createResolver(parts: Parts, { pull }: BuildRequest, act: ActOptions): Resolver {
  return { resolve: (reference, platform) => resolveImage(parts, reference, platform, { ...act, pull }) };
}

async function solveGraph(
  parts: Parts,
  machine: Machine,
  {
    request,
    source,
    graph,
    blobs,
  }: {
    readonly request: BuildRequest;
    readonly source: string | undefined;
    readonly graph: Graph;
    readonly blobs: BlobMaker;
  },
  act: ActOptions,
): Promise<Solved> {
  const found = await createBuildExecutor(parts, machine, {
    request,
    dockerfile: source,
    platform: graph.image.platform,
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
    onRef: packLayers(graph, blobs, request.completeStages ?? false),
  };
  try {
    return await withoutLost(graph, { lost, warn }, () => solve(graph, solveParts, act));
  } catch (error) {
    await blobs.stop();
    throw error;
  }
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
  solved: Solved,
  blobs: BlobMaker,
  names: readonly string[],
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
  const image = assemble({ draft: graph.image, layers, baseLayers });
  await store.content.write(image.config.descriptor.mediaType, image.config.content);
  if (image.manifest) await store.content.write(image.manifest.descriptor.mediaType, image.manifest.content);
  await store.images.put({ id: image.id, manifest: image.manifest?.descriptor, names });
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
