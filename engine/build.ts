import { availableParallelism } from 'node:os';
import { createLocalCache } from './cache/index.ts';
import { withVertex, type ActOptions, type OnEvent, type WarningEvent } from './base/progress.ts';
import { requireAgents } from './build-agents.ts';
import { inlineCache, inlineKeysOf, isInline } from './build-inline.ts';
import { baseManifest, blobsOfBase } from './base-blobs.ts';
import { createBlobMaker, type BlobMaker } from './build-blobs.ts';
import { DEFAULT_PACKING } from './packing.ts';
import {
  checkOutputs,
  isKept,
  packingOf,
  produceOutputs,
  refuseRewrittenInline,
  requireEpoch,
  type BuiltImage,
} from './build-outputs.ts';
import { primaryOf, produceSeveral } from './build-several.ts';
import { exportCaches, importCaches } from './build-cache.ts';
import { withLayouts } from './build-contexts.ts';
import { readDockerfile } from './build-file.ts';
import { isForSeveral, planImages, platformsOf } from './build-plan.ts';
import { openInputs, type BuildInputs } from './build-inputs.ts';
import { createBuildExecutor } from './build-executor.ts';
import { withoutLost } from './build-lost.ts';
import type { Machine, Parts } from './connect.ts';
import type { BuildOutput, BuildRequest, BuildResult, Explanation } from './engine.ts';
import { requireMachines } from './emulation.ts';
import { checkEpoch, toTime } from './epoch.ts';
import { type Graph, type Vertex, type VertexId } from './graph/index.ts';
import { hostPlatform } from './host-platform.ts';
import { assemble, type AssembledImage } from './image/assemble.ts';
import type { Descriptor, Digest } from './image/types.ts';
import { withStore } from './leftovers.ts';
import { createStepNetworks } from './runtime/index.ts';
import { requireTag } from './names.ts';
import {
  explainMiss,
  solveAll,
  type Executor,
  type Miss,
  type Ref,
  type SolvedAll,
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
  if (isInline(request)) refuseRewrittenInline(request.outputs ?? []);
  checkEpoch(request.buildArgs);
  checkOutputs(request.outputs ?? [], names, { isForSeveral: isForSeveral(request) });
  await requireAgents(request.ssh ?? []);
  const warnings: WarningEvent[] = [];
  const act = { ...options, onEvent: collecting(warnings, options.onEvent) };
  // Probed while the lock is waited for; what it finds is asked for below.
  parts.machine(act).catch(() => undefined);
  const platforms = [...platformsOf(request), hostPlatform()];
  return await withStore(parts, act, async () => {
    const asked = await withLayouts(parts, request, { ...act, platforms });
    return await buildLocked(parts, asked, { names, warnings, act });
  });
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
  const source = await withVertex(LOAD_DOCKERFILE, act.onEvent, () => readDockerfile(request));
  const plans = await planImages(parts, inputs, source, act);
  for (const { graph, epoch } of plans) {
    requireEpoch(request.outputs ?? [], epoch);
    refuseSecretsInConfig(graph, forbidden);
  }
  const vertices = [
    ...new Map(plans.flatMap(({ graph }) => graph.vertices.map((vertex) => [vertex.id, vertex]))).values(),
  ];
  await requireMachines(vertices, hostPlatform());
  await importCaches(parts, request.cacheFrom ?? [], act);
  const blobs = await createBlobMaker(parts, packingFor(request), act);
  const explained = await createExplanations(parts, machine, request);
  const targets = plans.map(({ graph }) => graph.target);
  const work = { inputs, source: source.path, vertices, targets, forbidden, blobs, ...explained };
  const solved = await solveGraph(parts, machine, work, act);
  const outputs = request.outputs ?? [];
  const isAlone = !isForSeveral(request);
  const isImageKept = isAlone && (outputs.length === 0 || outputs.some(isKept));
  const images = await withVertex(EXPORT, act.onEvent, async () => {
    const made: BuiltImage[] = [];
    for (const [at, { graph, epoch }] of plans.entries()) {
      const target = solved.targets[at] ?? { layers: [] };
      const more = isInline(request) ? await carriedCache(parts, graph, solved.keys, act) : undefined;
      const base = await baseManifest(parts, graph);
      const baseBlobs = await blobsOfBase(parts, base);
      const how = {
        more,
        target,
        refs: solved.refs,
        blobs,
        base,
        baseBlobs,
        names: isAlone ? names : [],
        epoch,
        isKept: isImageKept,
      };
      made.push(toBuilt(graph, await exportImage(parts, graph, how), { names, request, epoch, baseBlobs }));
    }
    return made;
  });
  const [first] = images;
  if (!first) throw new Error('A build makes at least one image');
  const layers = new Set(images.flatMap(({ config }) => config.rootfs.diff_ids));
  await exportCaches(parts, request.cacheTo ?? [], layers, act);
  const produced = isAlone
    ? await produceOutputs(parts, first, annotated(request), act)
    : await produceSeveral(parts, images, outputs.length === 0 ? [{ type: 'image' }] : outputs, act);
  return {
    imageId: produced.id ?? first.id,
    manifest: produced.manifest ?? first.manifest,
    ...(produced.platforms ? { platforms: produced.platforms } : {}),
    names,
    pushed: produced.pushed,
    explanations: explained.list,
    config: primaryOf(images, hostPlatform()).config.config ?? {},
    steps: solved.steps,
    warnings,
    size: await sizeOf(parts, layers),
  };
}

