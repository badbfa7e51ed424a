import { posix } from 'node:path';
import { EngineError } from '../../base/errors.ts';
import type { ActOptions } from '../../base/progress.ts';
import { cleanPatterns, type Selected } from '../../context/index.ts';
import type {
  CopyFileAction,
  FileAction,
  FileOp,
  InlineFileAction,
  MkdirAction,
  Placement,
  Vertex,
} from '../../graph/types.ts';
import type { Digest } from '../../image/types.ts';
import { NativeError } from '../../native/index.ts';
import type { CopyAction, CopySource, Timestamp, TreeFilter } from '../../native/protocol.ts';
import type { Snapshots } from '../../store/snapshots.ts';
import type { ExecutorParts } from '../executor.ts';
import type { FileResult } from '../types.ts';
import { commentHint } from './comment.ts';
import { digestOutside, type Select, type Selection } from './context.ts';
import { resolveOwner } from './owner.ts';

type FileParts = Pick<ExecutorParts, 'snapshots' | 'identifyUser' | 'identify' | 'forbidden' | 'packingOf'> & {
  readonly select: Select;
};

/** A WORKDIR, COPY or ADD to be done. */
export interface FileStep {
  readonly vertex: Vertex;
  readonly op: FileOp;
  /** Layers of the stages that are copied from, by input index. */
  readonly inputs: ReadonlyMap<number, readonly Digest[]>;
  readonly lowers: readonly string[];
  /** RFC 3339, of the state below: the time of what no file gives one to, so that the step done again gives the same layer. */
  readonly createdBelow: string | undefined;
}

/** An action for the helper, and what belongs to it: the list of paths, or the content. */
interface Prepared {
  readonly action: CopyAction;
  readonly data?: Uint8Array | undefined;
  /** What it takes from outside of stages. */
  readonly selection?: Selection | undefined;
}

/**
 * Does all actions of the step in one call of the helper, which resolves every path inside the merged root and makes the layer, and the blob
 * that will be asked for, in the same pass. The content digests of what came from outside are those of the bytes that are in the layer.
 *
 * @throws `CONTEXT_CHANGED` when a file's digest was made before, of other bytes
 */
export async function runFile(parts: FileParts, step: FileStep, options: ActOptions): Promise<FileResult> {
  const prepared: Prepared[] = [];
  for (const action of step.op.actions) prepared.push(await prepare(parts, step, action, options));
  const copying = parts.snapshots.copy(
    step.lowers,
    prepared.map(({ action }) => action),
    {
      ...options,
      vertex: step.vertex.id,
      data: prepared.flatMap(({ data }) => (data ? [data] : [])),
      forbidden: parts.forbidden,
      packing: parts.packingOf?.(step.vertex.id),
    },
  );
  const { layer, contents } = await copying.catch((error: unknown) => {
    throw aboutFiles(step, error);
  });
  let at = 0;
  for (const { selection } of prepared) {
    if (!selection) continue;
    const length = HASH * countFiles(selection.selected);
    await selection.context.learn(selection.selected, contents.subarray(at, at + length));
    at += length;
  }
  const digests = step.op.actions.map(async (action) =>
    action.action === 'copy' && typeof action.from !== 'number' ? [await digestOutside(parts, action, options)] : [],
  );
  return { layer, digests: await Promise.all(digests) };
}

/** What is in the way of a destination, or an archive that is broken, is said of the step: the helper knows the path alone. */
function aboutFiles({ vertex, op }: FileStep, error: unknown): unknown {
  if (!(error instanceof NativeError)) return error;
  const { step, message, subject } = error.failure;
  if (step === 'inflate blob' && error.code === 'NATIVE_INVALID') {
    return new EngineError(error.code, `Cannot build ${vertex.name}: ${message}: ${subject ?? ''}`, {
      hint: 'Make the archive again, or add it as it is: ADD --unpack=false',
      cause: error,
    });
  }
  if (step !== 'open parent') return error;
  const path = `/${subject ?? ''}`;
  return new EngineError(error.code, `Cannot build ${vertex.name}: ${message}: ${path}`, {
    hint: commentHint(op) ?? `Name another destination, or remove what is there in a step before: RUN rm ${path}`,
    cause: error,
  });
}

/** Bytes of a content hash. */
const HASH = 32;

function countFiles(selected: readonly Selected[]): number {
  return selected.filter(({ entry }) => entry.type === 'file').length;
}

async function prepare(parts: FileParts, step: FileStep, action: FileAction, options: ActOptions): Promise<Prepared> {
  switch (action.action) {
    case 'mkdir':
      return { action: await prepareMkdir(parts, step, action, options) };
    case 'inline':
      return await prepareInline(parts, step, action, options);
    case 'copy':
      return await prepareCopy(parts, step, action, options);
  }
}

