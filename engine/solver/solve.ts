import { isDeepStrictEqual } from 'node:util';
import type { StepCache } from '../cache/index.ts';
import type { CacheRecord, Lineage } from '../store/types.ts';
import { EngineError } from '../base/errors.ts';
import { createLimit } from '../base/limit.ts';
import { withVertex, type ActOptions } from '../base/progress.ts';
import type {
  CopyFileAction,
  ExecMount,
  ExecOp,
  FileAction,
  FileOp,
  Graph,
  ImageOp,
  Vertex,
  VertexId,
} from '../graph/types.ts';
import { chainIds } from '../image/chain-id.ts';
import type { Digest } from '../image/types.ts';
import type { Miss } from './explain.ts';
import { literal } from '../graph/path.ts';
import {
  contentKey,
  definitionKey,
  execDefinitionKey,
  execKey,
  imageKey,
  linkKey,
  scratchKey,
  shapeKey,
  traceKey,
  type Key,
} from './key.ts';
import { tornBetween, toLineage, type Making } from './lineage.ts';
import { commentHint } from './ops/comment.ts';
import type { Executor, FileResult, RecordKeys, Ref, Solved, SolvedAll } from './types.ts';

/** What solving needs beside the graph. */
export interface SolveParts {
  readonly executor: Executor;
  readonly cache: StepCache;
  /** How many steps may run at a time. */
  readonly concurrency: number;
  /** The time of a step that has just run. */
  readonly now: () => Date;
  /** Hears of each ref as soon as it is known, cached or made: its blobs may be made while later steps run. */
  readonly onRef?: ((id: VertexId, ref: Ref) => void) | undefined;
  /** Hears of each step that is about to run, with its key: it was no hit. */
  readonly onMiss?: ((vertex: Vertex, miss: Miss) => void) | undefined;
}

/** A key, and the one by which a COPY --from can be found before its stage is built. */
interface StepKey extends Key {
  readonly definition?: Key | undefined;
  /** Of a COPY from outside: what is told of its files without reading them. */
  readonly shape?: Key | undefined;
  /** Of a step that takes files from stages: that something like it was done, {@link traceKey}. */
  readonly traces?: readonly Key[] | undefined;
  /** Where the key is what a definition tells: the key by the content of the files that the stages give in this build. */
  readonly byContent?: (() => Promise<Key>) | undefined;
  /** The step had to be done for its key, and gave this. */
  readonly made?: Ref | undefined;
}

const NOTHING: Ref = { layers: [] };

type FileStep = Vertex & { readonly op: FileOp };
type Step = Vertex & { readonly op: ExecOp | FileOp };

/**
 * Solves the graph from its target backwards and stops at cache hits (DESIGN.md 2, step 6; spec/engine.md 4c): a vertex is only looked at
 * when something needs its key or its files, so a stage that is copied from is not built when the copy is found by its definition.
 *
 * Independent vertices run in parallel, and nothing is begun that may turn out not to be needed. The first failure cancels what runs, and is
 * thrown when all of it has ended.
 */
export async function solve(
  { vertices, target }: Pick<Graph, 'vertices' | 'target'>,
  parts: SolveParts,
  options: ActOptions = {},
): Promise<Solved> {
  const { targets, ...solved } = await solveAll({ vertices, targets: [target] }, parts, options);
  const [ref = NOTHING] = targets;
  return { target: ref, ...solved };
}

/** {@link solve} of several targets at once; what they have in common is done once. */
export async function solveAll(
  { vertices, targets }: { readonly vertices: readonly Vertex[]; readonly targets: readonly VertexId[] },
  parts: SolveParts,
  options: ActOptions = {},
): Promise<SolvedAll> {
  const failed = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, failed.signal]) : failed.signal;
  const build: Build = {
    executed: new Set(),
    told: new Set(),
    mistrusted: new Set(),
    made: new Map(),
    firsts: new Map(),
  };
  for (const vertex of vertices) if (isCounted(vertex)) announce(vertex, options);
  for (;;) {
    const run = createRun(vertices, parts, build, { ...options, signal }, (error) => failed.abort(error));
    try {
      const refs = await Promise.all(targets.map((id) => run.refOf(id)));
      await run.idle();
      const torn = run.torn();
      if (torn.length === 0)
        return { targets: refs, refs: run.refs, keys: run.keys, steps: finish(vertices, run, options) };
      for (const id of torn) build.mistrusted.add(id);
    } catch (error) {
      failed.abort(error);
      await run.idle();
      // The first failure, not the cancellation that it caused elsewhere.
      throw options.signal?.aborted ? options.signal.reason : failed.signal.reason;
    }
  }
}

