import type { ActOptions } from '../base/progress.ts';
import { literal } from '../graph/path.ts';
import type { CopyFileAction, ExecMount, ExecOp, FileAction, FileOp, Vertex, VertexId } from '../graph/types.ts';
import type { Digest } from '../image/types.ts';
import { diffIdsOf } from './ref.ts';
import { stagesOf, type FileStep, type Step } from './step.ts';
import type { Tracked } from './tracked.ts';
import type { Executor, Ref } from './types.ts';
import type { VertexIndex } from './vertex-index.ts';

export interface InputParts {
  readonly vertices: VertexIndex;
  readonly executor: Pick<Executor, 'checksum' | 'contextDigest' | 'contextShape'>;
  readonly tracked: Tracked;
  readonly options: ActOptions;
  readonly refOf: (id: VertexId) => Promise<Ref>;
}

/** Digests of files: for each action of a step a list, empty where it copies nothing. */
export type ActionDigests = readonly (readonly string[])[];

/** What a step takes beside the state that it stands on: files of stages, which are built for it, and files from outside. */
export interface Inputs {
  /** Layers of the stages, by the vertex's input index. */
  layers(vertex: Step): Promise<ReadonlyMap<number, readonly Digest[]>>;
  /** Content of what is copied from outside of stages. */
  contextDigests(vertex: FileStep): Promise<ActionDigests>;
  /** The same without reading files; undefined where content costs nothing. */
  contextShapes(vertex: FileStep): Promise<ActionDigests | undefined>;
  /** Content of all that is copied, of which what is from outside is known. */
  digests(vertex: FileStep, fromContext: ActionDigests): Promise<ActionDigests>;
  /** Content of what each mount shows; of the context its key, which is in `keys` by input index, says it. */
  mountDigests(vertex: Vertex, op: ExecOp, keys: ReadonlyMap<number, string>): Promise<ReadonlyMap<ExecMount, string>>;
}

export function createInputs({ vertices, executor, tracked, options, refOf }: InputParts): Inputs {
  const layersOf = async (id: VertexId): Promise<readonly Digest[]> => diffIdsOf(await refOf(id));
  const layers: Inputs['layers'] = async (vertex) => {
    const entries = stagesOf(vertex.op).map(
      async (index) => [index, await layersOf(vertices.inputOf(vertex, index))] as const,
    );
    return new Map(await Promise.all(entries));
  };
  const mountDigest = async (
    vertex: Vertex,
    mount: ExecMount,
    keys: ReadonlyMap<number, string>,
  ): Promise<string | undefined> => {
    if (!('input' in mount) || mount.input === undefined) return undefined;
    const id = vertices.inputOf(vertex, mount.input);
    if (vertices.get(id).internal) return keys.get(mount.input) ?? '';
    const shown = shownBy(mount.input, mount.source);
    const [digest = ''] = await tracked(vertex, executor.checksum(vertex, await layersOf(id), shown, options));
    return digest;
  };
  return {
    layers,
    contextDigests: async (vertex) =>
      await eachAction(vertex.op, async (action) =>
        isFromContext(action) ? [await tracked(vertex, executor.contextDigest(action, options))] : [],
      ),
    contextShapes: async (vertex) => {
      const shapes = await eachAction(vertex.op, async (action) =>
        action.action === 'copy' ? await tracked(vertex, executor.contextShape(action, options)) : null,
      );
      if (shapes.includes(undefined) || shapes.every((shape) => shape === null)) return undefined;
      return shapes.map((shape) => (shape ? [shape] : []));
    },
    digests: async (vertex, fromContext) => {
      const below = await layers(vertex);
      return await eachAction(vertex.op, async (action, at) =>
        action.action === 'copy' && typeof action.from === 'number'
          ? await tracked(vertex, executor.checksum(vertex, below.get(action.from) ?? [], action, options))
          : (fromContext[at] ?? []),
      );
    },
    mountDigests: async (vertex, op, keys) => {
      const digests = (op.mounts ?? []).map(async (mount) => {
        const digest = await mountDigest(vertex, mount, keys);
        return digest === undefined ? [] : [[mount, digest] as const];
      });
      return new Map((await Promise.all(digests)).flat());
    },
  };
}

async function eachAction<T>(op: FileOp, act: (action: FileAction, at: number) => Promise<T>): Promise<readonly T[]> {
  return await Promise.all(op.actions.map(act));
}

function isFromContext(action: FileAction): action is CopyFileAction {
  return action.action === 'copy' && typeof action.from !== 'number';
}

/** What a mount shows, as a copy of it. */
function shownBy(from: number, source: string): CopyFileAction {
  return { action: 'copy', from, sources: [literal(source)], dest: '/', destIsDirectory: false, unpack: false };
}
