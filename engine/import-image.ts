import { createHash } from 'node:crypto';
import { compressionOfHead, peek } from './archive/read.ts';
import { withVertex, type ActOptions } from './base/progress.ts';
import { hostPlatform } from './host-platform.ts';
import { applyChanges } from './changes.ts';
import type { Parts } from './connect.ts';
import type { ImportOptions } from './engine.ts';
import { assembleConfig } from './image/assemble.ts';
import { inflate } from './image/inflate.ts';
import { layerType } from './image/media-type.ts';
import { normalizePlatform } from './image/platform.ts';
import type { Descriptor, Digest, ImageConfig } from './image/types.ts';
import { withStore } from './leftovers.ts';
import { requireTag } from './names.ts';

/**
 * A `docker import`: the tar of a root file system (plain, gzip or zstd) as an image of one layer. It is unpacked at once, so that what is no
 * tar, or leaves its root, makes no image.
 *
 * @throws `ARCHIVE_INVALID`, and the helper's refusals naming the entry
 */
export async function importImage(
  parts: Parts,
  source: AsyncIterable<Uint8Array>,
  { name, changes = [], message, platform, ...options }: ImportOptions & ActOptions = {},
): Promise<Digest> {
  const names = name === undefined ? [] : [requireTag(name)];
  const config = await applyChanges({}, changes);
  const vertex = { id: 'import', name: 'importing a root file system' };
  return await withStore(parts, options, () =>
    withVertex(vertex, options.onEvent, async () => {
      const { store } = parts;
      const { diffId, size, blob } = await takeLayer(parts, source, options);
      await store.layers.add(diffId, { size, blobs: [blob], verified: [blob.digest] });
      try {
        await (await parts.snapshots(options)).ensure([diffId], { ...options, vertex: vertex.id });
      } catch (error) {
        await store.layers.remove(diffId);
        await store.content.remove(blob.digest);
        throw error;
      }
      const created = new Date().toISOString();
      const image: ImageConfig = {
        created,
        ...normalizePlatform(platform ?? hostPlatform()),
        config,
        rootfs: { type: 'layers', diff_ids: [diffId] },
        history: [{ created, comment: message ?? 'Imported from a tar archive' }],
      };
      const { content, descriptor } = assembleConfig(image);
      await store.content.write(descriptor.mediaType, content);
      await store.images.put({ id: descriptor.digest, names });
      return descriptor.digest;
    }),
  );
}

/** Keeps the bytes as they come, and hashes what is in them on the way. */
async function takeLayer(
  { store }: Parts,
  source: AsyncIterable<Uint8Array>,
  { signal }: ActOptions,
): Promise<{ readonly diffId: Digest; readonly size: number; readonly blob: Descriptor }> {
  const { head, whole } = await peek(source);
  const compression = compressionOfHead(head, 'the archive');
  const ingest = await store.content.openIngest();
  try {
    const copied = async function* (): AsyncGenerator<Uint8Array> {
      for await (const chunk of whole) {
        signal?.throwIfAborted();
        await ingest.write(chunk);
        yield chunk;
      }
    };
    const hash = createHash('sha256');
    let plain = 0;
    for await (const chunk of inflate(copied(), compression, 'the archive')) {
      hash.update(chunk);
      plain += chunk.length;
    }
    const { digest, size } = ingest.seal();
    await ingest.commit(digest);
    return {
      diffId: `sha256:${hash.digest('hex')}`,
      size: plain,
      blob: { mediaType: layerType(compression), digest, size },
    };
  } finally {
    await ingest.abort();
  }
}
