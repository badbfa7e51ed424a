import { EngineError } from '../../base/errors.ts';
import type { ActOptions } from '../../base/progress.ts';
import type { CopyFileAction, FileAction, FileOp, MkdirAction, Vertex } from '../../graph/types.ts';
import type { Digest } from '../../image/types.ts';
import type { CopyAction } from '../../native/protocol.ts';
import type { Snapshots } from '../../store/snapshots.ts';
import type { ExecutorParts } from '../executor.ts';
import { refuseArchives } from './archive.ts';
import type { Select } from './context.ts';
import { resolveOwner } from './owner.ts';

type FileParts = Pick<ExecutorParts, 'snapshots' | 'context' | 'identify'> & { readonly select: Select };

/** A WORKDIR, COPY or ADD to be done. */
export interface FileStep {
  readonly vertex: Vertex;
  readonly op: FileOp;
  /** Layers of the stages that are copied from, by input index. */
  readonly inputs: ReadonlyMap<number, readonly Digest[]>;
  readonly upper: string;
  readonly lowers: readonly string[];
}

/** An action for the helper, and the list of paths that belongs to it. */
interface Prepared {
  readonly action: CopyAction;
  readonly list?: Uint8Array | undefined;
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
      data: prepared.flatMap(({ list }) => (list ? [list] : [])),
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
  return action.action === 'mkdir'
    ? { action: await prepareMkdir(parts, step, action, options) }
    : await prepareCopy(parts, step, action, options);
}

async function prepareMkdir(
  parts: FileParts,
  step: FileStep,
  { path, mode, owner }: MkdirAction,
  options: ActOptions,
): Promise<CopyAction> {
  return { kind: 'mkdir', path, mode, owner: await ownerOf(parts, step, owner, options), created: null };
}

async function prepareCopy(
  parts: FileParts,
  step: FileStep,
  action: CopyFileAction,
  options: ActOptions,
): Promise<Prepared> {
  const { dest, destIsDirectory, mode } = action;
  const owner = action.owner === undefined ? null : await ownerOf(parts, step, action.owner, options);
  const common = { kind: 'copy', dest, destIsDirectory, owner, mode: mode ?? null, created: null } as const;
  if (action.from === 'context') {
    const [context, selected] = [await parts.context(), await parts.select(action)];
    if (action.unpack) await refuseArchives(context, step.vertex, selected);
    const list = context.records(selected);
    return {
      action: { ...common, source: { from: 'context', hostPath: context.root, listBytes: list.length } },
      list,
    };
  }
  const layers = step.inputs.get(action.from) ?? [];
  const snapshots = await parts.snapshots.ensure(layers, { ...options, vertex: step.vertex.id });
  return {
    action: { ...common, source: { from: 'snapshots', snapshots: [...snapshots], patterns: absolute(action.sources) } },
  };
}

async function ownerOf(
  { identify }: FileParts,
  step: FileStep,
  owner: string,
  options: ActOptions,
): Promise<{ uid: number; gid: number }> {
  return await resolveOwner(owner, (user) => identify(user, step.lowers, options));
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
  sources: readonly string[],
  options: ActOptions,
): Promise<readonly string[]> {
  const names = await snapshots.ensure(layers, { ...options, vertex: vertex.id });
  if (names.length === 0) sourceNotFound(vertex, sources[0] ?? '');
  const { digests } = await snapshots.helper.call(
    'checksum',
    { snapshots: [...names], patterns: absolute(sources) },
    { signal: options.signal },
  );
  return sources.map((source, at) => digests[at] ?? sourceNotFound(vertex, source));
}

/** Sources of a stage count from its root, also when they are written without a slash. */
function absolute(sources: readonly string[]): string[] {
  return sources.map((source) => (source.startsWith('/') ? source : `/${source}`));
}

function sourceNotFound(vertex: Vertex, source: string): never {
  throw new EngineError(
    'COPY_SOURCE_NOT_FOUND',
    `Cannot copy ${source}: ${vertex.name} finds no such file in the stage`,
    {
      hint: 'Paths after --from count from the root of that stage; its WORKDIR does not matter',
      location: vertex.location,
      vertex: vertex.id,
    },
  );
}