/**
 * What a build knows when it asks again, since steps that were found by their definition turned out to have files of another making of a RUN than
 * the rest. Each time it trusts fewer of them.
 */
interface Build {
  readonly executed: Set<VertexId>;
  /** Vertices that are said to be cached. */
  readonly told: Set<VertexId>;
  /** Steps whose definition does not count. */
  readonly mistrusted: Set<VertexId>;
  /** What steps without cache gave: by step, key and state below. */
  readonly made: Map<string, Ref>;
  /** What was done for its key: by step, shape and state below. */
  readonly firsts: Map<string, StepKey>;
}

interface Run {
  refOf(id: VertexId): Promise<Ref>;
  /** Resolves when nothing is asked for, done or remembered any more. */
  idle(): Promise<void>;
  readonly refs: ReadonlyMap<VertexId, Ref>;
  readonly keys: ReadonlyMap<VertexId, RecordKeys>;
  readonly executed: ReadonlySet<VertexId>;
  /** Steps that were found by their definition, and do not fit the rest: {@link tornBetween}. To be asked when all is done. */
  torn(): readonly VertexId[];
}

function createRun(
  all: readonly Vertex[],
  parts: SolveParts,
  build: Build,
  options: ActOptions & { readonly signal: AbortSignal },
  fail: (error: unknown) => void,
): Run {
  const { executor, cache, now } = parts;
  const vertices = new Map(all.map((vertex) => [vertex.id, vertex]));
  const limit = createLimit(parts.concurrency);
  const refs = new Map<VertexId, Ref>();
  const { executed } = build;
  const keys = new Map<VertexId, RecordKeys>();
  /** Steps whose definition told another key than their files have: what is above them has keys that are not to be remembered. */
  const strayed = new Set<VertexId>();
  const looseKeys = new Map<VertexId, Digest>();
  /** Of steps whose key their definition told: what the RUNs gave that their files came from. */
  const taken = new Map<VertexId, Lineage>();
  const pending = new Set<Promise<unknown>>();
  const memo = <R extends readonly unknown[], T>(act: (id: string, ...rest: R) => Promise<T>): typeof act =>
    memoized(act, pending);

  const vertexOf = (id: VertexId): Vertex => {
    const vertex = vertices.get(id);
    if (!vertex) throw new Error(`The graph has no vertex ${id}`);
    return vertex;
  };
  const inputOf = (vertex: Vertex, index: number): VertexId => {
    const id = vertex.inputs[index];
    if (id === undefined) throw new Error(`Vertex ${vertex.name} has no input ${index}`);
    return id;
  };

  const refOf = memo(async (id: VertexId): Promise<Ref> => {
    const vertex = vertexOf(id);
    const ref = await solveVertex(vertex);
    refs.set(id, ref);
    if (!vertex.internal) parts.onRef?.(id, ref);
    return ref;
  });

  const keyOf = memo(async (id: VertexId): Promise<StepKey> => {
    const key = await computeKey(id);
    if (!isLink(vertexOf(id))) keys.set(id, recordKeysOf(key));
    return key;
  });

  async function computeKey(id: VertexId): Promise<StepKey> {
    const vertex = vertexOf(id);
    switch (vertex.op.type) {
      case 'scratch':
        return scratchKey();
      case 'image':
        return imageKey(vertex.op);
      case 'exec':
        return await runKey(vertex, vertex.op);
      case 'file': {
        if (!vertex.op.link) {
          const input = inputOf(vertex, 0);
          return await fileKey({ ...vertex, op: vertex.op }, { key: () => keyOf(input), ref: () => refOf(input) });
        }
        const [base, layer] = await both(keyOf(inputOf(vertex, 0)), layerKeyOf(id));
        return linkKey(base.key, layer.key);
      }
    }
  }

  /** The key of the layer that a `COPY --link` makes on nothing. */
  const layerKeyOf = memo(async (id: VertexId): Promise<StepKey> => {
    const vertex = vertexOf(id);
    if (vertex.op.type !== 'file') throw new Error(`Vertex ${vertex.name} makes no layer on nothing`);
    const nothing = { key: async () => scratchKey(), ref: async () => NOTHING };
    const key = await fileKey({ ...vertex, op: vertex.op }, nothing);
    keys.set(id, recordKeysOf(key));
    return key;
  });

  /** A vertex whose definition says nothing about its result: it, or something below it, is built without cache. */
  const isVolatile = memo(async (id: VertexId): Promise<boolean> => {
    const vertex = vertexOf(id);
    return vertex.ignoreCache || (await Promise.all(vertex.inputs.map(isVolatile))).includes(true);
  });

  async function solveVertex(vertex: Vertex): Promise<Ref> {
    const { op } = vertex;
    if (op.type === 'scratch') return { layers: [] };
    if (op.type === 'image') return solveImage(vertex, op);
    if (op.type === 'file' && op.link) return await solveLink({ ...vertex, op });
    const [base, key] = await both(refOf(inputOf(vertex, 0)), keyOf(vertex.id));
    if (key.made) return key.made;
    return (await recall(vertex, base, key)) ?? (await renew({ ...vertex, op }, base, key));
  }

  /** The layer on nothing, and at the same time the state below; nothing is done to put one on the other. */
  async function solveLink(vertex: Step): Promise<Ref> {
    const onNothing = async (): Promise<Ref> => {
      const key = await layerKeyOf(vertex.id);
      return key.made ?? (await recall(vertex, NOTHING, key)) ?? (await renew(vertex, NOTHING, key));
    };
    const [base, { own = null, createdAt = '' }] = await both(refOf(inputOf(vertex, 0)), onNothing());
    return extend(base, own, createdAt);
  }

  async function solveImage(vertex: Vertex, op: ImageOp): Promise<Ref> {
    hit(vertex);
    const made = op.config.history?.filter((entry) => !entry.empty_layer) ?? [];
    return {
      layers: op.config.rootfs.diff_ids.map((diffId, at) => ({
        diffId,
        createdAt: made[at]?.created ?? op.config.created,
      })),
      createdAt: op.config.created,
    };
  }

  /**
   * What a record gives that was made on the same layers and whose own layer can be had. What was found by its content can be found by its
   * definition from now on.
   */
  async function recall(vertex: Vertex, base: Ref, key: StepKey): Promise<Ref | undefined> {
    if (vertex.ignoreCache) return build.made.get(placeOf(vertex, key, base));
    if (vertex.internal) return undefined;
    const record = await cache.find(key.key);
    if (!record || record.base !== chainOf(base)) return undefined;
    if (record.diffId !== null && !(await executor.has(record.diffId, diffIdsOf(base)))) return undefined;
    hit(vertex);
    if (!isAstray(vertex)) await putAliases(vertex, key, record);
    return extend(base, record.diffId, record.createdAt);
  }

  function hit(vertex: Vertex): void {
    if (build.told.has(vertex.id)) return;
    build.told.add(vertex.id);
    const at = Date.now();
    options.onEvent?.({ type: 'vertex', id: vertex.id, name: vertex.name, started: at, completed: at, cached: true });
  }

  /**
   * Does a step of which nothing can be had. Where its key is only told by its definition, its stages may have been done again and give other files
   * than that key stands for: then it has the key of those, and so has its definition from now on.
   */
  async function renew(vertex: Step, base: Ref, told: StepKey): Promise<Ref> {
    const { byContent, ...rest } = told;
    if (!byContent) return await execute(vertex, base, told);
    const key: StepKey = { ...rest, ...(await byContent()) };
    taken.delete(vertex.id);
    if (key.key === told.key) return await execute(vertex, base, key);
    strayed.add(vertex.id);
    keys.set(vertex.id, recordKeysOf(key));
    return (await recall(vertex, base, key)) ?? (await execute(vertex, base, key));
  }

  /** Whether the key of a vertex is made from one that turned out to stand for other files. */
  function isAstray({ inputs }: Vertex): boolean {
    if (strayed.size === 0) return false;
    const below = new Set(inputs);
    // What is added is visited too.
    for (const id of below) for (const input of vertexOf(id).inputs) below.add(input);
    return [...below].some((id) => strayed.has(id));
  }

  async function execute(vertex: Step, base: Ref, key: StepKey): Promise<Ref> {
    const { layer } = await perform(vertex, base, key);
    return await remember(vertex, base, key, layer);
  }

  /** Does a COPY that nothing is remembered of: its key comes out of the one pass over the bytes that makes the layer. */
  async function executeFirst(
    vertex: FileStep,
    base: Ref,
    { below, shape }: { below: string; shape: Key },
  ): Promise<StepKey> {
    const place = placeOf(vertex, shape, base);
    const before = build.firsts.get(place);
    if (before) return before;
    const { layer, digests } = await perform(vertex, base, shape);
    const key = { ...contentKey(vertex.op, digests, below), shape };
    const first = { ...key, made: await remember(vertex, base, key, layer) };
    build.firsts.set(place, first);
    return first;
  }

  async function perform(vertex: Step, base: Ref, { key, op }: Key): Promise<FileResult> {
    parts.onMiss?.(vertex, { key, op, base: chainOf(base), ignoreCache: vertex.ignoreCache });
    // Before it takes one of the places for steps that run: what it waits for needs one too.
    const inputs = await inputLayers(vertex, vertex.op);
    const work = limit(async () => {
      options.signal.throwIfAborted();
      executed.add(vertex.id);
      const { id, name } = vertex;
      return await withVertex({ id, name }, options.onEvent, () => act(vertex, base, inputs), options);
    });
    return await tracked(vertex, work);
  }

  async function act(vertex: Step, base: Ref, inputs: ReadonlyMap<number, readonly Digest[]>): Promise<FileResult> {
    const { op } = vertex;
    const below = { layers: diffIdsOf(base), createdAt: base.createdAt };
    if (op.type === 'file') return await executor.file(vertex, op, below, inputs, options);
    return { layer: await executor.run(vertex, op, below.layers, inputs, options), digests: [] };
  }

  /** Keeps what a step gave. One that gave the layer of its record again, whose bytes were lost, keeps the record's time: the image is the same. */
  async function remember(vertex: Step, base: Ref, key: StepKey, layer: Digest | null): Promise<Ref> {
    const before = vertex.ignoreCache || vertex.internal ? undefined : await cache.find(key.key);
    const isSame = before?.base === chainOf(base) && before.diffId === layer;
    const createdAt = isSame ? before.createdAt : now().toISOString();
    if (!vertex.internal && !isAstray(vertex)) {
      const record = { diffId: layer, base: chainOf(base), createdAt };
      await cache.put({ ...record, key: key.key, op: key.op });
      await putAliases(vertex, key, record);
    }
    const ref = extend(base, layer, createdAt);
    if (vertex.ignoreCache) build.made.set(placeOf(vertex, key, base), ref);
    return ref;
  }

  /** Keeps what tells a step's key before its files are read, where it says something new. */
  async function putAliases(
    vertex: Vertex,
    { key, definition, shape, traces = [] }: StepKey,
    { diffId, base, createdAt }: Pick<CacheRecord, 'diffId' | 'base' | 'createdAt'>,
  ): Promise<void> {
    // Before the definition, which counts only beside them.
    for (const trace of traces) {
      if (!(await cache.find(trace.key))) await cache.put({ ...trace, diffId: null, base: null, createdAt });
    }
    const known = { diffId, base, createdAt, result: key };
    if (shape) await putAlias({ ...shape, ...known });
    if (!definition) return;
    const lineage = toLineage(takenBy(vertex));
    await putAlias({ ...definition, ...known, lineage, traces: traces.map((trace) => trace.key) });
  }

  async function putAlias(alias: Omit<CacheRecord, 'v' | 'isolation'>): Promise<void> {
    const before = await cache.find(alias.key);
    if (before && isSameAlias(before, alias)) return;
    await cache.put(alias);
  }

  /** What the RUNs gave that made the files which a step takes from stages. Its stages are solved, or its definition tells it. */
  function takenBy({ id, op, inputs }: Vertex): readonly Making[] {
    const told = taken.get(id);
    if (told) return Object.entries(told);
    if (op.type !== 'exec' && op.type !== 'file') return [];
    return stagesOf(op).flatMap((index) => behind(inputs[index] ?? '', new Set()));
  }

  /** What the RUNs gave that made the files of a vertex, which is solved. */
  function behind(id: VertexId, visited: Set<VertexId>): readonly Making[] {
    if (visited.has(id)) return [];
    visited.add(id);
    const vertex = vertexOf(id);
    const told = taken.get(id);
    const inputs = told ? vertex.inputs.slice(0, 1) : vertex.inputs;
    const own = vertex.op.type === 'exec' ? makingOf(id) : [];
    return [...inputs.flatMap((input) => behind(input, visited)), ...Object.entries(told ?? {}), ...own];
  }

  function makingOf(id: VertexId): readonly Making[] {
    const [key, own] = [keys.get(id)?.key, refs.get(id)?.own];
    return key === undefined || own === undefined ? [] : [[key, own]];
  }

  /**
   * What the definition of a step tells, where it counts. It does not where what is remembered of a RUN is another making than the one that its
   * files came from: the RUN was done again in the meantime.
   */
  async function findDefinition(vertex: Vertex, stages: readonly number[], definition: Key): Promise<Key | undefined> {
    if (await isUntraced(vertex, stages)) return undefined;
    const { result, op, lineage } = (await cache.find(definition.key)) ?? {};
    if (result === undefined || lineage === undefined) return undefined;
    const isLatest = await Promise.all(Object.entries(lineage).map(isAsRemembered));
    if (isLatest.includes(false)) return undefined;
    taken.set(vertex.id, lineage);
    return { key: result as Digest, op };
  }

  async function isAsRemembered([key, layer]: Making): Promise<boolean> {
    const layers = await latestOf(key);
    return layers === undefined || layers.diffId === layer;
  }

  const latestOf = memo(async (key: string): Promise<CacheRecord | undefined> => await cache.find(key));

  /** The key of a RUN: by its definition where it mounts stages and that is known, else by the content of what it mounts. */
  async function runKey(vertex: Vertex, op: ExecOp): Promise<StepKey> {
    const { platform } = vertex;
    const mounted = stagesOf(op);
    // What is mounted of the context has a key of content, which needs no copy of it.
    const stages = mounted.filter((index) => !vertexOf(inputOf(vertex, index)).internal);
    begin(vertex, stages);
    const base = (await keyOf(inputOf(vertex, 0))).key;
    if (mounted.length === 0) return execKey(op, platform, base);
    const inputs = await inputKeys(vertex, mounted);
    const definition = execDefinitionKey(op, platform, base, inputs);
    const traces = await tracesOf(vertex, stages);
    const told = await findDefinition(vertex, stages, definition);
    const byContent = async (): Promise<Key> => execKey(op, platform, base, await mountDigests(vertex, op, inputs));
    if (told) return { ...told, definition, traces, byContent };
    return { ...(await byContent()), ...(stages.length > 0 ? { definition, traces } : {}) };
  }

  async function inputKeys(vertex: Vertex, indexes: readonly number[]): Promise<ReadonlyMap<number, string>> {
    const keys = indexes.map(async (index) => [index, (await keyOf(inputOf(vertex, index))).key] as const);
    return new Map(await Promise.all(keys));
  }

  /** Whether the definition of a step says nothing about it. */
  async function isUnknown(vertex: Vertex, stages: readonly number[]): Promise<boolean> {
    return (
      vertex.ignoreCache ||
      build.mistrusted.has(vertex.id) ||
      (await Promise.all(stages.map((index) => isVolatile(inputOf(vertex, index))))).includes(true)
    );
  }

  /** Content of what each mount shows; of the context its key says it. */
  async function mountDigests(
    vertex: Vertex,
    op: ExecOp,
    keys: ReadonlyMap<number, string>,
  ): Promise<ReadonlyMap<ExecMount, string>> {
    const ofMounts = (op.mounts ?? []).map(async (mount) => {
      if (!('input' in mount) || mount.input === undefined) return [];
      const id = inputOf(vertex, mount.input);
      if (vertexOf(id).internal) return [[mount, keys.get(mount.input) ?? ''] as const];
      const layers = diffIdsOf(await refOf(id));
      const [digest = ''] = await tracked(
        vertex,
        executor.checksum(vertex, layers, shownBy(mount.input, mount.source), options),
      );
      return [[mount, digest] as const];
    });
    return new Map((await Promise.all(ofMounts)).flat());
  }

  /**
   * The key of a COPY: by its definition where that is known, else by the content of what it copies. A copy from outside of which not even the
   * shape of its files is remembered is done for its key.
   */
  async function fileKey(
    vertex: FileStep,
    below: { readonly key: () => Promise<Key>; readonly ref: () => Promise<Ref> },
  ): Promise<StepKey> {
    const { op } = vertex;
    const stages = stagesOf(op);
    // What is put on nothing waits for nothing below it.
    if (!op.link) begin(vertex, stages);
    const base = (await below.key()).key;
    if (stages.length === 0) {
      const shape = await shapeOf(vertex, base);
      if (shape && (vertex.ignoreCache || (await cache.find(shape.key)) === undefined)) {
        return await executeFirst(vertex, await below.ref(), { below: base, shape });
      }
      return { ...contentKey(op, await contextDigests(vertex, op), base), shape };
    }
    const fromContext = await contextDigests(vertex, op);
    const definition = definitionKey(op, fromContext, base, await inputKeys(vertex, stages));
    const traces = await tracesOf(vertex, stages);
    const told = await findDefinition(vertex, stages, definition);
    const byContent = async (): Promise<Key> => contentKey(op, await stageDigests(vertex, op, fromContext), base);
    if (told) return { ...told, definition, traces, byContent };
    return { ...(await byContent()), definition, traces };
  }

  /** The shape of a copy from outside; undefined where content costs nothing, and for what is never remembered. */
  async function shapeOf(vertex: FileStep, base: string): Promise<Key | undefined> {
    if (vertex.internal) return undefined;
    const { op } = vertex;
    const outside = (action: FileAction): action is CopyFileAction => action.action === 'copy';
    const shapes = await Promise.all(
      op.actions.map(async (action) =>
        outside(action) ? await tracked(vertex, executor.contextShape(action, options)) : null,
      ),
    );
    if (shapes.includes(undefined) || shapes.every((shape) => shape === null)) return undefined;
    return shapeKey(
      op,
      shapes.map((shape) => (shape ? [shape] : [])),
      base,
    );
  }

  /**
   * Starts the stages that a step takes files from while its own key still waits for the state below it. Else stages that do not need each other
   * would be built in a row. A stage is only begun when it is sure that it is needed, since a step may be found without its files.
   */
  function begin(vertex: Vertex, stages: readonly number[]): void {
    const beginAll = async (): Promise<void> =>
      void (await Promise.all(stages.map((index) => refOf(inputOf(vertex, index)))));
    // An error comes back where the step itself asks.
    for (const index of stages)
      void isUntraced(vertex, [index])
        .then((isNeeded) => (isNeeded ? beginAll() : undefined))
        .catch(() => undefined);
  }

  /** Whether no definition of the step can be found, whatever the state below it comes out as. */
  async function isUntraced(vertex: Vertex, stages: readonly number[]): Promise<boolean> {
    if (await isUnknown(vertex, stages)) return true;
    const traced = await Promise.all(stages.map((index) => isTraced(`${index} ${vertex.id}`, vertex, index)));
    return traced.includes(false);
  }

  /** One answer for the whole build: what was begun for it is not found to be of no use. */
  const isTraced = memo(async (_place: string, vertex: Vertex, index: number): Promise<boolean> => {
    return (await cache.find((await traceOf(vertex, index)).key)) !== undefined;
  });

  async function tracesOf(vertex: Vertex, stages: readonly number[]): Promise<readonly Key[]> {
    return await Promise.all(stages.map((index) => traceOf(vertex, index)));
  }

  async function traceOf(vertex: Vertex, index: number): Promise<Key> {
    const { op, platform } = vertex;
    if (op.type !== 'file' && op.type !== 'exec') throw new Error(`Vertex ${vertex.name} takes no files`);
    const below = op.type === 'file' && op.link ? scratchKey().key : looseKeyOf(inputOf(vertex, 0));
    const inputs = new Map([[index, (await keyOf(inputOf(vertex, index))).key]]);
    return traceKey(
      op.type === 'exec' ? execDefinitionKey(op, platform, below, inputs) : definitionKey(op, [], below, inputs),
    );
  }

  /** The key of a vertex without the content of any file: what every key has in common that it may have. Nothing is done or read for it. */
  function looseKeyOf(id: VertexId): Digest {
    const found = looseKeys.get(id);
    if (found !== undefined) return found;
    const { key } = computeLooseKey(vertexOf(id));
    looseKeys.set(id, key);
    return key;
  }

  function computeLooseKey(vertex: Vertex): Key {
    const { op, platform } = vertex;
    switch (op.type) {
      case 'scratch':
        return scratchKey();
      case 'image':
        return imageKey(op);
      case 'exec':
        return execKey(op, platform, looseKeyOf(inputOf(vertex, 0)));
      case 'file': {
        const below = looseKeyOf(inputOf(vertex, 0));
        return op.link ? linkKey(below, contentKey(op, [], scratchKey().key).key) : contentKey(op, [], below);
      }
    }
  }

  async function contextDigests(vertex: Vertex, op: FileOp): Promise<readonly (readonly string[])[]> {
    const digests = op.actions.map(async (action) =>
      action.action === 'copy' && typeof action.from !== 'number'
        ? [await tracked(vertex, executor.contextDigest(action, options))]
        : [],
    );
    return await Promise.all(digests);
  }

  async function stageDigests(
    vertex: Vertex,
    op: FileOp,
    fromContext: readonly (readonly string[])[],
  ): Promise<readonly (readonly string[])[]> {
    const layers = await inputLayers(vertex, op);
    const digests = op.actions.map(async (action, at) => {
      if (action.action !== 'copy' || typeof action.from !== 'number') return fromContext[at] ?? [];
      return await tracked(vertex, executor.checksum(vertex, layers.get(action.from) ?? [], action, options));
    });
    return await Promise.all(digests);
  }

  async function inputLayers(vertex: Vertex, op: ExecOp | FileOp): Promise<ReadonlyMap<number, readonly Digest[]>> {
    const layers = stagesOf(op).map(async (index) => [index, diffIdsOf(await refOf(inputOf(vertex, index)))] as const);
    return new Map(await Promise.all(layers));
  }

  /** Cancels the rest when work fails. Its error gets the step's place. */
  async function tracked<T>(vertex: Vertex, work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      const placed = options.signal.aborted ? error : placeOn(vertex, error);
      fail(placed);
      throw placed;
    }
  }

  return {
    refOf,
    refs,
    keys,
    executed,
    torn: () =>
      tornBetween(
        taken,
        [...refs.keys()].flatMap((id) => (vertexOf(id).op.type === 'exec' ? makingOf(id) : [])),
      ),
    idle: async () => {
      while (pending.size > 0) await Promise.allSettled([...pending]);
    },
  };
}

