import { createHash } from 'node:crypto';
import { deflate, inflate } from '../image/inflate.ts';
import { compressionOf, layerType } from '../image/media-type.ts';
import type { Descriptor, Digest } from '../image/types.ts';
import type { Codec } from '../native/protocol.ts';
import type { ContentStore } from './types.ts';

/** The same plain bytes as a blob with another compression; streamed. */
export async function transcode(
  content: ContentStore,
  blob: Descriptor,
  { codec, level }: { readonly codec: Codec; readonly level: number },
  signal?: AbortSignal,
): Promise<Descriptor> {
  const plain = inflate(content.fetch(blob, { signal }), compressionOf(blob.mediaType));
  const ingest = await content.openIngest();
  const hash = createHash('sha256');
  let size = 0;
  try {
    for await (const chunk of deflate(plain, codec, level)) {
      signal?.throwIfAborted();
      await ingest.write(chunk);
      hash.update(chunk);
      size += chunk.length;
    }
    const digest: Digest = `sha256:${hash.digest('hex')}`;
    await ingest.commit(digest);
    return { mediaType: layerType(codec), digest, size };
  } finally {
    await ingest.abort();
  }
}
