import { createHash } from 'node:crypto';
import { isEngineError } from '../base/errors.ts';
import { inflate } from '../image/inflate.ts';
import { compressionOf, isLayerType } from '../image/media-type.ts';
import type { Descriptor, Digest } from '../image/types.ts';
import { isVerified, withoutBlobs } from './claims.ts';
import type { Store } from './types.ts';

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

/** Digest of the plain tar; undefined for bytes that no tar was packed into like that. */
async function plainDigest(
  bytes: AsyncIterable<Uint8Array>,
  { mediaType, digest }: Descriptor,
  signal: AbortSignal | undefined,
): Promise<Digest | 'unknown' | undefined> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of inflate(bytes, compressionOf(mediaType), `the blob ${digest}`)) {
      signal?.throwIfAborted();
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
