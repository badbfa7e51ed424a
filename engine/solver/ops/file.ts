import { posix } from 'node:path';
import { EngineError } from '../../base/errors.ts';
import type { ActOptions } from '../../base/progress.ts';
import { cleanPatterns } from '../../context/index.ts';
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
import type { CopyAction, CopySource, TreeFilter } from '../../native/protocol.ts';
import type { Snapshots } from '../../store/snapshots.ts';
import type { ExecutorParts } from '../executor.ts';
import type { Select } from './context.ts';
import { resolveOwner } from './owner.ts';

type FileParts = Pick<ExecutorParts, 'snapshots' | 'identifyUser'> & { readonly select: Select };

/** A WORKDIR, COPY or ADD to be done. */
export interface FileStep {
  readonly vertex: Vertex;
  readonly op: FileOp;
  /** Layers of the stages that are copied from, by input index. */
  readonly inputs: ReadonlyMap<number, readonly Digest[]>;
  readonly upper: string;
  readonly lowers: readonly string[];
}

/** An action for the helper, and what belongs to it: the list of paths, or the content. */
interface Prepared {
  readonly action: CopyAction;
  readonly data?: Uint8Array | undefined;
}

/** Does all actions of the step in one call of the helper, which resolves every path inside the merged root. */
export async function runFile(parts: FileParts, step: FileStep, options: ActOptions): Promise<void> {
  const prepared: Prepared[] = [];
  for (const action of step.op.actions) prepared.push(await prepare(parts, step, action, options));
  await parts.snapshots.helper.call(
    'copy',
    { name: step.upper, lowers: [...step.lowers], actions: prepared.map(({ action }) => action) },
    {
      signal: options.signal,
      data: prepared.flatMap(({ data }) => (data ? [data] : [])),
      onEvent: (event) => {
        const { vertex } = step;
        if (event.type === 'warning') options.onEvent?.({ type: 'warning', vertex: vertex.id, message: event.message });
        if (event.type === 'progress') {
          const total = event.total ?? undefined;
          options.onEvent?.({ type: 'status', vertex: vertex.id, name: 'copy', current: event.current, total });
        }
      },
    },
  );
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
  return { kind: 'mkdir', path, mode, owner: await ownerOf(parts, step, owner, options), created: null };
}

async function prepareInline(
  parts: FileParts,
  step: FileStep,
  action: InlineFileAction,
  options: ActOptions,
): Promise<Prepared> {
  const data = Buffer.from(action.data);
  const source: CopySource = { from: 'inline', name: action.name, mode: 0o644, contentBytes: data.length };
  return { action: { ...(await placed(parts, step, action, options)), source }, data };
}

async function prepareCopy(
  parts: FileParts,
  step: FileStep,
  action: CopyFileAction,
  options: ActOptions,
): Promise<Prepared> {
  const place = await placed(parts, step, action, options);
  if (typeof action.from !== 'number') {
    const { context, selected } = await parts.select(action);
    const data = context.records(selected, { unpack: action.unpack });
    return { action: { ...place, source: { from: 'context', hostPath: context.root, listBytes: data.length } }, data };
  }
  const layers = step.inputs.get(action.from) ?? [];
  const snapshots = await parts.snapshots.ensure(layers, { ...options, vertex: step.vertex.id });
  const source: CopySource = { from: 'snapshots', snapshots: [...snapshots], ...patternsOf(action) };
  return { action: { ...place, source } };
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
    owner: owner === undefined ? null : await ownerOf(parts, step, owner, options),
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
  owner: string,
  options: ActOptions,
): Promise<{ uid: number; gid: number }> {
  return await resolveOwner(owner, (user) => identifyUser(user, step.lowers, options));
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
      hint: `Paths after ${flag} count from the root of that stage; its WORKDIR does not matter`,
      location: vertex.location,
      vertex: vertex.id,
    },
  );
}
