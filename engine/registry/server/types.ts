import type { Descriptor, Digest } from '../../image/types.ts';

/**
 * What the registry server stands on: a content store, seen narrowly. `engine/index.ts` joins it with the store.
 *
 * Blobs are shared by all repositories (a mount is then only a question of existence); manifests and tags belong to one.
 */
export interface RegistryBackend {
  readonly blobs: RegistryBlobs;
  readonly manifests: RegistryManifests;
}

/** Blobs by digest. */
export interface RegistryBlobs {
  /** Bytes of the blob, or undefined when it isn't there. */
  size(digest: Digest): Promise<number | undefined>;
  /** Bytes `start` to `end` of the blob, both included; all of it without a range. */
  read(digest: Digest, range?: ByteRange): AsyncIterable<Uint8Array>;
  /** Opens a new, empty ingest. Nothing of it is visible before its commit. */
  ingest(): Promise<BlobIngest>;
}

export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** A blob on its way in; hashed while it is written. */
export interface BlobIngest {
  /** Appends; resolves when more may come. */
  write(chunk: Uint8Array): Promise<void>;
  /** Makes the bytes visible as `digest`. @throws `CONTENT_MISMATCH` when they are others; the ingest is gone then */
  commit(digest: Digest): Promise<void>;
  /** Forgets the bytes. Harmless after a commit. */
  abort(): Promise<void>;
}

/** Manifests and indexes, by repository (`library/python`, without a host). */
export interface RegistryManifests {
  /** By tag or digest; undefined when this repository has none. */
  get(repository: string, reference: string): Promise<RegistryManifest | undefined>;
  /** Keeps the manifest (checked by the server: its shape, its digest, and that all it names is there), and points `tag` to it. */
  put(repository: string, manifest: RegistryManifest, tag: string | undefined): Promise<void>;
  /** In any order; undefined when the repository isn't known. */
  tags(repository: string): Promise<readonly string[] | undefined>;
  /** Names of all repositories, in any order. */
  repositories(): Promise<readonly string[]>;
  /** All manifests of a repository; none when it isn't known. */
  list(repository: string): Promise<readonly RegistryManifest[]>;
  /** Forgets a tag, or a manifest with its tags; false when there is none. */
  remove(repository: string, reference: string): Promise<boolean>;
}

export interface RegistryManifest {
  /** Media type, digest and size. */
  readonly descriptor: Descriptor;
  readonly content: Uint8Array;
}

/** How the server listens. */
export interface RegistryServerOptions {
  /** Address to bind; default 127.0.0.1. Anything but loopback is the caller's explicit wish. */
  readonly host?: string | undefined;
  /** 0 takes a free one. */
  readonly port?: number | undefined;
  /** Asks every client for this name and password. */
  readonly auth?: { readonly username: string; readonly password: string } | undefined;
  /** Ends the server. */
  readonly signal?: AbortSignal | undefined;
}

/** A running server. */
export interface RunningRegistryServer {
  readonly host: string;
  readonly port: number;
  /** Stops listening, ends open connections, forgets unfinished uploads. */
  close(): Promise<void>;
}
