import { statfs } from 'node:fs/promises';
import { EngineError } from '../base/errors.ts';
import type { Descriptor } from '../image/types.ts';
import type { LayerRecord } from './types.ts';

/** A layer whose files are wanted and are not here. */
export interface WantedLayer {
  readonly record: LayerRecord | undefined;
  /** Its blob is here already. */
  readonly local: Descriptor | undefined;
}

/** What a compressed layer grows to at least, as a rule: a guess that refuses what fits would be worse than one that lets pass what does not. */
const GROWTH = 2;

/** Bytes that blobs and files of some layers will take, as far as their records tell. */
export function estimateNeed(layers: readonly WantedLayer[]): number {
  return layers.reduce((sum, { record, local }) => {
    const blob = local ?? record?.blobs[0];
    if (!record || !blob) return sum;
    const growth = /[.+](?:gzip|zstd)$/.test(blob.mediaType) ? GROWTH : 1;
    return sum + (local ? 0 : blob.size) + (record.size ?? blob.size * growth);
  }, 0);
}

/**
 * Looks whether some layers will fit before the first byte of them is fetched (DESIGN.md 7).
 *
 * @throws `STORE_NO_SPACE` with both figures
 */
export async function requireSpace(root: string, layers: readonly WantedLayer[]): Promise<void> {
  const need = estimateNeed(layers);
  if (need === 0) return;
  const { bavail, bsize } = await statfs(root);
  const free = bavail * bsize;
  if (free >= need) return;
  throw new EngineError(
    'STORE_NO_SPACE',
    `Cannot unpack ${layers.length} ${layers.length === 1 ? 'layer' : 'layers'}: they need about ${size(need)}, and ${root} has ${size(free)} free`,
    { hint: 'Free space there: `berth system prune`, or set BERTH_ROOT to a folder on a larger file system' },
  );
}

function size(bytes: number): string {
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(0)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
