import type { ImageOp } from '../graph/types.ts';
import { chainIds } from '../image/chain-id.ts';
import type { Digest } from '../image/types.ts';
import type { Ref } from './types.ts';

/** What `FROM scratch` gives. */
export const NOTHING: Ref = { layers: [] };

/** The layers of a base, each with the time that its history tells. */
export function refOfImage({ config }: ImageOp): Ref {
  const made = config.history?.filter((entry) => !entry.empty_layer) ?? [];
  return {
    layers: config.rootfs.diff_ids.map((diffId, at) => ({ diffId, createdAt: made[at]?.created ?? config.created })),
    createdAt: config.created,
  };
}

/** A step's own layer on what it stands on; null where nothing changed. */
export function extend(base: Ref, own: Digest | null, createdAt: string): Ref {
  return { layers: own === null ? base.layers : [...base.layers, { diffId: own, createdAt }], createdAt, own };
}

/** Diff ids of a ref's layers, bottom first. */
export function diffIdsOf({ layers }: Ref): readonly Digest[] {
  return layers.map(({ diffId }) => diffId);
}

/** Chain id of a ref's layers; null of nothing. */
export function chainOf(ref: Ref): Digest | null {
  return chainIds(diffIdsOf(ref)).at(-1) ?? null;
}