function isStep(vertex: Vertex): vertex is Step {
  return vertex.op.type === 'exec' || vertex.op.type === 'file';
}

/** A copy on nothing, whose record is that of its own layer. */
function isLink({ op }: Vertex): boolean {
  return op.type === 'file' && op.link === true;
}

/** Where a build remembers what a step without cache gave. */
function placeOf({ id }: Vertex, { key }: Key, base: Ref): string {
  return `${id} ${key} ${chainOf(base)}`;
}

function isSameAlias(before: CacheRecord, alias: Omit<CacheRecord, 'v' | 'isolation'>): boolean {
  const told = ({ result, diffId, base, createdAt, lineage, traces }: typeof alias): readonly unknown[] => [
    result,
    diffId,
    base,
    createdAt,
    lineage,
    traces,
  ];
  return isDeepStrictEqual(told(before), told(alias));
}

function recordKeysOf({ key, definition, shape, traces = [] }: StepKey): RecordKeys {
  return { key, found: [definition, shape, ...traces].flatMap((one) => (one ? [one.key] : [])) };
}

/** A step that the user wrote. */
function isCounted(vertex: Vertex): vertex is Step {
  return isStep(vertex) && !vertex.internal;
}

function announce({ id, name }: Vertex, { onEvent }: ActOptions): void {
  onEvent?.({ type: 'vertex', id, name });
}

