import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { bestFor } from '../image/choose.ts';
import { encodedOf, isDigest } from '../image/digest.ts';
import type { Digest, Platform } from '../image/types.ts';
import { isRecord, listFolder, readJson, replaceFile } from './files.ts';
import { isNamed } from './names.ts';
import type { IndexMember, StoredImage, StoredIndex } from './types.ts';

/** An index as it is kept: its names are in the file of names. */
type IndexRecord = Pick<StoredIndex, 'descriptor' | 'members'>;

/** `images/<digest>.index.json`: one a digest, written under the lock `image`. */
export interface IndexRecords {
  /** @param files names in the folder, where they are known already */
  list(files?: readonly string[]): Promise<readonly IndexRecord[]>;
  put(index: IndexRecord): Promise<void>;
  remove(digest: Digest): Promise<void>;
}

export function createIndexRecords(folder: string, warn: (message: string) => void): IndexRecords {
  const pathOf = (digest: Digest): string => join(folder, `${encodedOf(digest)}${ENDING}`);
  const read = (digest: Digest): readonly IndexRecord[] => {
    const file = readJson(pathOf(digest));
    if ('missing' in file) return [];
    if ('value' in file && isIndexRecord(file.value) && file.value.descriptor.digest === digest) {
      const { descriptor, members } = file.value;
      return [{ descriptor, members }];
    }
    warn(`The record of the index ${digest} cannot be read and is ignored`);
    return [];
  };
  return {
    list: async (files) => {
      const digests = (files ?? listFolder(folder))
        .filter((name) => name.endsWith(ENDING))
        .map((name) => `sha256:${name.slice(0, -ENDING.length)}`)
        .filter(isDigest);
      return digests.flatMap(read);
    },
    put: async ({ descriptor, members }) =>
      replaceFile(pathOf(descriptor.digest), JSON.stringify({ v: 1, descriptor, members })),
    remove: async (digest) => rm(pathOf(digest), { force: true }),
  };
}

const ENDING = '.index.json';

function isIndexRecord(value: unknown): value is IndexRecord {
  return (
    isRecord(value) &&
    value.v === 1 &&
    isRecord(value.descriptor) &&
    isDigest(value.descriptor.digest) &&
    Array.isArray(value.members) &&
    value.members.length > 0 &&
    value.members.every(isMember)
  );
}

function isMember(value: unknown): value is IndexMember {
  return (
    isRecord(value) &&
    isDigest(value.id) &&
    isRecord(value.manifest) &&
    isDigest(value.manifest.digest) &&
    isRecord(value.platform)
  );
}

/** Images and indexes at one moment, and how they hang together. */
export interface Snapshot {
  readonly images: readonly StoredImage[];
  readonly indexes: readonly StoredIndex[];
  readonly host: Platform;
  /** Images of an index that are here, in its order. */
  readonly imagesOf: (index: StoredIndex) => readonly StoredImage[];
  /** The one for this machine; the first where none is. */
  readonly primaryOf: (index: StoredIndex) => StoredImage | undefined;
}

/** Images with what indexes give them: the one for this machine has the index's names too. */
export function withIndexes(bare: readonly StoredImage[], indexes: readonly StoredIndex[], host: Platform): Snapshot {
  const byId = new Map(bare.map((image) => [image.id, image]));
  const choose = (index: StoredIndex): Digest | undefined => {
    const members = index.members.flatMap(({ id }) => byId.get(id) ?? []);
    return (bestFor(members, host, ({ config }) => config) ?? members[0])?.id;
  };
  const primaries = new Map(indexes.map((index) => [index.descriptor.digest, choose(index)]));
  const images = bare.map((image): StoredImage => {
    const holders = indexes.filter((index) => isNamed(index) && index.members.some(({ id }) => id === image.id));
    if (holders.length === 0) return image;
    const more = holders.filter(({ descriptor }) => primaries.get(descriptor.digest) === image.id);
    return { ...image, partOf: holders, names: [...image.names, ...more.flatMap(({ names }) => names)] };
  });
  const known = new Map(images.map((image) => [image.id, image]));
  const withIndex = (index: StoredIndex, id: Digest | undefined): StoredImage | undefined => {
    const image = id === undefined ? undefined : known.get(id);
    return image && { ...image, index };
  };
  return {
    images,
    indexes,
    host,
    imagesOf: (index) => index.members.flatMap(({ id }) => withIndex(index, id) ?? []),
    primaryOf: (index) => withIndex(index, primaries.get(index.descriptor.digest)),
  };
}