function toBuilt(
  { image: { base, platform } }: Graph,
  { id, imageConfig, manifest }: AssembledImage,
  {
    names,
    request,
    epoch,
    baseBlobs,
  }: {
    readonly names: readonly string[];
    readonly request: BuildRequest;
    readonly epoch: number | undefined;
    readonly baseBlobs: readonly Descriptor[];
  },
): BuiltImage {
  const baseLayers = base?.rootfs.diff_ids.length ?? 0;
  const { annotations } = request;
  const found = { id, config: imageConfig, manifest: manifest?.descriptor, platform };
  return { ...found, baseLayers, baseBlobs, names, annotations, epoch };
}

const LOAD_DOCKERFILE = { id: 'load dockerfile', name: '[internal] load build definition' };
const EXPORT = { id: 'export image', name: 'exporting to image' };

/** How layers are packed while steps run: as the first output that needs blobs wants it. */
function packingFor(request: BuildRequest): Packing | undefined {
  const { complete = false, outputs = [], cacheTo = [] } = request;
  const wanted = outputs.find((output) => packingOf(output) !== undefined && output.rewriteTimestamp !== true);
  return (
    (wanted && packingOf(wanted)) ??
    (complete || cacheTo.some(({ type }) => type !== 'inline') || isForSeveral(request) ? DEFAULT_PACKING : undefined)
  );
}

/** Annotations belong to a manifest: a build without outputs gets one for them. */
function annotated({ outputs = [], annotations = {} }: BuildRequest): readonly BuildOutput[] {
  return outputs.length === 0 && Object.keys(annotations).length > 0 ? [{ type: 'image' }] : outputs;
}