async function prepareMkdir(
  parts: FileParts,
  step: FileStep,
  { path, mode, owner }: MkdirAction,
  options: ActOptions,
): Promise<CopyAction> {
  const found = owner === '' ? null : await ownerOf(parts, step, { owner, what: 'USER' }, options);
  return { kind: 'mkdir', path, mode, owner: found, created: timeBelow(step) };
}

async function prepareInline(
  parts: FileParts,
  step: FileStep,
  action: InlineFileAction,
  options: ActOptions,
): Promise<Prepared> {
  const data = Buffer.from(action.data);
  const source: CopySource = { from: 'inline', name: action.name, mode: 0o644, contentBytes: data.length };
  return { action: { ...(await placed(parts, step, action, options)), created: timeBelow(step), source }, data };
}

async function prepareCopy(
  parts: FileParts,
  step: FileStep,
  action: CopyFileAction,
  options: ActOptions,
): Promise<Prepared> {
  const place = await placed(parts, step, action, options);
  if (typeof action.from !== 'number') {
    const selection = await parts.select(action);
    const { context, selected } = selection;
    const data = context.records(selected, { unpack: action.unpack });
    const source: CopySource = { from: 'context', hostPath: context.root, listBytes: data.length };
    return { action: { ...place, source }, data, selection };
  }
  const layers = step.inputs.get(action.from) ?? [];
  const snapshots = await parts.snapshots.ensure(layers, { ...options, vertex: step.vertex.id });
  const source: CopySource = { from: 'snapshots', snapshots: [...snapshots], ...patternsOf(action) };
  return { action: { ...place, source } };
}

/** A made file or directory needs a time that the clock does not change. */
function timeBelow({ createdBelow }: FileStep): Timestamp {
  const time = createdBelow === undefined ? 0 : Date.parse(createdBelow);
  return { seconds: Number.isFinite(time) ? Math.floor(time / 1000) : 0 };
}

/** Where files go and what is changed on the way, in the helper's words. */
async function placed(
  parts: FileParts,
  step: FileStep,
  { dest, destIsDirectory, owner, mode, modeChanges }: Placement,
  options: ActOptions,
): Promise<Omit<Extract<CopyAction, { kind: 'copy' }>, 'source'>> {
  return {
    kind: 'copy',
    dest,
    destIsDirectory,
    owner: owner === undefined ? null : await ownerOf(parts, step, { owner, what: '--chown' }, options),
    mode: mode ?? null,
    modeChanges: [...(modeChanges ?? [])],
    created: null,
  };
}

/** What of a stage is meant. Sources count from its root, also when they are written without a slash. */
function patternsOf({ sources, include = [], exclude = [] }: CopyFileAction): {
  readonly patterns: string[];
  readonly filter: TreeFilter;
} {
  return {
    patterns: sources.map((source) => (source.startsWith('/') ? source : `/${source}`)),
    filter: { include: include.map((one) => cleanPatterns([one])[0] ?? ''), exclude: cleanPatterns(exclude) },
  };
}

async function ownerOf(
  { identifyUser }: FileParts,
  step: FileStep,
  { owner, what }: { readonly owner: string; readonly what: '--chown' | 'USER' },
  options: ActOptions,
): Promise<{ uid: number; gid: number }> {
  return await resolveOwner(owner, (user) => identifyUser(user, step.lowers, options), what);
}

/**
 * Content digests of what each source selects in a stage; its files are needed for that.
 *
 * @throws `COPY_SOURCE_NOT_FOUND` naming the source
 */
export async function checksumStage(
  snapshots: Snapshots,
  vertex: Vertex,
  layers: readonly Digest[],
  action: CopyFileAction,
  options: ActOptions,
): Promise<readonly string[]> {
  const { sources } = action;
  const names = await snapshots.ensure(layers, { ...options, vertex: vertex.id });
  if (names.length === 0) return sources.map((source) => (isRoot(source) ? 'empty' : sourceNotFound(vertex, source)));
  const { digests } = await snapshots.helper.call(
    'checksum',
    { snapshots: [...names], ...patternsOf(action) },
    { signal: options.signal },
  );
  return sources.map((source, at) => digests[at] ?? sourceNotFound(vertex, shownSource(action, source, at)));
}

function shownSource({ include = [] }: CopyFileAction, source: string, at: number): string {
  const wanted = include[at] ?? '';
  return wanted === '' ? source : posix.join(source, wanted);
}

/** A mount of all of a stage that has no file. */
function isRoot(source: string): boolean {
  return source === '/';
}

function sourceNotFound(vertex: Vertex, source: string): never {
  const [act, flag] = vertex.op.type === 'exec' ? ['mount', 'from'] : ['copy', '--from'];
  throw new EngineError(
    'COPY_SOURCE_NOT_FOUND',
    `Cannot ${act} ${source}: ${vertex.name} finds no such file in the stage`,
    {
      hint:
        commentHint(vertex.op) ?? `Paths after ${flag} count from the root of that stage; its WORKDIR does not matter`,
      location: vertex.location,
      vertex: vertex.id,
    },
  );
}
