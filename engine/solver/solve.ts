import type { StepCache } from '../cache/index.ts';
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
  type Key,
} from './key.ts';
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
 * Independent vertices run in parallel. The first failure cancels what runs, and is thrown when all of it has ended.
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
  const run = createRun(vertices, parts, { ...options, signal }, (error) => failed.abort(error));
  for (const vertex of vertices) if (isCounted(vertex)) announce(vertex, options);
  try {
    const refs = await Promise.all(targets.map((id) => run.refOf(id)));
    return { targets: refs, refs: run.refs, keys: run.keys, steps: finish(vertices, run, options) };
  } catch (error) {
    failed.abort(error);
    await run.idle();
    // The first failure, not the cancellation that it caused elsewhere.
    throw options.signal?.aborted ? options.signal.reason : failed.signal.reason;
  }
}

interface Run {
  refOf(id: VertexId): Promise<Ref>;
  /** Resolves when no step runs any more. */
  idle(): Promise<void>;
  readonly refs: ReadonlyMap<VertexId, Ref>;
  readonly keys: ReadonlyMap<VertexId, RecordKeys>;
  readonly executed: ReadonlySet<VertexId>;
}

function createRun(
  all: readonly Vertex[],
  parts: SolveParts,
  options: ActOptions & { readonly signal: AbortSignal },
  fail: (error: unknown) => void,
): Run {
  const { executor, cache, now } = parts;
  const vertices = new Map(all.map((vertex) => [vertex.id, vertex]));
  const limit = createLimit(parts.concurrency);
  const refs = new Map<VertexId, Ref>();
  const executed = new Set<VertexId>();
  const keys = new Map<VertexId, RecordKeys>();
  const running = new Set<Promise<unknown>>();
  const delays = new Map<VertexId, Delay>();
  const delayOf = (id: VertexId): Delay => {
    const delay = delays.get(id) ?? createDelay();
    delays.set(id, delay);
    return delay;
  };

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
    try {
      const key = await computeKey(id);
      if (!isLink(vertexOf(id))) keys.set(id, recordKeysOf(key));
      return key;
    } finally {
      delayOf(id).settle(false);
    }
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
    const hit = await find(vertex, base, key.key);
    if (hit) return hit;
    return await execute({ ...vertex, op }, base, key);
  }

  /** The layer on nothing, and at the same time the state below; nothing is done to put one on the other. */
  async function solveLink(vertex: Step): Promise<Ref> {
    const onNothing = async (): Promise<Ref> => {
      const key = await layerKeyOf(vertex.id);
      return key.made ?? (await find(vertex, NOTHING, key.key)) ?? (await execute(vertex, NOTHING, key));
    };
    const [base, { own = null, createdAt = '' }] = await both(refOf(inputOf(vertex, 0)), onNothing());
    return extend(base, own, createdAt);
  }

  async function solveImage(vertex: Vertex, op: ImageOp): Promise<Ref> {
    options.onEvent?.({
      type: 'vertex',
      id: vertex.id,
      name: vertex.name,
      started: Date.now(),
      completed: Date.now(),
      cached: true,
    });
    const made = op.config.history?.filter((entry) => !entry.empty_layer) ?? [];
    return {
      layers: op.config.rootfs.diff_ids.map((diffId, at) => ({
        diffId,
        createdAt: made[at]?.created ?? op.config.created,
      })),
      createdAt: op.config.created,
    };
  }

  /** A record that was made on the same layers and whose own layer can be had. */
  async function find(vertex: Vertex, base: Ref, key: string): Promise<Ref | undefined> {
    if (vertex.ignoreCache || vertex.internal) return undefined;
    const record = await cache.find(key);
    if (!record || record.base !== chainOf(base)) return undefined;
    if (record.diffId !== null && !(await executor.has(record.diffId, diffIdsOf(base)))) return undefined;
    hit(vertex);
    return extend(base, record.diffId, record.createdAt);
  }

  function hit(vertex: Vertex): void {
    const at = Date.now();
    options.onEvent?.({ type: 'vertex', id: vertex.id, name: vertex.name, started: at, completed: at, cached: true });
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
    const { layer, digests } = await perform(vertex, base, shape);
    const key = { ...contentKey(vertex.op, digests, below), shape };
    return { ...key, made: await remember(vertex, base, key, layer) };
  }

  async function perform(vertex: Step, base: Ref, { key, op }: Key): Promise<FileResult> {
    parts.onMiss?.(vertex, { key, op, base: chainOf(base), ignoreCache: vertex.ignoreCache });
    // Before it takes one of the places for steps that run: what it waits for needs one too.
    const inputs = await inputLayers(vertex, vertex.op);
    const work = limit(async () => {
      options.signal.throwIfAborted();
      executed.add(vertex.id);
      return await withVertex({ id: vertex.id, name: vertex.name }, options.onEvent, () => act(vertex, base, inputs));
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
    if (!vertex.internal) {
      const record = { diffId: layer, base: chainOf(base), createdAt };
      const { definition, shape } = key;
      await cache.put({ ...record, key: key.key, op: key.op });
      for (const other of [definition, shape]) {
        if (other) await cache.put({ ...record, key: other.key, op: other.op, result: key.key });
      }
    }
    return extend(base, layer, createdAt);
  }

  /** The key of a RUN: by its definition where it mounts stages and that is known, else by the content of what it mounts. */
  async function runKey(vertex: Vertex, op: ExecOp): Promise<StepKey> {
    const { platform } = vertex;
    const mounted = stagesOf(op);
    // What is mounted of the context has a key of content, which needs no copy of it.
    const stages = mounted.filter((index) => !vertexOf(inputOf(vertex, index)).internal);
    void begin(vertex, stages).catch(() => undefined);
    const base = (await keyOf(inputOf(vertex, 0))).key;
    if (mounted.length === 0) return execKey(op, platform, base);
    const inputs = await inputKeys(vertex, mounted);
    const definition = execDefinitionKey(op, platform, base, inputs);
    const record = (await isUnknown(vertex, stages)) ? undefined : await cache.find(definition.key);
    if (record?.result !== undefined) return { key: record.result as Digest, op: record.op, definition };
    if (stages.length > 0) delayOf(vertex.id).settle(true);
    const digests = await mountDigests(vertex, op, inputs);
    return { ...execKey(op, platform, base, digests), definition: stages.length > 0 ? definition : undefined };
  }

  async function inputKeys(vertex: Vertex, indexes: readonly number[]): Promise<ReadonlyMap<number, string>> {
    const keys = indexes.map(async (index) => [index, (await keyOf(inputOf(vertex, index))).key] as const);
    return new Map(await Promise.all(keys));
  }

  /** Whether the definition of a step says nothing about it. */
  async function isUnknown(vertex: Vertex, stages: readonly number[]): Promise<boolean> {
    return (
      vertex.ignoreCache ||
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
    if (!op.link) void begin(vertex, stages).catch(() => undefined);
    const base = (await below.key()).key;
    if (stages.length === 0) {
      const shape = await shapeOf(vertex, base);
      if (shape && (vertex.ignoreCache || (await cache.find(shape.key)) === undefined)) {
        delayOf(vertex.id).settle(true);
        return await executeFirst(vertex, await below.ref(), { below: base, shape });
      }
      return { ...contentKey(op, await contextDigests(vertex, op), base), shape };
    }
    const fromContext = await contextDigests(vertex, op);
    const definition = definitionKey(op, fromContext, base, await inputKeys(vertex, stages));
    const record = (await isUnknown(vertex, stages)) ? undefined : await cache.find(definition.key);
    if (record?.result !== undefined) return { key: record.result as Digest, op: record.op, definition };
    delayOf(vertex.id).settle(true);
    return { ...contentKey(op, await stageDigests(vertex, op, fromContext), base), definition };
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
   * Starts the stages that a step takes files from while its own key still waits for a step below it to be done. Else stages that do not need
   * each other would be built in a row. A stage whose end is remembered is left: the step may be found without its files.
   */
  async function begin(vertex: Vertex, stages: readonly number[]): Promise<void> {
    if (stages.length === 0) return;
    if (!(await isUnknown(vertex, stages)) && !(await isDelayed(vertex.id))) return;
    for (const index of stages) void beginStage(inputOf(vertex, index)).catch(() => undefined);
  }

  async function beginStage(id: VertexId): Promise<void> {
    if (!isStep(vertexOf(id))) return;
    const isKnown = !(await isVolatile(id)) && (await cache.find((await keyOf(id)).key)) !== undefined;
    if (!isKnown) await refOf(id);
  }

  /**
   * Whether the key of a vertex waits for a step to be done, its own or one below it: something was not found by what is known before. Said as
   * soon as it is clear; where all is found nothing is delayed, and no stage is started that the target does not need.
   */
  const isDelayed = memo((id: VertexId): Promise<boolean> =>
    anyOf([delayOf(id).value, ...vertexOf(id).inputs.map((input) => isDelayed(input))]),
  );

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

  /** Counts work that has started, and cancels the rest when it fails. Its error gets the step's place. */
  async function tracked<T>(vertex: Vertex, work: Promise<T>): Promise<T> {
    running.add(work);
    try {
      return await work;
    } catch (error) {
      const placed = options.signal.aborted ? error : placeOn(vertex, error);
      fail(placed);
      throw placed;
    } finally {
      running.delete(work);
    }
  }

  return {
    refOf,
    refs,
    keys,
    executed,
    idle: async () => {
      while (running.size > 0) await Promise.allSettled([...running]);
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

function recordKeysOf({ key, definition, shape }: StepKey): RecordKeys {
  return { key, found: [definition?.key, shape?.key].filter((one) => one !== undefined) };
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

/** Calls `act` once a key. A failure that nobody waits for yet is not lost: every later caller gets it. */
function memo<T>(act: (id: VertexId) => Promise<T>): (id: VertexId) => Promise<T> {
  const known = new Map<VertexId, Promise<T>>();
  return (id) => {
    const found = known.get(id);
    if (found) return found;
    const started = act(id);
    started.catch(() => undefined);
    known.set(id, started);
    return started;
  };
}

/** Whether the key of one vertex waits for work; the first answer counts. */
interface Delay {
  readonly value: Promise<boolean>;
  settle(isDelayed: boolean): void;
}

function createDelay(): Delay {
  let settle: Delay['settle'] = () => undefined;
  const value = new Promise<boolean>((resolve) => (settle = resolve));
  return { value, settle };
}

/** True as soon as one is, false when none is. */
async function anyOf(all: readonly Promise<boolean>[]): Promise<boolean> {
  const first = all.map(async (one) => ((await one) ? true : await new Promise<never>(() => undefined)));
  return await Promise.race([...first, Promise.all(all).then((values) => values.includes(true))]);
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
