import { createLimit } from './base/limit.ts';
import { withVertex, type ActOptions } from './base/progress.ts';
import type { Parts } from './connect.ts';
import type { Descriptor, Digest } from './image/types.ts';
import { diffIdsOf, type Ref } from './solver/index.ts';
import type { Packing } from './store/index.ts';

/** Makes the blobs of layers behind the steps. */
export interface BlobMaker {
  /** Begins with the layers of a ref that has become known. */
  start(ref: Ref): void;
  /** Blobs of all layers, lowest first; undefined when no blobs were asked for. `base`: those of the lowest layers, as they came with them. */
  finish(target: Ref, base: readonly Descriptor[]): Promise<readonly Descriptor[] | undefined>;
  /** Cancels what runs and waits for its end. */
  stop(): Promise<void>;
}

/**
 * Packs layers in the background while later steps run, two at a time: one packs on all cores, a second keeps them busy while the first
 * reads.
 */
export async function createBlobMaker(
  parts: Parts,
  packing: Packing | undefined,
  options: ActOptions,
): Promise<BlobMaker> {
  if (!packing) return { start: () => undefined, finish: async () => undefined, stop: async () => undefined };
  const snapshots = await parts.snapshots(options);
  const stopped = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stopped.signal]) : stopped.signal;
  const limit = createLimit(2);
  const running = new Map<string, Promise<Descriptor>>();
  const pack = (layers: readonly Digest[], came: readonly Descriptor[] = []): Promise<Descriptor> => {
    const key = [...layers, ...came.map(({ digest }) => digest)].join();
    const found = running.get(key);
    if (found) return found;
    const started = limit(async () => {
      signal.throwIfAborted();
      return await snapshots.pack(layers, packing, { signal, onEvent: options.onEvent, vertex: VERTEX.id, came });
    });
    started.catch(() => undefined);
    running.set(key, started);
    return started;
  };
  return {
    start: (ref) => {
      if (ref.own) void pack(diffIdsOf(ref));
    },
    finish: async (target, base) =>
      await withVertex(VERTEX, options.onEvent, async () => {
        const diffIds = diffIdsOf(target);
        const blobs = await Promise.all(diffIds.map((_, at) => pack(diffIds.slice(0, at + 1), base.slice(at, at + 1))));
        // Layers of other stages are for a cache: they end here too, and a failure of theirs leaves them out of it.
        await Promise.allSettled(running.values());
        return blobs;
      }),
    stop: async () => {
      stopped.abort();
      await Promise.allSettled(running.values());
    },
  };
}

const VERTEX = { id: 'pack layers', name: 'packing layers' };
