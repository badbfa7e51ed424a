import { collect } from './base/collect.ts';
import { EngineError } from './base/errors.ts';
import { isSet } from './build-args.ts';
import { parseCacheIndex, type CacheIndex } from './cache/index.ts';
import type { Parts } from './connect.ts';
import type { BuildRequest } from './engine.ts';
import { MAX_CONFIG_SIZE } from './image/config.ts';
import { isConfigType } from './image/media-type.ts';
import type { Digest, Fetcher, ImageConfig, Manifest } from './image/types.ts';
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
 * @param layers of the image, without those of its base
 */
export async function inlineCache(
  { store }: Pick<Parts, 'store'>,
  layers: ReadonlySet<Digest>,
  { onTooLarge }: { readonly onTooLarge: (message: string) => void },
): Promise<Readonly<Record<string, unknown>>> {
  const { records } = store;
  const used = (await records.list())
    .filter(({ key, diffId }) => records.used.has(key) && (diffId === null || layers.has(diffId)))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(inOrder);
  const found = { records: used };
  if (JSON.stringify(found).length <= MAX_SIZE) return { [KEY]: found };
  onTooLarge(`The image carries no cache: the records of its steps take more than ${MAX_SIZE} bytes`);
  return {};
}

/** A record whose fields stand in one order, whether it was made here or came from a cache. */
function inOrder({ v, key, op, diffId, base, result, createdAt, isolation }: CacheRecord): CacheRecord {
  const more = result === undefined ? {} : { result };
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
