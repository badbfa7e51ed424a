import type { ActOptions } from '../base/progress.ts';
import type { StepCache } from '../cache/index.ts';
import type { Digest } from '../image/types.ts';
import type { CopyFileAction, ExecOp, FileOp, Vertex, VertexId } from '../graph/types.ts';
import type { Miss } from './explain.ts';

/** What a vertex gave: its layers, bottom first. No layer is touched until somebody needs its files. */
export interface Ref {
  readonly layers: readonly RefLayer[];
  /** RFC 3339; of the vertex itself, also when it made no layer. */
  readonly createdAt?: string | undefined;
  /** What the vertex itself made; null when nothing changed, undefined for a base. */
  readonly own?: Digest | null | undefined;
}

export interface RefLayer {
  readonly diffId: Digest;
  readonly createdAt?: string | undefined;
}

/** What a WORKDIR, COPY or ADD stands on. */
export interface FileBase {
  readonly layers: readonly Digest[];
  /** RFC 3339, of the state; undefined on nothing. */
  readonly createdAt?: string | undefined;
}

/** What it gave. */
export interface FileResult {
  /** Null when nothing changed. */
  readonly layer: Digest | null;
  /** For each action what {@link Executor.contextDigest} gives; none where it copies nothing from outside. */
  readonly digests: readonly (readonly string[])[];
}

/** Does the work of a step; plugged in by `engine/build.ts`. Layers are diff ids, bottom first. */
export interface Executor {
  /** RUN on top of `base`, with what it mounts by the vertex's input index; gives its layer, or null when nothing changed. @throws `RUN_FAILED` */
  run(
    vertex: Vertex,
    op: ExecOp,
    base: readonly Digest[],
    inputs: ReadonlyMap<number, readonly Digest[]>,
    options: ActOptions,
  ): Promise<Digest | null>;
  /** WORKDIR, COPY, ADD on top of `base`; `inputs` by the vertex's input index. @throws `CONTEXT_CHANGED` */
  file(
    vertex: Vertex,
    op: FileOp,
    base: FileBase,
    inputs: ReadonlyMap<number, readonly Digest[]>,
    options: ActOptions,
  ): Promise<FileResult>;
  /** Content digests of what each source selects in a stage. @throws `COPY_SOURCE_NOT_FOUND` */
  checksum(
    vertex: Vertex,
    layers: readonly Digest[],
    action: CopyFileAction,
    options: ActOptions,
  ): Promise<readonly string[]>;
  /** Content digest of what a copy selects outside of stages: in the context, a repository, behind a URL. @throws `COPY_SOURCE_NOT_FOUND` */
  contextDigest(action: CopyFileAction, options: ActOptions): Promise<string>;
  /** The same without the bytes, or undefined where it can be had without reading them. @throws `COPY_SOURCE_NOT_FOUND` */
  contextShape(action: CopyFileAction, options: ActOptions): Promise<string | undefined>;
  /** True when the layer can be had on top of `below` without making it again. */
  has(layer: Digest, below: readonly Digest[]): Promise<boolean>;
}

/** The records of a step: the one of its layer, and those that tell its key before its files are read. */
export interface RecordKeys {
  readonly key: Digest;
  readonly found: readonly Digest[];
}

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

/** What `solveAll` found out: a ref for each target, in their order. */
export type SolvedAll = Omit<Solved, 'target'> & { readonly targets: readonly Ref[] };

/** What `solve` found out. */
export interface Solved {
  readonly target: Ref;
  /** Refs of the vertices that were needed. A vertex behind a cache hit is not among them. */
  readonly refs: ReadonlyMap<VertexId, Ref>;
  /** Of the vertices whose key was needed; those behind a cache hit are among them. */
  readonly keys: ReadonlyMap<VertexId, RecordKeys>;
  readonly steps: { readonly total: number; readonly cached: number; readonly executed: number };
}
