import type { Descriptor, Digest, ImageConfig, Platform, Storage } from '../image/types.ts';
import type { RungName } from '../native/protocol.ts';
import type { Repositories } from './repositories.ts';

/** Everything that lies below BERTH_ROOT (DESIGN.md 7). */
export interface Store {
  readonly root: string;
  readonly content: ContentStore;
  readonly images: ImageStore;
  readonly layers: LayerStore;
  readonly records: CacheRecords;
  /** What `berth registry` keeps. */
  readonly repositories: Repositories;
  readonly locks: Locks;
  close(): Promise<void>;
}

/** `blobs/` and `ingest/`: content-addressed, written once, verified. */
export interface ContentStore extends Storage {
  /** Path of a blob relative to the store root, as the helper wants it. */
  pathOf(digest: Digest): string;
  /** Bytes of a small blob (manifest, config), verified. @throws `NOT_FOUND`, `TOO_LARGE`, `CONTENT_MISMATCH` */
  read(digest: Digest, limit?: number): Promise<Buffer>;
  /** Stores small content and gives its descriptor. */
  write(mediaType: string, content: Uint8Array): Promise<Descriptor>;
  /** A fresh name below `ingest/`, relative to the store root. */
  newIngest(): string;
  /** Moves a file that the helper wrote and hashed from `ingest/` into `blobs/` (fsync, rename, fsync of the folder). */
  commit(ingest: string, blob: { readonly digest: Digest; readonly size: number }): Promise<void>;
  remove(digest: Digest): Promise<void>;
  list(): Promise<readonly { readonly digest: Digest; readonly size: number }[]>;
  /** Bytes of a blob; undefined when it is not there. */
  size(digest: Digest): Promise<number | undefined>;
  /** Bytes `start` to `end` of a blob, both included; not verified, since a part has no digest. @throws `NOT_FOUND` */
  readRange(digest: Digest, range: { readonly start: number; readonly end: number }): AsyncIterable<Uint8Array>;
  /** A file below `ingest/` that is written in pieces, as an upload is. */
  openIngest(): Promise<Ingest>;
}

/** Content on its way in, hashed while it is written. */
export interface Ingest {
  write(chunk: Uint8Array): Promise<void>;
  /** Digest and size of what has come; nothing more may come. */
  seal(): { readonly digest: Digest; readonly size: number };
  /** The bytes, where there are few. @throws `TOO_LARGE` */
  read(limit: number): Promise<Buffer>;
  /** Makes the bytes a blob. @throws `CONTENT_MISMATCH` when they have another digest; they are gone then */
  commit(digest: Digest): Promise<void>;
  /** Forgets the bytes; nothing happens after a commit. */
  abort(): Promise<void>;
}

/** An image as the store knows it: complete (its blobs are there) or not (its layers may be snapshots, or only a registry's). */
export interface StoredImage {
  /** Digest of the config: Docker's image id. */
  readonly id: Digest;
  readonly config: ImageConfig;
  /** The manifest, once the image has been pulled, pushed or saved. */
  readonly manifest?: Descriptor | undefined;
  /** Fully qualified names that point here: `docker.io/library/python:3.11-slim`. Those of other scopes are not among them. */
  readonly names: readonly string[];
  /** Names that point here and are not this scope's: of other scopes, and in a scope those of all, which are seen unless it has its own. */
  readonly othersNames?: readonly string[] | undefined;
  /** Manifests of it that came from repositories, each meant by the names of its own; what others' scopes have pulled is not among them. */
  readonly pulled?: readonly PulledManifest[] | undefined;
  /** Manifests of it that somebody keeps, in whatever scope. */
  readonly manifests?: readonly Descriptor[] | undefined;
  /** The manifest of the image that it was built on, whose blobs its lowest layers have. */
  readonly base?: Descriptor | undefined;
  /** Where the manifest was pulled from or pushed to: `registry/repository@digest`. */
  readonly repoDigests: readonly string[];
  /** Bytes: sum of the blobs, or of the plain layers. */
  readonly size: number;
  /** The index that it was found by: it is the image of it for this machine, or the one that was asked for. */
  readonly index?: StoredIndex | undefined;
  /** Indexes with a name that hold it: it is no leftover, although it may have no name of its own. */
  readonly partOf?: readonly StoredIndex[] | undefined;
}

