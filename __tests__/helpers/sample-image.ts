import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { assemble, type AssembledLayer } from '../../engine/image/assemble.ts';
import { digestOf } from '../../engine/image/digest.ts';
import { OCI_INDEX, OCI_LAYER_GZIP } from '../../engine/image/media-type.ts';
import type { Descriptor, Platform } from '../../engine/image/types.ts';
import type { MemoryStorage } from './memory-registry.ts';

/** Puts an image of some layers of random bytes (512-byte blocks of zeros end each, as in an empty tar) into the storage. */
export function addSampleImage(
  storage: MemoryStorage,
  options: { readonly sizes?: readonly number[]; readonly platform?: Platform } = {},
): Descriptor {
  const { sizes = [1000, 200_000], platform = { os: 'linux', architecture: 'amd64' } } = options;
  const layers = sizes.map((size, i): AssembledLayer => {
    const tar = Buffer.concat([randomBytes(size), Buffer.alloc(1024)]);
    const descriptor = storage.add(OCI_LAYER_GZIP, gzipSync(tar, { level: 1 }));
    return { diffId: digestOf(tar), descriptor, createdAt: `2024-01-0${i + 1}T00:00:00Z` };
  });
  const history = sizes.map((_, i) => ({ createdBy: `COPY layer${i} /`, vertex: String(i) }));
  const image = assemble({ draft: { platform, config: { Cmd: ['true'] }, history }, layers });
  storage.add(image.config.descriptor.mediaType, image.config.content);
  if (!image.manifest) throw new Error('every blob is known');
  return storage.add(image.manifest.descriptor.mediaType, image.manifest.content);
}

/** An index over some images. */
export function addIndex(storage: MemoryStorage, entries: readonly (readonly [Descriptor, Platform])[]): Descriptor {
  const manifests = entries.map(([descriptor, platform]) => ({ ...descriptor, platform }));
  return storage.add(OCI_INDEX, JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }));
}
