import type { Digest, Platform } from '../image/types.ts';
import type { LookedKind } from '../native/protocol.ts';
import type { StoredImage } from '../store/types.ts';

/** An image of the store, and what it was pulled as: `docker.io/library/python:3.11-slim`. */
export interface PulledImage extends StoredImage {
  readonly reference: string;
}

export interface PushResult {
  readonly name: string;
  readonly digest: Digest;
  readonly uploaded: { readonly blobs: number; readonly bytes: number };
  readonly existed: number;
  readonly mounted: number;
}

/** Where an archive goes. */
export interface SaveOptions {
  /** Awaited before more is made. */
  readonly write: (chunk: Uint8Array) => void | Promise<void>;
  /** `docker` (default) can be read by `docker load` and by OCI tools; `oci` leaves Docker's part out. */
  readonly format?: 'docker' | 'oci' | undefined;
}

export interface LoadedImage {
  /** Of an image for several platforms, the digest of the index. */
  readonly id: Digest;
  /** In full; none when the archive gives none. */
  readonly names: readonly string[];
  /** Platforms under the same name that were not taken: others than the one that was asked for, or those that the archive lacks. */
  readonly leftOut?: readonly Platform[] | undefined;
}

export interface ImportOptions {
  readonly name?: string | undefined;
  /** Dockerfile instructions of metadata: `CMD ["app"]`, `ENV a=b`. */
  readonly changes?: readonly string[] | undefined;
  readonly message?: string | undefined;
  readonly platform?: Platform | undefined;
}

/** A step of an image's history. */
export interface HistoryLine {
  /** Only the newest one has an id. */
  readonly id?: Digest | undefined;
  /** RFC 3339. */
  readonly created?: string | undefined;
  readonly createdBy: string;
  readonly comment: string;
  /** Bytes of its layer; 0 for metadata. */
  readonly size: number;
}

/** A `docker commit`. */
export interface CommitOptions {
  readonly name?: string | undefined;
  readonly author?: string | undefined;
  readonly message?: string | undefined;
  readonly changes?: readonly string[] | undefined;
  /** Stop the processes of a running container while its files are read. */
  readonly pause?: boolean | undefined;
}

/** The files of an image, as a container of it would see them. Links resolve inside the image. */
export interface ImageFiles {
  /** What stands at each of some absolute paths; undefined where a path leads nowhere. A path with a slash at its end must lead to a directory. */
  look(
    paths: readonly string[],
    options?: {
      /** Look at what a link at the end of a path leads to. */
      readonly follow?: boolean | undefined;
      /** Give the names in directories. */
      readonly list?: boolean | undefined;
    },
  ): Promise<readonly (LookedFile | undefined)[]>;
  /**
   * The bytes of a regular file; with `prefix` the first `maxBytes` of a larger one.
   *
   * @throws `NATIVE_NOT_FOUND`; `NATIVE_INVALID` when it is no regular file, or larger
   */
  read(
    path: string,
    options: { readonly maxBytes: number; readonly prefix?: boolean | undefined },
  ): Promise<Uint8Array>;
  /** Who `user` is, as in USER. @throws `USER_NOT_FOUND`, `INVALID_USER` */
  user(
    user: string,
  ): Promise<{ readonly uid: number; readonly gid: number; readonly additionalGids: readonly number[] }>;
}

/** Something in an image. */
export interface LookedFile {
  /** Absolute, with the links on the way resolved. */
  readonly path: string;
  readonly kind: LookedKind;
  /** Permission bits with set-id and sticky bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes, of a regular file. */
  readonly size: number;
  /** Of a link. */
  readonly target?: string | undefined;
  /** Of a directory, where they were asked for. */
  readonly names?: readonly string[] | undefined;
}

/** What a container has done to a path of its image. */
export interface FileChange {
  readonly kind: 'added' | 'changed' | 'deleted';
  /** imagePath; bytes that are no UTF-8 are replaced. */
  readonly path: string;
}
