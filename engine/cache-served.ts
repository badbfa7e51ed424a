import type { ActOptions } from './base/progress.ts';
import { createLimit } from './base/limit.ts';
import { createCacheExchange, type IndexedLayer } from './cache/index.ts';
import type { Parts } from './connect.ts';
import { nameOf, parseReference } from './image/reference.ts';
import type { Digest } from './image/types.ts';

/** Questions at a time, and in all: this saves steps, and must not become one. */
const CONCURRENCY = 4;
const MAX_QUESTIONS = 100;
/** For all of them, in milliseconds. */
const TIME = 10_000;

/** See `Engine.cache.served`. */
export async function findServed(
  { store, registry }: Pick<Parts, 'store' | 'registry'>,
  layers: readonly IndexedLayer[],
  name: string,
  { signal, time = TIME }: ActOptions & { readonly time?: number } = {},
): Promise<number> {
  const place = nameOf(parseReference(name));
  const repository = registry.repository(place);
  const limit = createLimit(CONCURRENCY);
  const served = new Set<Digest>();
  let silent = false;
  const limited = AbortSignal.any([AbortSignal.timeout(time), ...(signal ? [signal] : [])]);
  const ask = async ({ blob }: IndexedLayer): Promise<void> => {
    // One that did not answer once, or refused us, is not asked again.
    if (silent) return;
    try {
      if (await repository.exists(blob, { signal: limited })) served.add(blob.digest);
    } catch {
      signal?.throwIfAborted();
      silent = true;
    }
  };
  await Promise.all(layers.slice(0, MAX_QUESTIONS).map((layer) => limit(() => ask(layer))));
  const exchange = createCacheExchange(store, store.records);
  return (await exchange.import({ v: 1, records: [], layers }, served, place)).layers;
}
