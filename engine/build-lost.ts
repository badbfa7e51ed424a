import { messageOf } from './base/errors.ts';
import type { Graph } from './graph/index.ts';
import type { Digest } from './image/types.ts';
import { lostLayerOf } from './store/index.ts';

/**
 * Calls `act` again while it fails because a cached layer can no longer be fetched: that layer is a miss from then on. Each time one layer
 * more is lost, so it ends; a base's layer cannot be made again, and its error counts.
 */
export async function withoutLost<T>(
  { vertices }: Pick<Graph, 'vertices'>,
  { lost, warn }: { readonly lost: Set<Digest>; readonly warn: (message: string) => void },
  act: () => Promise<T>,
): Promise<T> {
  const ofBases = new Set(vertices.flatMap(({ op }) => (op.type === 'image' ? op.config.rootfs.diff_ids : [])));
  for (;;) {
    try {
      return await act();
    } catch (error) {
      const layer = lostLayerOf(error);
      if (layer === undefined || lost.has(layer) || ofBases.has(layer)) throw error;
      lost.add(layer);
      warn(`A cached layer cannot be fetched, so its step is done again: ${messageOf(error)}`);
    }
  }
}
