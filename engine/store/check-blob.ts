import { createHash } from 'node:crypto';
import { isEngineError } from '../base/errors.ts';
import { inflate } from '../image/inflate.ts';
import { compressionOf, isLayerType } from '../image/media-type.ts';
import type { Descriptor, Digest } from '../image/types.ts';
import { isVerified, withoutBlobs } from './claims.ts';
import type { Store } from './types.ts';

/** Limit of one layer's plain tar: more is refused as a bomb (spec/bad-inputs.md; the largest ML layers are some 20 GiB). */
export const MAX_LAYER_BYTES = 128 * 1024 ** 3;
/** So much may come of any blob; beyond it a gzip blob holds a thousandfold of its size at most, as when it is unpacked. */
const FREE = 1024 ** 3;
const MAX_RATIO = { none: 1, gzip: 1_000, zstd: 50_000 };

/**
 * Whether a blob that is here holds a layer, as a manifest or a cache says: what is in it is hashed once, and remembered. One that holds
 * something else is forgotten, whoever named it.
 *
 * @returns undefined for a kind of layer that cannot be looked into here
 */
export async function holdsLayer(
  { content, layers }: Pick<Store, 'content' | 'layers'>,
  diffId: Digest,
  blob: Descriptor,
  signal?: AbortSignal,
): Promise<boolean | undefined> {
  const record = await layers.get(diffId);
  if (isVerified(record, blob)) return true;
  // The bytes are the layer's, packed otherwise than this descriptor of them says.
  if (record?.verified?.includes(blob.digest)) return false;
  if (!isLayerType(blob.mediaType)) return undefined;
  const found = await plainDigest(content.fetch(blob, { signal }), blob, signal);
  if (found === 'unknown') return undefined;
  if (found === diffId) await layers.add(diffId, { blobs: [blob], verified: [blob.digest] });
  else await forgetBlob({ layers }, diffId, blob.digest);
  return found === diffId;
}

/** Forgets that a blob is one of a layer: it holds something else, or cannot be unpacked. */
export async function forgetBlob({ layers }: Pick<Store, 'layers'>, diffId: Digest, blob: Digest): Promise<void> {
  await layers.update(diffId, (record) => withoutBlobs(record, new Set([blob])));
}

/** Digest of the plain tar; undefined for bytes that no tar was packed into like that, and for a bomb. */
async function plainDigest(
  bytes: AsyncIterable<Uint8Array>,
  { mediaType, digest, size }: Descriptor,
  signal: AbortSignal | undefined,
): Promise<Digest | 'unknown' | undefined> {
  const hash = createHash('sha256');
  const packing = compressionOf(mediaType);
  const most = Math.min(MAX_LAYER_BYTES, Math.max(FREE, size * MAX_RATIO[packing]));
  let found = 0;
  try {
    for await (const chunk of inflate(bytes, packing, `the blob ${digest}`, { size })) {
      signal?.throwIfAborted();
      if ((found += chunk.length) > most) return undefined;
      hash.update(chunk);
    }
  } catch (error) {
    if (isEngineError(error, 'ARCHIVE_INVALID')) return undefined;
    // This Node has no zstd: the helper finds out when it unpacks the layer.
    if (isEngineError(error, 'LAYER_UNSUPPORTED')) return 'unknown';
    throw error;
  }
  return `sha256:${hash.digest('hex')}`;
}