/** Counts the steps; those that nobody needed are cached: what they would give was found behind them. */
function finish(vertices: readonly Vertex[], run: Run, { onEvent }: ActOptions): Solved['steps'] {
  const steps = vertices.filter(isCounted);
  const executed = steps.filter(({ id }) => run.executed.has(id)).length;
  for (const { id, name } of steps) {
    if (run.refs.has(id) || run.executed.has(id)) continue;
    const at = Date.now();
    onEvent?.({ type: 'vertex', id, name, started: at, completed: at, cached: true });
  }
  return { total: steps.length, cached: steps.length - executed, executed };
}

/** What a mount shows, as a copy of it. */
function shownBy(from: number, source: string): CopyFileAction {
  return { action: 'copy', from, sources: [literal(source)], dest: '/', destIsDirectory: false, unpack: false };
}

/** Indexes of the inputs that files are taken from. */
function stagesOf(op: ExecOp | FileOp): readonly number[] {
  if (op.type === 'exec') {
    const mounted = (op.mounts ?? []).map((mount) => ('input' in mount ? mount.input : undefined));
    return [...new Set(mounted)].filter((index) => index !== undefined);
  }
  const indexes = op.actions.flatMap((action) =>
    action.action === 'copy' && typeof action.from === 'number' ? [action.from] : [],
  );
  return [...new Set(indexes)];
}