async function solveGraph(
  parts: Parts,
  machine: Machine,
  {
    inputs,
    source,
    vertices,
    targets,
    forbidden,
    blobs,
    onMiss,
  }: {
    readonly inputs: BuildInputs;
    readonly source: string | undefined;
    readonly vertices: readonly Vertex[];
    readonly targets: readonly VertexId[];
    readonly forbidden: readonly ForbiddenValue[];
    readonly blobs: BlobMaker;
    readonly onMiss: SolveParts['onMiss'];
  },
  act: ActOptions,
): Promise<SolvedAll> {
  const { request } = inputs;
  const isPacked = packedVertices(vertices, targets, needsAllStages(request));
  const mounts = parts.mounts.track();
  const networks = createStepNetworks({
    store: parts.store,
    connection: { helper: machine.helper, probe: machine.isolation.probe, root: parts.options.root },
  });
  const found = await createBuildExecutor(parts, machine, {
    inputs,
    dockerfile: source,
    forbidden,
    packingOf: (id) => (isPacked(id) ? packingFor(request) : undefined),
    networks,
    mounts,
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
    onMiss: (vertex: Vertex, miss: Miss) => {
      mounts.step(vertex.id, miss.key);
      onMiss?.(vertex, miss);
    },
    onRef: (id: VertexId, ref: Ref) => (isPacked(id) ? blobs.start(ref) : undefined),
  };
  try {
    const solved = await withoutLost({ vertices }, { lost, warn }, () =>
      solveAll({ vertices, targets }, solveParts, act),
    );
    mounts.keep(forbidden);
    return solved;
  } catch (error) {
    await blobs.stop();
    throw error;
  } finally {
    // What stays is collected by the next command.
    await networks.close().catch(() => undefined);
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
function packedVertices(
  all: readonly Vertex[],
  targets: readonly VertexId[],
  allStages: boolean,
): (id: VertexId) => boolean {
  const chain = new Set(targets.flatMap((target) => chainOf(all, target)));
  return (id) => allStages || chain.has(id);
}

/** A vertex and those whose layers it stands on. */
function chainOf(all: readonly Vertex[], target: VertexId): readonly VertexId[] {
  const below = new Map(all.map(({ id, inputs }) => [id, inputs[0]]));
  const chain: VertexId[] = [];
  for (let id: VertexId | undefined = target; id !== undefined; id = below.get(id)) chain.push(id);
  return chain;
}

/** Layers and draft become config and, with blobs, manifest; names are given last, when everything they name is there. */
async function exportImage(
  { store }: Parts,
  graph: Graph,
  {
    more,
    target,
    refs,
    blobs,
    base,
    baseBlobs,
    names,
    epoch,
    isKept,
  }: {
    readonly more: Readonly<Record<string, unknown>> | undefined;
    readonly target: Ref;
    readonly refs: ReadonlyMap<VertexId, Ref>;
    readonly blobs: BlobMaker;
    /** The manifest of the base, and the blobs that it names. */
    readonly base: Descriptor | undefined;
    readonly baseBlobs: readonly Descriptor[];
    readonly names: readonly string[];
    readonly epoch: number | undefined;
    /** False: only files or an archive were asked for. */
    readonly isKept: boolean;
  },
): Promise<AssembledImage> {
  const descriptors = await blobs.finish(target, baseBlobs);
  const layers = graph.image.history.flatMap(({ vertex }) => {
    if (vertex === undefined) return [];
    const ref = refs.get(vertex);
    if (!ref) throw new Error(`The image needs vertex ${vertex}, which was not solved`);
    if (ref.own === null || ref.own === undefined) return [null];
    return [{ diffId: ref.own, createdAt: ref.createdAt ?? '', descriptor: descriptors?.at(ref.layers.length - 1) }];
  });
  const baseLayers = descriptors?.slice(0, graph.image.base?.rootfs.diff_ids.length ?? 0);
  const created = epoch === undefined ? undefined : toTime(epoch);
  const image = assemble({ draft: graph.image, layers, baseLayers, created, more });
  await store.content.write(image.config.descriptor.mediaType, image.config.content);
  if (image.manifest) await store.content.write(image.manifest.descriptor.mediaType, image.manifest.content);
  if (isKept) await store.images.put({ id: image.id, manifest: image.manifest?.descriptor, base, names });
  return image;
}

async function carriedCache(
  parts: Parts,
  { vertices, target }: Graph,
  keys: SolvedAll['keys'],
  { onEvent }: ActOptions,
): Promise<Readonly<Record<string, unknown>>> {
  const onTooLarge = (message: string): void => onEvent?.({ type: 'warning', message });
  return await inlineCache(parts, inlineKeysOf(vertices, new Set(chainOf(vertices, target)), keys), { onTooLarge });
}

async function sizeOf({ store }: Parts, layers: ReadonlySet<Digest>): Promise<number> {
  const records = await Promise.all([...layers].map((diffId) => store.layers.get(diffId)));
  return records.reduce((sum, record) => sum + (record?.size ?? 0), 0);
}

/** Keeps the warnings for the result. What many steps say alike is said once. */
function collecting(warnings: WarningEvent[], onEvent: OnEvent | undefined): OnEvent {
  return (event) => {
    if (event.type === 'warning') {
      const isSame = ({ message, location }: WarningEvent): boolean =>
        message === event.message && JSON.stringify(location) === JSON.stringify(event.location);
      if (warnings.some(isSame)) return;
      warnings.push(event);
    }
    onEvent?.(event);
  };
}
