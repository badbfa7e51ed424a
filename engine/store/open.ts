import type { Helper } from '../native/types.ts';
import type { StoreLocation } from '../native/protocol.ts';
import { formatReference, nameOf, parseReference } from '../image/reference.ts';
import type { Manifest, Platform } from '../image/types.ts';
import { createContentStore } from './content.ts';
import { createImageStore } from './images.ts';
import { createLayerStore } from './layers.ts';
import { createLocks } from './locks.ts';
import { createNameFile } from './names.ts';
import { writeOciIndex } from './oci-index.ts';
import { createCacheRecords } from './records.ts';
import { createRepositories } from './repositories.ts';
import type { ContentStore, ImageStore, Store } from './types.ts';

/** What a store is opened with. */
export interface OpenStoreOptions {
  /** A helper for `lock`, which runs unprivileged and knows no id map. */
  readonly lockHelper: Pick<Helper, 'open'>;
  /** What this machine runs: of an image for several platforms, that one is meant. */
  readonly host: Platform;
  /** Whose names of images are made, and whose word of blobs is taken, before those of all; left out: those of all, and no other is seen. */
  readonly scope?: string | undefined;
  /** Hears of records that were ignored. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** The store at a place that {@link openLayout} has made or checked. */
export function openStore({ root }: StoreLocation, { lockHelper, host, scope, onWarning }: OpenStoreOptions): Store {
  const warn = (message: string): void => onWarning?.(message);
  const locks = createLocks(lockHelper);
  const layers = createLayerStore({ root, locks, scope, warn });
  // Content and images know each other: a manifest is tagged in the one and read from the other.
  const content: ContentStore = createContentStore(root, (descriptor, name) =>
    tagManifest(content, images, descriptor, name),
  );
  const images: ImageStore = createImageStore({
    root,
    content,
    layers,
    locks,
    names: createNameFile(root),
    scope,
    host,
    changed: async (snapshot) => writeOciIndex(root, content, await snapshot()),
    warn,
  });
  return {
    root,
    content,
    images,
    layers,
    records: createCacheRecords(root, warn),
    repositories: createRepositories(root, locks, warn),
    locks,
    close: () => locks.close(),
  };
}

/** Names an image by its manifest, which has been stored. A name with a digest is a place, not a tag. */
async function tagManifest(
  content: ContentStore,
  images: ImageStore,
  descriptor: Parameters<ContentStore['tag']>[0],
  name: string,
): Promise<void> {
  const manifest = JSON.parse((await content.read(descriptor.digest)).toString('utf8')) as Manifest;
  const reference = parseReference(name);
  const { mediaType, digest, size } = descriptor;
  await images.put({
    id: manifest.config.digest,
    manifest: { mediaType, digest, size },
    names:
      reference.tag === undefined
        ? []
        : [formatReference({ domain: reference.domain, path: reference.path, tag: reference.tag })],
    repoDigests: [`${nameOf(reference)}@${digest}`],
  });
}
