import { collect } from './base/collect.ts';
import { EngineError } from './base/errors.ts';
import { isSet } from './build-args.ts';
import { parseCacheIndex, type CacheIndex } from './cache/index.ts';
import type { Parts } from './connect.ts';
import type { BuildRequest } from './engine.ts';
import { MAX_CONFIG_SIZE } from './image/config.ts';
import { isConfigType } from './image/media-type.ts';
import type { Digest, Fetcher, ImageConfig, Manifest } from './image/types.ts';
import type { Vertex, VertexId } from './graph/index.ts';
import type { RecordKeys } from './solver/index.ts';
import type { CacheRecord } from './store/index.ts';

/** Where an image's configuration holds the records of its steps. It is not kept when another image is built on it. */
const KEY = 'berth.cache.v1';
/** Bytes of what is written there: registries and runtimes read the configuration as a whole. */
const MAX_SIZE = 512 * 1024;

/** Whether the image is to carry its cache: `--cache-to type=inline`, or BuildKit's build argument. @throws `BUILD_ARG_INVALID` */
export function isInline({ cacheTo = [], buildArgs }: Pick<BuildRequest, 'cacheTo' | 'buildArgs'>): boolean {
  return cacheTo.some(({ type }) => type === 'inline') || isSet(buildArgs, 'BUILDKIT_INLINE_CACHE');
}

/**
 * The records of the steps that made an image, as a field of its configuration. Its layers are the image's own, so that they are not named
 * again, and no time of now is in it: the same steps give the same image. Of what the steps did only their kind is kept: arguments and
 * environment may hold what the history of the image does not show.
 *
 * Of the steps of other stages only those records are there that tell a key from another, so that it is known without the stage's files: other
 * images and builds of this engine have no part in it.
 */
export async function inlineCache(
  { store }: Pick<Parts, 'store'>,
  { own, others }: InlineKeys,
  { onTooLarge }: { readonly onTooLarge: (message: string) => void },
): Promise<Readonly<Record<string, unknown>>> {
  const recordOf = async (key: Digest): Promise<readonly CacheRecord[]> => {
    const record = await store.records.untracked.get(key);
    if (!record) return [];
    return [inOrder(own.has(key) ? record : { ...record, diffId: null, base: null })];
  };
  const all = [...new Set([...own, ...others])].sort();
  const found = { records: (await Promise.all(all.map(recordOf))).flat() };
  if (JSON.stringify(found).length <= MAX_SIZE) return { [KEY]: found };
  onTooLarge(`The image carries no cache: the records of its steps take more than ${MAX_SIZE} bytes`);
  return {};
}

/** Keys of records that an image carries. */
export interface InlineKeys {
  /** Of the steps whose layers it stands on. */
  readonly own: ReadonlySet<Digest>;
  /** Of other stages, without their layers. */
  readonly others: ReadonlySet<Digest>;
}

/** What an image carries, of the keys that its build has asked for. @param chain ids of the vertices whose layers it stands on */
export function inlineKeysOf(
  vertices: readonly Vertex[],
  chain: ReadonlySet<VertexId>,
  keys: ReadonlyMap<VertexId, RecordKeys>,
): InlineKeys {
  const [own, others] = [new Set<Digest>(), new Set<Digest>()];
  for (const { id } of vertices) {
    const { key, found } = keys.get(id) ?? { key: undefined, found: [] };
    if (key !== undefined && chain.has(id)) own.add(key);
    for (const one of found) (chain.has(id) ? own : others).add(one);
  }
  return { own, others };
}

/** A record whose fields stand in one order, whether it was made here or came from a cache. */
function inOrder({ v, key, op, diffId, base, createdAt, isolation, ...told }: CacheRecord): CacheRecord {
  const { result, lineage, traces } = told;
  const more = {
    ...(result === undefined ? {} : { result }),
    ...(lineage === undefined ? {} : { lineage }),
    ...(traces === undefined ? {} : { traces }),
  };
  return { v, key, op: kindOf(op), diffId, base, ...more, createdAt, isolation };
}

function kindOf(op: unknown): { readonly type?: unknown } {
  return typeof op === 'object' && op !== null && 'type' in op ? { type: op.type } : {};
}

/**
 * The cache that an image carries.
 *
 * @throws `CACHE_INDEX` when it carries none, or a damaged one
 */
export async function readInlineCache(
  { config, layers }: Manifest,
  content: Fetcher,
  { now, signal }: { readonly now: Date; readonly signal?: AbortSignal | undefined },
): Promise<CacheIndex> {
  if (!isConfigType(config.mediaType)) throw none('it is neither an image nor a cache of berth');
  const bytes = await collect(content.fetch(config, { signal }), 'the config', MAX_CONFIG_SIZE);
  const image = JSON.parse(bytes.toString('utf8')) as Partial<ImageConfig> & Readonly<Record<string, unknown>>;
  const carried = image[KEY];
  if (typeof carried !== 'object' || carried === null || !('records' in carried))
    throw none('it carries no cache of berth');
  const { records } = carried;
  const usedAt = now.toISOString();
  return parseCacheIndex({
    v: 1,
    records: Array.isArray(records) ? records.map((record: unknown) => withUse(record, usedAt)) : records,
    layers: (image.rootfs?.diff_ids ?? []).map((diffId, at) => ({ diffId, blob: layers[at] })),
  });
}

function withUse(record: unknown, usedAt: string): unknown {
  return typeof record === 'object' && record !== null ? { ...record, usedAt } : record;
}

function none(state: string): EngineError {
  return new EngineError('CACHE_INDEX', `Cannot use it: ${state}`, { hint: 'Build it with --cache-to type=inline' });
}
