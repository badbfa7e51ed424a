import { EngineError } from '../../base/errors.ts';
import type { ActOptions } from '../../base/progress.ts';
import type { BindMount, ExecMount, SecretMount, SshMount, Vertex, VertexId } from '../../graph/types.ts';
import type { Digest } from '../../image/types.ts';
import type { BuildMount, BuildSource, SecretVariable } from '../../native/protocol.ts';
import type { SecretValue } from '../../native/types.ts';
import type { Snapshots } from '../../store/snapshots.ts';
import type { Locks } from '../../store/types.ts';
import { withCaches, type CacheSource } from './cache-mount.ts';
import { newUpper } from './upper.ts';

/** Where secrets and agents come from, and what orders the users of a cache. */
export interface Lender {
  readonly locks: Pick<Locks, 'with' | 'ifFree'>;
  readonly secret: (id: string) => Uint8Array | undefined;
  readonly hasAgent: (id: string) => boolean;
  /** Cache mounts, by their names. */
  readonly caches: {
    /** The folder of that name: only builds of one scope share it. */
    folderOf(name: string): string;
    /** Has one here where a cache outside this machine has its content. */
    bring(mount: { readonly name: string; readonly id: string }, options: ActOptions): Promise<void>;
    /** A step is about to fill one. */
    mounted(vertex: VertexId, mount: { readonly name: string; readonly id: string }): void;
  };
  /** A socket below `run/` that leads to the agent of that id. */
  readonly agent: (id: string) => Promise<AgentSocket>;
}

/** A socket for the time of one step. */
export interface AgentSocket {
  readonly name: string;
  close(): Promise<void>;
}

/** A RUN, as much as its mounts need. */
export interface LentStep {
  readonly vertex: Vertex;
  readonly op: { readonly mounts?: readonly ExecMount[] | undefined };
  readonly inputs: ReadonlyMap<number, readonly Digest[]>;
}

/** What `start` gets for the mounts of a RUN. */
export interface Lent {
  readonly mounts: BuildMount[];
  readonly secretEnv: SecretVariable[];
  readonly secrets: readonly SecretValue[];
}

/** What is given back when the step has ended. */
interface Borrowed {
  readonly uppers: string[];
  readonly agents: AgentSocket[];
}

/**
 * Has `act` run with what the RUN mounts, and takes it back: uppers of what was written to a bind are thrown away, agents closed, caches free
 * for others.
 *
 * @throws `SECRET_MISSING`, `SSH_AGENT_MISSING` for what is required and was not given
 */
export async function withLent<T>(
  parts: { readonly snapshots: Snapshots; readonly lender: Lender },
  step: LentStep,
  options: ActOptions,
  act: (lent: Lent) => Promise<T>,
): Promise<T> {
  const mounts = step.op.mounts ?? [];
  const given = mounts.filter((mount) => isGiven(parts.lender, step.vertex, mount));
  const borrowed: Borrowed = { uppers: [], agents: [] };
  try {
    return await withCaches(parts, { ...step, mounts: given }, borrowed, options, async (cacheOf) => {
      const sources: BuildMount[] = [];
      for (const mount of byDepth(given))
        sources.push(...(await lend(parts, step, mount, { borrowed, cacheOf, options })));
      return await act({ mounts: sources, ...secretsOf(parts.lender, mounts) });
    });
  } finally {
    await Promise.allSettled(borrowed.agents.map((agent) => agent.close()));
    // What is left is garbage that the next prune collects.
    if (borrowed.uppers.length > 0) await parts.snapshots.discard(borrowed.uppers).catch(() => undefined);
  }
}

/** Whether there is anything to mount: what is not required may be missing. */
function isGiven(lender: Lender, vertex: Vertex, mount: ExecMount): boolean {
  if (mount.type === 'secret' && lender.secret(mount.id) === undefined) {
    if (mount.required)
      throw missing(vertex, 'SECRET_MISSING', `the secret "${mount.id}"`, `--secret id=${mount.id},src=FILE`);
    return false;
  }
  if (mount.type === 'ssh' && !lender.hasAgent(mount.id)) {
    if (mount.required) throw missing(vertex, 'SSH_AGENT_MISSING', `the SSH agent "${mount.id}"`, `--ssh ${mount.id}`);
    return false;
  }
  return true;
}

