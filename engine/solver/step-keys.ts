import type { StepCache } from '../cache/index.ts';
import type { ExecOp, Vertex, VertexId } from '../graph/types.ts';
import type { Aliases } from './aliases.ts';
import type { Execution } from './execution.ts';
import type { Inputs } from './inputs.ts';
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
import type { Memo } from './memo.ts';
import { NOTHING } from './ref.ts';
import { isLink, recordKeysOf, stagesOf, type FileStep, type Step, type StepKey } from './step.ts';
import type { Traces } from './traces.ts';
import type { RecordKeys, Ref } from './types.ts';
import type { VertexIndex } from './vertex-index.ts';

export interface StepKeyParts {
  readonly vertices: VertexIndex;
  readonly cache: Pick<StepCache, 'find'>;
  readonly inputs: Inputs;
  readonly traces: Traces;
  readonly aliases: Pick<Aliases, 'find'>;
  readonly execution: Pick<Execution, 'executeFirst'>;
  readonly memo: Memo;
  readonly refOf: (id: VertexId) => Promise<Ref>;
  /** Gets each key that is found. */
  readonly keys: Map<VertexId, RecordKeys>;
}

/** Finds the keys of steps, with as little reading and building as they need. */
export interface StepKeys {
  of(id: VertexId): Promise<StepKey>;
  /** The key of the layer that a `COPY --link` makes on nothing. */
  ofLayer(id: VertexId): Promise<StepKey>;
}

/** What a step stands on. */
interface Below {
  readonly key: () => Promise<Key>;
  readonly ref: () => Promise<Ref>;
}

const ON_NOTHING: Below = { key: async () => scratchKey(), ref: async () => NOTHING };

export function createStepKeys(parts: StepKeyParts): StepKeys {
  const { vertices, cache, inputs, traces, aliases, execution, memo, refOf, keys } = parts;

  const keyOf = memo(async (id: VertexId): Promise<StepKey> => {
    const vertex = vertices.get(id);
    const key = await compute(vertex);
    if (!isLink(vertex)) keys.set(id, recordKeysOf(key));
    return key;
  });

  const layerKeyOf = memo(async (id: VertexId): Promise<StepKey> => {
    const vertex = vertices.get(id);
    if (vertex.op.type !== 'file') throw new Error(`Vertex ${vertex.name} makes no layer on nothing`);
    const key = await fileKey({ ...vertex, op: vertex.op }, ON_NOTHING);
    keys.set(id, recordKeysOf(key));
    return key;
  });

  async function compute(vertex: Vertex): Promise<StepKey> {
    const { id, op } = vertex;
    switch (op.type) {
      case 'scratch':
        return scratchKey();
      case 'image':
        return imageKey(op);
      case 'exec':
        return await runKey({ ...vertex, op });
      case 'file': {
        const input = vertices.inputOf(vertex, 0);
        if (!op.link) return await fileKey({ ...vertex, op }, { key: () => keyOf(input), ref: () => refOf(input) });
        const [base, layer] = await Promise.all([keyOf(input), layerKeyOf(id)]);
        return linkKey(base.key, layer.key);
      }
    }
  }

  /** The key of a RUN: by its definition where it mounts stages and that is known, else by the content of what it mounts. */
  async function runKey(vertex: Vertex & { readonly op: ExecOp }): Promise<StepKey> {
    const { op, platform } = vertex;
    const mounted = stagesOf(op);
    // What is mounted of the context has a key of content, which needs no copy of it.
    const stages = mounted.filter((index) => !vertices.get(vertices.inputOf(vertex, index)).internal);
    begin(vertex, stages);
    const base = (await keyOf(vertices.inputOf(vertex, 0))).key;
    if (mounted.length === 0) return execKey(op, platform, base);
    const mounts = await inputKeys(vertex, mounted);
    const byContent = async (): Promise<Key> =>
      execKey(op, platform, base, await inputs.mountDigests(vertex, op, mounts));
    return await tellKey(vertex, stages, execDefinitionKey(op, platform, base, mounts), byContent);
  }

  /**
   * The key of a COPY: by its definition where that is known, else by the content of what it copies. A copy from outside of which not even the
   * shape of its files is remembered is done for its key.
   */
  async function fileKey(vertex: FileStep, below: Below): Promise<StepKey> {
    const { op } = vertex;
    const stages = stagesOf(op);
    // What is put on nothing waits for nothing below it.
    if (!op.link) begin(vertex, stages);
    const base = (await below.key()).key;
    if (stages.length === 0) return await outsideKey(vertex, base, below.ref);
    const fromContext = await inputs.contextDigests(vertex);
    const definition = definitionKey(op, fromContext, base, await inputKeys(vertex, stages));
    const byContent = async (): Promise<Key> => contentKey(op, await inputs.digests(vertex, fromContext), base);
    return await tellKey(vertex, stages, definition, byContent);
  }

  /** The key of a COPY from outside alone. */
  async function outsideKey(vertex: FileStep, base: string, baseRef: Below['ref']): Promise<StepKey> {
    const { op } = vertex;
    const shape = await shapeOf(vertex, base);
    if (shape && (vertex.ignoreCache || (await cache.find(shape.key)) === undefined)) {
      return await execution.executeFirst(vertex, await baseRef(), { below: base, shape });
    }
    return { ...contentKey(op, await inputs.contextDigests(vertex), base), shape };
  }

  /** Undefined where content costs nothing, and for what is never remembered. */
  async function shapeOf(vertex: FileStep, base: string): Promise<Key | undefined> {
    const shapes = vertex.internal ? undefined : await inputs.contextShapes(vertex);
    return shapes && shapeKey(vertex.op, shapes, base);
  }

  /** The key that the definition of a step tells, else the one by content. A definition is kept only of a step that takes files from stages. */
  async function tellKey(
    vertex: Step,
    stages: readonly number[],
    definition: Key,
    byContent: () => Promise<Key>,
  ): Promise<StepKey> {
    const left = await traces.of(vertex, stages);
    const told = (await traces.isUntraced(vertex, stages)) ? undefined : await aliases.find(vertex, definition);
    if (told) return { ...told, definition, traces: left, byContent };
    return { ...(await byContent()), ...(stages.length > 0 ? { definition, traces: left } : {}) };
  }

  async function inputKeys(vertex: Vertex, indexes: readonly number[]): Promise<ReadonlyMap<number, string>> {
    const entries = indexes.map(async (index) => [index, (await keyOf(vertices.inputOf(vertex, index))).key] as const);
    return new Map(await Promise.all(entries));
  }

  /**
   * Starts the stages that a step takes files from while its own key still waits for the state below it. Else stages that do not need each other
   * would be built in a row. A stage is only begun when it is sure that it is needed, since a step may be found without its files.
   */
  function begin(vertex: Step, stages: readonly number[]): void {
    const beginAll = async (): Promise<void> =>
      void (await Promise.all(stages.map((index) => refOf(vertices.inputOf(vertex, index)))));
    // An error comes back where the step itself asks.
    for (const index of stages)
      void traces
        .isUntraced(vertex, [index])
        .then((isNeeded) => (isNeeded ? beginAll() : undefined))
        .catch(() => undefined);
  }

  return { of: keyOf, ofLayer: layerKeyOf };
}
