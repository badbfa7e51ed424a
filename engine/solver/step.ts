import type { ExecOp, FileOp, Vertex } from '../graph/types.ts';
import type { Key } from './key.ts';
import type { RecordKeys, Ref } from './types.ts';

/** A vertex that does something: RUN, or WORKDIR, COPY, ADD. */
export type Step = Vertex & { readonly op: ExecOp | FileOp };

export type FileStep = Vertex & { readonly op: FileOp };

/** A key, and the ones by which it can be told before the step's files are there. */
export interface StepKey extends Key {
  /** Of a step that takes files from stages: what tells its key before they are built. */
  readonly definition?: Key | undefined;
  /** Of a COPY from outside: what is told of its files without reading them. */
  readonly shape?: Key | undefined;
  /** Of a step that takes files from stages: that something like it was done, `traceKey`. */
  readonly traces?: readonly Key[] | undefined;
  /** Where the key is what a definition tells: the key by the content of the files that the stages give in this build. */
  readonly byContent?: (() => Promise<Key>) | undefined;
  /** The step had to be done for its key, and gave this. */
  readonly made?: Ref | undefined;
}

/** The records that are found by a step's key. */
export function recordKeysOf({ key, definition, shape, traces = [] }: StepKey): RecordKeys {
  return { key, found: [definition, shape, ...traces].flatMap((one) => (one ? [one.key] : [])) };
}

/** A step that the user wrote. */
export function isCounted(vertex: Vertex): vertex is Step {
  return (vertex.op.type === 'exec' || vertex.op.type === 'file') && !vertex.internal;
}

/** A copy on nothing, whose record is that of its own layer. */
export function isLink({ op }: Vertex): boolean {
  return op.type === 'file' && op.link === true;
}

/** Indexes of the inputs that files are taken from. */
export function stagesOf(op: ExecOp | FileOp): readonly number[] {
  if (op.type === 'exec') {
    const mounted = (op.mounts ?? []).map((mount) => ('input' in mount ? mount.input : undefined));
    return [...new Set(mounted)].filter((index) => index !== undefined);
  }
  const indexes = op.actions.flatMap((action) =>
    action.action === 'copy' && typeof action.from === 'number' ? [action.from] : [],
  );
  return [...new Set(indexes)];
}
