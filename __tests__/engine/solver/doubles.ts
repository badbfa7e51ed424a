import type { CacheRecord } from '../../../engine/store/types.ts';
import { createLocalCache, type StepCache } from '../../../engine/cache/index.ts';
import type { FileAction, Graph, Op, Vertex } from '../../../engine/graph/types.ts';
import { digestOf } from '../../../engine/image/digest.ts';
import type { Digest } from '../../../engine/image/types.ts';
import { solve, type Executor, type Solved } from '../../../engine/solver/index.ts';
import type { RungName } from '../../../engine/native/protocol.ts';
import type { ActOptions } from '../../../engine/base/progress.ts';

/** Calls that an executor got, as BuildKit's scheduler tests count them. */
export interface Counting extends Executor {
  readonly runs: string[];
  readonly checksums: string[];
  /** Sources of the context that were read for a key alone. */
  readonly reads: string[];
  /** Layers that can be had. */
  readonly layers: Set<Digest>;
}

export interface Behaviour {
  /** Content of the context by source. */
  readonly context?: Readonly<Record<string, string>>;
  /** Content that a stage's file has, by source. */
  readonly content?: (layers: readonly Digest[], source: string) => string;
  /** What happens in a step before it gives its layer. */
  readonly during?: (vertex: Vertex, options: ActOptions) => Promise<void>;
  /** Differs the layer of a step from run to run. */
  readonly salt?: string;
}

/** An executor whose layer is a digest of step and base: equal work gives equal layers. */
export function counting({ context = {}, content, during, salt = '' }: Behaviour = {}): Counting {
  const runs: string[] = [];
  const checksums: string[] = [];
  const reads: string[] = [];
  const layers = new Set<Digest>();
  const work = async (vertex: Vertex, base: readonly Digest[], options: ActOptions): Promise<Digest> => {
    runs.push(vertex.name);
    await during?.(vertex, options);
    const layer = digestOf(`${salt} ${vertex.name} ${base.join()}`);
    layers.add(layer);
    return layer;
  };
  const contentOf = (sources: readonly string[]): Digest =>
    digestOf(sources.map((source) => context[source] ?? '').join());
  return {
    runs,
    reads,
    checksums,
    layers,
    run: (vertex, _op, base, _inputs, options) => work(vertex, base, options),
    file: async (vertex, op, { layers: base }, _inputs, options) => ({
      layer: await work(vertex, base, options),
      digests: op.actions.map((action) =>
        action.action === 'copy' && action.from === 'context' ? [contentOf(action.sources)] : [],
      ),
    }),
    checksum: async (vertex, stage, { sources }) => {
      checksums.push(vertex.name);
      return sources.map((source) => digestOf(content?.(stage, source) ?? source));
    },
    contextDigest: async ({ sources }) => {
      reads.push(sources.join());
      return contentOf(sources);
    },
    contextShape: async ({ sources }) => digestOf(sources.map((source) => context[source]?.length ?? 0).join()),
    has: async (layer) => layers.has(layer),
  };
}

/** A cache in memory that outlives a solve. */
export function memoryCache(
  isolation: RungName = 'root',
  records = new Map<string, CacheRecord>(),
): StepCache & { readonly records: Map<string, CacheRecord> } {
  const store = {
    get: async (key: string) => records.get(key),
    put: async (record: CacheRecord) => void records.set(record.key, record),
    touch: async () => undefined,
  };
  return { records, ...createLocalCache(store, { isolation, warn: () => undefined }) };
}

export function vertex(name: string, op: Op, inputs: readonly Vertex[] = [], more: Partial<Vertex> = {}): Vertex {
  const own = { stage: 'final', platform: { os: 'linux', architecture: 'amd64' }, ignoreCache: false };
  return { id: name, name, op, inputs: inputs.map(({ id }) => id), ...own, ...more };
}

export const scratch = (): Vertex => vertex('scratch', { type: 'scratch' });

export function run(
  command: string,
  base: Vertex,
  more: Partial<Vertex> & { readonly proxyEnv?: readonly string[] } = {},
): Vertex {
  const { proxyEnv = [], ...rest } = more;
  return vertex(
    command,
    { type: 'exec', args: ['sh', '-c', command], env: ['PATH=/bin'], cwd: '/', user: '', proxyEnv },
    [base],
    rest,
  );
}

export function copy(source: string, base: Vertex, from?: Vertex, more: Partial<Vertex> = {}): Vertex {
  const action: FileAction = {
    action: 'copy',
    from: from ? 1 : 'context',
    sources: [source],
    dest: '/dest/',
    destIsDirectory: true,
    unpack: false,
  };
  const name = from ? `copy ${source} from ${from.name}` : `copy ${source}`;
  return vertex(name, { type: 'file', actions: [action] }, from ? [base, from] : [base], more);
}

/** The graph below a vertex. */
export function graphOf(target: Vertex, vertices: readonly Vertex[], architecture = 'amd64'): Graph {
  const platform = { os: 'linux', architecture };
  const all = vertices.map((one) => ({ ...one, platform }));
  return { vertices: all, target: target.id, image: { platform, config: {}, history: [] }, warnings: [] };
}

export async function solved(
  graph: Graph,
  executor: Executor,
  cache: StepCache,
  options: ActOptions & { readonly concurrency?: number } = {},
): Promise<Solved> {
  const { concurrency = 4, ...act } = options;
  return await solve(graph, { executor, cache, concurrency, now: () => new Date(0) }, act);
}
