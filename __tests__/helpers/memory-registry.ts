import { EngineError } from '../../engine/base/errors.ts';
import { verify } from '../../engine/base/verify.ts';
import { digestOf } from '../../engine/image/digest.ts';
import type { Descriptor, Digest, Storage } from '../../engine/image/types.ts';
import { createRegistryServer } from '../../engine/registry/server/server.ts';
import type {
  RegistryBackend,
  RegistryManifest,
  RegistryServerOptions,
  RunningRegistryServer,
} from '../../engine/registry/server/types.ts';

/** A registry's content, kept in maps. */
export interface MemoryBackend extends RegistryBackend {
  readonly contents: Map<Digest, Buffer>;
  /** `repository` → tag or digest → manifest. */
  readonly repositories: Map<string, Map<string, RegistryManifest>>;
}

export function createMemoryBackend(): MemoryBackend {
  const contents = new Map<Digest, Buffer>();
  const repositories = new Map<string, Map<string, RegistryManifest>>();
  return {
    contents,
    repositories,
    blobs: {
      size: async (digest) => contents.get(digest)?.length,
      read: async function* (digest, range) {
        const content = contents.get(digest) ?? Buffer.alloc(0);
        yield range ? content.subarray(range.start, range.end + 1) : content;
      },
      ingest: async () => {
        const chunks: Buffer[] = [];
        return {
          write: async (chunk) => void chunks.push(Buffer.from(chunk)),
          abort: async () => void chunks.splice(0),
          commit: async (digest) => {
            const content = Buffer.concat(chunks);
            if (digestOf(content) !== digest) throw new EngineError('CONTENT_MISMATCH', 'Cannot commit: other bytes');
            contents.set(digest, content);
          },
        };
      },
    },
    manifests: {
      get: async (repository, reference) => repositories.get(repository)?.get(reference),
      put: async (repository, manifest, tag) => {
        const names = repositories.get(repository) ?? new Map<string, RegistryManifest>();
        repositories.set(repository, names.set(manifest.descriptor.digest, manifest));
        if (tag !== undefined) names.set(tag, manifest);
      },
      tags: async (repository) => {
        const names = repositories.get(repository);
        return names && [...names.keys()].filter((name) => !name.includes(':'));
      },
      repositories: async () => [...repositories.keys()],
      list: async (repository) =>
        [...(repositories.get(repository) ?? [])]
          .filter(([name]) => name.includes(':'))
          .map(([, manifest]) => manifest),
      remove: async (repository, reference) => repositories.get(repository)?.delete(reference) ?? false,
    },
  };
}

/** Our own server over a fresh backend on a free loopback port. */
export async function startMemoryRegistry(
  options: RegistryServerOptions = {},
): Promise<RunningRegistryServer & { readonly backend: MemoryBackend; readonly address: string }> {
  const backend = createMemoryBackend();
  const server = await createRegistryServer(backend, options);
  return { ...server, backend, address: `127.0.0.1:${server.port}` };
}

/** Content in a map, as the end of a copy. */
export interface MemoryStorage extends Storage {
  readonly contents: Map<Digest, Buffer>;
  readonly names: Map<string, Descriptor>;
  /** Keeps bytes and gives their descriptor. */
  add(mediaType: string, content: Uint8Array | string): Descriptor;
}

export function createMemoryStorage(): MemoryStorage {
  const contents = new Map<Digest, Buffer>();
  const names = new Map<string, Descriptor>();
  return {
    contents,
    names,
    add: (mediaType, content) => {
      const bytes = Buffer.from(content);
      const digest = digestOf(bytes);
      contents.set(digest, bytes);
      return { mediaType, digest, size: bytes.length };
    },
    fetch: async function* (descriptor) {
      const content = contents.get(descriptor.digest);
      if (!content) throw new EngineError('NOT_FOUND', `Cannot read ${descriptor.digest}: it is not there`);
      // In pieces, as files and sockets give them.
      for (let at = 0; at < content.length; at += 65_536) yield content.subarray(at, at + 65_536);
    },
    exists: async (descriptor) => contents.has(descriptor.digest),
    push: async (descriptor, source) => {
      if (contents.has(descriptor.digest)) return 'exists';
      const chunks: Uint8Array[] = [];
      for await (const chunk of verify(source(), descriptor)) chunks.push(chunk);
      contents.set(descriptor.digest, Buffer.concat(chunks));
      return 'pushed';
    },
    tag: async (descriptor, name) => void names.set(name, descriptor),
  };
}