function missing(vertex: Vertex, code: string, what: string, flag: string): EngineError {
  return new EngineError(code, `Cannot run ${vertex.name}: ${what} is required and was not given`, {
    hint: `Give it with ${flag}`,
    location: vertex.location,
    vertex: vertex.id,
  });
}

interface LendOptions {
  readonly borrowed: Borrowed;
  readonly cacheOf: (mount: ExecMount) => CacheSource;
  readonly options: ActOptions;
}

async function lend(
  parts: { readonly snapshots: Snapshots; readonly lender: Lender },
  step: LentStep,
  mount: ExecMount,
  { borrowed, cacheOf, options }: LendOptions,
): Promise<readonly BuildMount[]> {
  const at = (destination: string, source: BuildSource, readonly = false): readonly BuildMount[] => [
    { destination, readonly, source },
  ];
  switch (mount.type) {
    case 'bind':
      return at(mount.target, await bindSource(parts.snapshots, step, mount, borrowed, options), mount.readonly);
    case 'cache':
      return at(mount.target, cacheOf(mount), mount.readonly);
    case 'tmpfs':
      return at(mount.target, { kind: 'tmpfs', size: mount.size ?? null }, mount.readonly);
    case 'secret':
      return mount.target === undefined
        ? []
        : at(mount.target, { kind: 'secret', id: mount.id, ...ownerOf(mount) }, true);
    case 'ssh': {
      const agent = await parts.lender.agent(mount.id);
      borrowed.agents.push(agent);
      return at(mount.target, { kind: 'socket', name: agent.name, ...ownerOf(mount) });
    }
    case 'script':
      return at(mount.target, { kind: 'file', content: mount.content, mode: 0o755 }, true);
  }
}

/** The files of an input. A writable one gets an upper of its own, so that its layers stay as they are. */
async function bindSource(
  snapshots: Snapshots,
  { vertex, inputs }: LentStep,
  { input, source, readonly }: BindMount,
  { uppers }: Borrowed,
  options: ActOptions,
): Promise<BuildSource> {
  const lowers = [...(await snapshots.ensure(inputs.get(input) ?? [], { ...options, vertex: vertex.id }))];
  if (readonly) return { kind: 'snapshots', snapshots: lowers, upper: null, path: source };
  const upper = newUpper();
  uppers.push(upper);
  await snapshots.helper.call('prepare', { name: upper, lowers }, { signal: options.signal });
  return { kind: 'snapshots', snapshots: lowers, upper, path: source };
}

function ownerOf({ mode, uid, gid }: SecretMount | SshMount): {
  readonly mode: number;
  readonly owner: { readonly uid: number; readonly gid: number };
} {
  return { mode, owner: { uid, gid } };
}

/** A variable is set also where its secret was not given, to nothing, as in BuildKit; a file is not there then. */
function secretsOf(lender: Lender, mounts: readonly ExecMount[]): Pick<Lent, 'secretEnv' | 'secrets'> {
  const used = mounts
    .filter((mount) => mount.type === 'secret')
    .map(({ id, env }) => ({ id, env, value: lender.secret(id) }))
    .filter(({ env, value }) => env !== undefined || value !== undefined);
  return {
    secretEnv: used.flatMap(({ id, env }) => (env === undefined ? [] : [{ name: env, secret: id }])),
    secrets: [...new Map(used.map(({ id, value = new Uint8Array() }) => [id, { id, value }])).values()],
  };
}

/** What lies higher is mounted first, so that nothing hides what was mounted below it. */
function byDepth(mounts: readonly ExecMount[]): readonly ExecMount[] {
  const depth = ({ target = '' }: ExecMount): number => target.split('/').length;
  return [...mounts].sort((a, b) => depth(a) - depth(b));
}
