import { join } from 'node:path';
import { digestOf, encodedOf, isDigest } from '../image/digest.ts';
import type { Descriptor, Digest } from '../image/types.ts';
import { isRecord, listFolder, readJson, replaceFile } from './files.ts';
import type { Locks } from './types.ts';

/** A repository that the registry server keeps: its manifests, and what its tags point to. */
export interface RepositoryRecord {
  readonly v: 1;
  /** `library/python`, without a host. */
  readonly name: string;
  readonly manifests: readonly Descriptor[];
  readonly tags: Readonly<Record<string, Digest>>;
}

/** `records/repositories/`: what was pushed to `berth registry`. Blobs are in `blobs/` with all others. */
export interface Repositories {
  get(name: string): Promise<RepositoryRecord | undefined>;
  /** Keeps a manifest whose bytes are in the content store already. */
  put(name: string, manifest: Descriptor, tag: string | undefined): Promise<void>;
  list(): Promise<readonly RepositoryRecord[]>;
  /** Forgets a tag, or a manifest by its digest with its tags. False when there is none. */
  remove(name: string, reference: string): Promise<boolean>;
}

export function createRepositories(root: string, locks: Locks, warn: (message: string) => void): Repositories {
  const folder = join(root, 'records', 'repositories');
  const pathOf = (name: string): string => join(folder, `${encodedOf(digestOf(name))}.json`);
  const read = (path: string): RepositoryRecord | undefined => {
    const file = readJson(path);
    if ('missing' in file) return undefined;
    if ('value' in file && isRepositoryRecord(file.value)) return file.value;
    warn(`The repository record ${path} cannot be read and is ignored`);
    return undefined;
  };
  return {
    get: async (name) => read(pathOf(name)),
    put: (name, { mediaType, digest, size }, tag) =>
      locks.with('image', 'exclusive', async () => {
        const { manifests, tags } = read(pathOf(name)) ?? { manifests: [], tags: {} };
        const record: RepositoryRecord = {
          v: 1,
          name,
          manifests: [...manifests.filter((other) => other.digest !== digest), { mediaType, digest, size }],
          tags: tag === undefined ? tags : { ...tags, [tag]: digest },
        };
        await replaceFile(pathOf(name), JSON.stringify(record), { backup: true });
      }),
    remove: (name, reference) =>
      locks.with('image', 'exclusive', async () => {
        const record = read(pathOf(name));
        const next = record && without(record, reference);
        if (!next) return false;
        await replaceFile(pathOf(name), JSON.stringify(next), { backup: true });
        return true;
      }),
    list: async () => {
      const names = listFolder(folder).filter((name) => name.endsWith('.json'));
      const records = names.map((name) => read(join(folder, name)));
      return records.filter((record) => record !== undefined);
    },
  };
}

/** The record without that tag or manifest; undefined when it has none such. */
function without(record: RepositoryRecord, reference: string): RepositoryRecord | undefined {
  const tags = Object.entries(record.tags).filter(([tag, digest]) => tag !== reference && digest !== reference);
  const manifests = record.manifests.filter(({ digest }) => digest !== reference);
  const isSame = tags.length === Object.keys(record.tags).length && manifests.length === record.manifests.length;
  return isSame ? undefined : { ...record, manifests, tags: Object.fromEntries(tags) };
}

function isRepositoryRecord(value: unknown): value is RepositoryRecord {
  return (
    isRecord(value) &&
    value.v === 1 &&
    typeof value.name === 'string' &&
    Array.isArray(value.manifests) &&
    value.manifests.every(
      (entry) => isRecord(entry) && isDigest(entry.digest) && typeof entry.mediaType === 'string',
    ) &&
    isRecord(value.tags) &&
    Object.values(value.tags).every(isDigest)
  );
}