/** Diff ids of a ref's layers, bottom first. */
export function diffIdsOf({ layers }: Ref): readonly Digest[] {
  return layers.map(({ diffId }) => diffId);
}

function chainOf(ref: Ref): Digest | null {
  return chainIds(diffIdsOf(ref)).at(-1) ?? null;
}

function extend(base: Ref, own: Digest | null, createdAt: string): Ref {
  return { layers: own === null ? base.layers : [...base.layers, { diffId: own, createdAt }], createdAt, own };
}

/** Calls `act` once a key. A failure that nobody waits for yet is not lost: every later caller gets it. Adds to `pending` what has not ended. */
function memoized<R extends readonly unknown[], T>(
  act: (id: string, ...rest: R) => Promise<T>,
  pending: Set<Promise<unknown>>,
): typeof act {
  const known = new Map<string, Promise<T>>();
  return (id, ...rest) => {
    const found = known.get(id);
    if (found) return found;
    const started = act(id, ...rest);
    known.set(id, started);
    pending.add(started);
    void started.catch(() => undefined).then(() => pending.delete(started));
    return started;
  };
}

async function both<A, B>(a: Promise<A>, b: Promise<B>): Promise<[A, B]> {
  return await Promise.all([a, b]);
}

function placeOn(vertex: Vertex, error: unknown): unknown {
  if (!(error instanceof EngineError) || error.vertex !== undefined) return error;
  if (error.location !== undefined && error.vertex === undefined) return error;
  const { code, message } = error;
  // A word of a comment is not there, or makes a file of what several sources are to be put into.
  const isAboutWords = code === 'COPY_SOURCE_NOT_FOUND' || code === 'NATIVE_INVALID';
  const hint = (isAboutWords ? commentHint(vertex.op) : undefined) ?? error.hint;
  return new EngineError(code, message, { hint, cause: error, location: vertex.location, vertex: vertex.id });
}