/** A manifest, and the repository that gave it. */
export interface PulledManifest {
  readonly manifest: Descriptor;
  /** `registry/repository`. */
  readonly from: string;
}

/** What is put into the store of an image. */
export interface NewImage {
  readonly id: Digest;
  /** Takes the place of what the scope has where it was made or loaded here; one that was pulled has its place beside that of other repositories. */
  readonly manifest?: Descriptor | undefined;
  /** The repository that the manifest was pulled from. */
  readonly from?: string | undefined;
  /** The manifest that it is put in the place of, and of no other: its blobs could not be had. */
  readonly instead?: Digest | undefined;
  readonly base?: Descriptor | undefined;
  readonly names?: readonly string[];
  readonly repoDigests?: readonly string[];
}

/** An image for several platforms. The images that it holds are images of the store as well; its names are those of the one for this machine. */
export interface StoredIndex {
  readonly descriptor: Descriptor;
  readonly members: readonly IndexMember[];
  readonly names: readonly string[];
  /** As in {@link StoredImage}. */
  readonly othersNames?: readonly string[] | undefined;
}

export interface IndexMember {
  readonly id: Digest;
  readonly manifest: Descriptor;
  readonly platform: Platform;
}

/** `images/`: names and records. */
export interface ImageStore {
  list(): Promise<readonly StoredImage[]>;
  /** By name, digest, id or prefix of an id. @throws `IMAGE_NOT_FOUND`, `AMBIGUOUS` */
  resolve(nameOrId: string): Promise<StoredImage>;
  find(nameOrId: string): Promise<StoredImage | undefined>;
  /** Of what the name stands for, the image for a platform: a member of the index, or one that came from the same index of a registry. */
  findFor(nameOrId: string, platform: Platform): Promise<StoredImage | undefined>;
  indexes(): Promise<readonly StoredIndex[]>;
  /** Adds an index (its bytes and its images are stored first by the caller) and points `names` to it. */
  putIndex(index: Pick<StoredIndex, 'descriptor' | 'members'> & { readonly names?: readonly string[] }): Promise<void>;
  /** Forgets an index. Its images stay, and its names with the one that is its heir; without one they go. */
  removeIndex(digest: Digest, heir?: Digest): Promise<void>;
  /** Forgets an index that nobody has a name for. Its images stay. */
  dropUnnamedIndex(digest: Digest): Promise<void>;
  /** Adds to the image what the scope knows of it (config blob is written first by the caller) and points `names` to it. */
  put(image: NewImage): Promise<void>;
  /** Forgets a manifest, whoever has it: its blobs are lost or wrong, and the image is completed anew when somebody needs them. */
  forgetManifest(id: Digest, manifest: Digest): Promise<void>;
  /** Points a name of the scope to an image, or to an index by its digest. */
  tag(id: Digest, name: string): Promise<void>;
  /** Forgets a name of the scope. @throws `IMAGE_IN_USE` in a scope, when it is only a name of all */
  untag(name: string): Promise<void>;
  /** Removes the image with its names, of every scope, and an index that holds it. Blobs and snapshots go with the next prune. */
  remove(id: Digest): Promise<void>;
}

/** What is said of a layer's blobs by manifests and caches, to one scope or to all. */
export interface LayerClaims {
  /** Bytes of the plain tar. */
  readonly size?: number | undefined;
  readonly blobs: readonly Descriptor[];
  /** `registry/repository` that serve a blob, by blob digest. */
  readonly sources: Readonly<Record<string, readonly string[]>>;
  /** Blobs that a cache named, which names the steps as well that made the layer. Of the others it was the manifest of an image. */
  readonly cached?: readonly Digest[] | undefined;
}

/** What is known of a layer: up to three forms, and where else it can be had. */
export interface LayerRecord extends LayerClaims {
  readonly v: 1;
  readonly diffId: Digest;
  readonly snapshots: readonly SnapshotForm[];
  /** Blobs that were seen to hold this layer, since they were unpacked, hashed or packed here. */
  readonly verified?: readonly Digest[] | undefined;
}

