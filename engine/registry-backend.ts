import type { Parts } from './connect.ts';
import { bringImage } from './complete-image.ts';
import type { Engine, RegistryServer } from './engine.ts';
import { bringIndex } from './image-index.ts';
import { isDigest } from './image/digest.ts';
import { parseReference } from './image/reference.ts';
import { createRegistryServer } from './registry/server/server.ts';
import type { BlobIngest, RegistryBackend, RegistryManifest } from './registry/index.ts';
import type { Store, StoredImage } from './store/index.ts';

/** Serves the store over the distribution API on loopback. */
export async function serveRegistry(
  parts: Parts,
  options: Parameters<Engine['serveRegistry']>[0],
): Promise<RegistryServer> {
  return await createRegistryServer(createRegistryBackend(parts), options);
}

/**
 * The store as what the registry server stands on: blobs are the store's. What is pushed goes into repositories of their own and does not turn
 * into an image of `berth images`; the images of the store can be pulled by their names, and are completed when somebody asks for them.
 */
export function createRegistryBackend(parts: Parts): RegistryBackend {
  const { store } = parts;
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
      get: async (name, reference) =>
        (await fromRepository(store, name, reference)) ?? (await fromImages(parts, name, reference)),
      put: (name, { descriptor, content: bytes }, tag) =>
        locks.with('store', 'shared', async () => {
          await content.write(descriptor.mediaType, bytes);
          await repositories.put(name, descriptor, tag);
        }),
      tags: async (name) => {
        const repository = await repositories.get(name);
        const images = (await servedImages(store)).filter(({ repository: own }) => own === name);
        if (!repository && images.length === 0) return undefined;
        return [...new Set([...Object.keys(repository?.tags ?? {}), ...images.map(({ tag }) => tag)])];
      },
      repositories: async () => {
        const pushed = (await repositories.list()).map(({ name }) => name);
        return [...new Set([...pushed, ...(await servedImages(store)).map(({ repository }) => repository)])];
      },
      list: async (name) => {
        const repository = await repositories.get(name);
        return await Promise.all(
          (repository?.manifests ?? []).map(async (descriptor) => ({
            descriptor,
            content: await content.read(descriptor.digest),
          })),
        );
      },
      remove: (name, reference) => repositories.remove(name, reference),
    },
  };
}

async function fromRepository(
  { content, repositories }: Store,
  name: string,
  reference: string,
): Promise<RegistryManifest | undefined> {
  const repository = await repositories.get(name);
  const digest = isDigest(reference) ? reference : repository?.tags[reference];
  const descriptor = repository?.manifests.find((manifest) => manifest.digest === digest);
  return descriptor && { descriptor, content: await content.read(descriptor.digest) };
}

/** An image of the store under one of the names that it is served by. */
interface Served {
  readonly repository: string;
  readonly tag: string;
  /** In full. */
  readonly name: string;
  readonly image: StoredImage;
}

/** `docker.io/library/model:1` is served as `model` and `library/model`, `ghcr.io/me/model:1` as `me/model` and `ghcr.io/me/model`. */
async function servedImages({ images }: Store): Promise<readonly Served[]> {
  return (await images.list()).flatMap((image) =>
    image.names.flatMap((name) => {
      const { domain, path, tag = 'latest' } = parseReference(name);
      const short = path.replace(/^library\//, '');
      const long = domain === 'docker.io' || domain.includes(':') ? path : `${domain}/${path}`;
      return [...new Set([path, domain === 'docker.io' ? short : path, long])].map((repository) => ({
        repository,
        tag,
        name,
        image,
      }));
    }),
  );
}

/** Packs and fetches what the image lacks: who pulls the manifest will ask for its blobs next. */
async function fromImages(parts: Parts, name: string, reference: string): Promise<RegistryManifest | undefined> {
  const { store } = parts;
  const served = (await servedImages(store)).filter(({ repository }) => repository === name);
  const inIndex = await fromIndexes(parts, served, reference);
  if (inIndex) return inIndex;
  const isMeant = ({ tag, image }: Served): boolean =>
    isDigest(reference) ? image.manifest?.digest === reference : tag === reference;
  const found = served.find(isMeant);
  if (!found) return undefined;
  return await store.locks.with('store', 'shared', async () => {
    const { manifest } = await bringImage(parts, found.image, {});
    return manifest && { descriptor: manifest, content: await store.content.read(manifest.digest) };
  });
}

/** The index that a tag stands for, or one of what it holds, by digest; all of it is brought when the first of it is asked for. */
async function fromIndexes(
  parts: Parts,
  served: readonly Served[],
  reference: string,
): Promise<RegistryManifest | undefined> {
  const { store } = parts;
  const indexes = await store.images.indexes();
  for (const { name, tag } of served) {
    const index = indexes.find(({ names }) => names.includes(name));
    if (!index) continue;
    const all = [index.descriptor, ...index.members.map(({ manifest }) => manifest)];
    if (isDigest(reference) ? !all.some(({ digest }) => digest === reference) : tag !== reference) continue;
    return await store.locks.with('store', 'shared', async () => {
      const { index: ready } = await bringIndex(parts, index, {});
      const now = [ready.descriptor, ...ready.members.map(({ manifest }) => manifest)];
      const descriptor = isDigest(reference) ? now.find(({ digest }) => digest === reference) : ready.descriptor;
      return descriptor && { descriptor, content: await store.content.read(descriptor.digest) };
    });
  }
  return undefined;
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
