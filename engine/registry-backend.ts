import type { BlobIngest, RegistryBackend } from './registry/index.ts';
import type { Store } from './store/index.ts';
import { isDigest } from './image/digest.ts';

/**
 * The store as what the registry server stands on: blobs are the store's, repositories are records of their own, so that what is pushed here
 * is served and does not turn into an image of `berth images`.
 */
export function createRegistryBackend(store: Store): RegistryBackend {
  const { content, repositories, locks } = store;
  return {
    blobs: {
      size: (digest) => content.size(digest),
      read: async function* (digest, range) {
        const end = (await content.size(digest)) ?? 0;
        yield* content.readRange(digest, range ?? { start: 0, end: Math.max(0, end - 1) });
      },
      ingest: () => openLocked(store),
    },
    manifests: {
      get: async (name, reference) => {
        const repository = await repositories.get(name);
        const digest = isDigest(reference) ? reference : repository?.tags[reference];
        const descriptor = repository?.manifests.find((manifest) => manifest.digest === digest);
        return descriptor && { descriptor, content: await content.read(descriptor.digest) };
      },
      put: (name, { descriptor, content: bytes }, tag) =>
        locks.with('store', 'shared', async () => {
          await content.write(descriptor.mediaType, bytes);
          await repositories.put(name, descriptor, tag);
        }),
      tags: async (name) => {
        const repository = await repositories.get(name);
        return repository && Object.keys(repository.tags);
      },
    },
  };
}

/** An ingest that holds the lock `store` until it is committed or forgotten: a prune takes every half written file for garbage. */
async function openLocked({ content, locks }: Store): Promise<BlobIngest> {
  return await new Promise<BlobIngest>((resolve, reject) => {
    const upload = async (): Promise<void> => {
      const ingest = await content.openIngest();
      await new Promise<void>((done) =>
        resolve({
          write: (chunk) => ingest.write(chunk),
          commit: (digest) => ingest.commit(digest).finally(done),
          abort: () => ingest.abort().finally(done),
        }),
      );
    };
    locks.with('store', 'shared', upload).catch(reject);
  });
}