/** The record as it is kept: what is said to scopes lies beside what is known, or is said to all. */
export interface WholeLayerRecord extends LayerRecord {
  readonly scopes?: Readonly<Record<string, LayerClaims>> | undefined;
}

/** What is added to a record. Of blobs that are not among the verified ones it is said, to the scope of the store. */
export type LayerForms = Partial<Omit<LayerRecord, 'v' | 'diffId'>>;

/** A layer as a directory, for one id map. */
export interface SnapshotForm {
  /** Folder below `snapshots/`: `root` or `sub-…`. */
  readonly idMap: string;
  readonly name: string;
  /** The chain it belongs to, when it is not self-contained. */
  readonly chainId?: Digest | undefined;
}

/** `records/layers/`. */
export interface LayerStore {
  /** What the scope of the store sees: not what was only said to another scope. */
  get(diffId: Digest): Promise<LayerRecord | undefined>;
  /** What any scope sees, for what cleans and checks the store. */
  getWhole(diffId: Digest): Promise<LayerRecord | undefined>;
  /** Merges forms and sources into the record. */
  add(diffId: Digest, forms: LayerForms): Promise<LayerRecord>;
  /** Replaces the record by what `change` makes of it; undefined removes it. */
  update(diffId: Digest, change: (record: WholeLayerRecord) => WholeLayerRecord | undefined): Promise<void>;
  /** As {@link getWhole} has them. */
  list(): Promise<readonly LayerRecord[]>;
  remove(diffId: Digest): Promise<void>;
}

/** What RUNs gave: by the key of each its own layer, null where nothing changed. */
export type Lineage = Readonly<Record<string, Digest | null>>;

/** One remembered step (DESIGN.md 5): the key of what was asked, and the layer that came of it. */
export interface CacheRecord {
  readonly v: 1;
  readonly key: string;
  /** Canonical JSON of the operation, for `--explain`. */
  readonly op: unknown;
  /** null: the step made no layer. */
  readonly diffId: Digest | null;
  /** Chain id of the layers below, when the step ran; null from scratch. A hit needs the same ones. */
  readonly base: Digest | null;
  /** The key that later steps build on, where it is another one: the content key of a COPY that was found by its definition. */
  readonly result?: string | undefined;
  /** Beside a `result` that was told by a definition: what the RUNs gave that its files came from. */
  readonly lineage?: Lineage | undefined;
  /** Beside a `lineage`: keys of the records without which the definition is not asked for. They are kept as long as it is. */
  readonly traces?: readonly string[] | undefined;
  /** RFC 3339. */
  readonly createdAt: string;
  readonly isolation: RungName;
  readonly provenance?: Readonly<Record<string, string>> | undefined;
  /** Whose builds alone may use it; left out: all. */
  readonly scope?: string | undefined;
}

/** `records/cache/`: in each scope, and for all (`scope` left out), one record a key. */
export interface CacheRecords {
  get(key: string, scope?: string): Promise<CacheRecord | undefined>;
  put(record: CacheRecord): Promise<void>;
  list(): Promise<readonly CacheRecord[]>;
  /** Notes that a build uses the record now, to the hour. Never fails: which part of the cache goes first depends on it, nothing else. */
  touch(key: string, scope?: string): Promise<void>;
  /** When it was put or last used, in milliseconds since 1970; undefined when it is not there. */
  usedAt(key: string, scope?: string): Promise<number | undefined>;
  remove(key: string, scope?: string): Promise<void>;
}

/** Locks that die with the process, held by the helper's `lock`. Order: store, image, snapshot. */
export interface Locks {
  /** Runs `act` while the lock is held. */
  with<T>(
    name: string,
    mode: 'shared' | 'exclusive',
    act: () => Promise<T>,
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<T>;
  /** Runs `act` with the lock held exclusively when nobody holds it now; undefined when somebody does. */
  ifFree<T>(name: string, act: () => Promise<T>): Promise<T | undefined>;
  close(): Promise<void>;
}
