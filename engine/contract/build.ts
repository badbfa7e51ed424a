import type { WarningEvent } from '../base/progress.ts';
import type { GitSource } from '../graph/types.ts';
import type { ContainerConfig, Descriptor, Digest, Platform } from '../image/types.ts';
import type { PushResult } from './images.ts';

/** Where the files of a build come from: a directory on the host (absolute), a repository, an archive behind a URL, or one in a stream. */
export type BuildContext =
  | string
  | GitSource
  | { readonly type: 'http'; readonly url: string; readonly checksum?: string | undefined }
  | { readonly type: 'archive'; readonly content: AsyncIterable<Uint8Array> };

/** `--build-context`: files, an image by its name, or one of an OCI layout (a directory, and a tag or digest where it has several). */
export type BuildNamedContext =
  | BuildContext
  | { readonly type: 'image'; readonly reference: string }
  | { readonly type: 'oci-layout'; readonly path: string; readonly reference?: string | undefined };

/** A `docker build`. */
export interface BuildRequest {
  /** What is no archive in a stream or behind a URL is the Dockerfile, and the context is empty. */
  readonly context: BuildContext;
  /** What takes the place of stages, of base images and of `--from` with these names. */
  readonly contexts?: Readonly<Record<string, BuildNamedContext>> | undefined;
  /** Path of the Dockerfile; absolute for a directory, else inside the context. Default `Dockerfile` in the context. */
  readonly file?: string | undefined;
  /** Text of the Dockerfile instead of a file (`-f -`). */
  readonly dockerfile?: string | undefined;
  readonly target?: string | undefined;
  readonly buildArgs?: Readonly<Record<string, string>> | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Names to give the image, as the user wrote them. */
  readonly tags?: readonly string[] | undefined;
  readonly noCache?: boolean | undefined;
  /** Ask the registry again for base images that are in the store. */
  readonly pull?: boolean | undefined;
  /** What the image is for; undefined: this machine. */
  readonly platform?: Platform | undefined;
  /** Beside `platform`: with more than one in all, the result is an index of an image for each. */
  readonly platforms?: readonly Platform[] | undefined;
  /** Make compressed blobs while building, since the image will be pushed or saved. */
  readonly complete?: boolean | undefined;
  /** Make the blobs of the other stages' layers too, since an outer cache will take them. */
  readonly completeStages?: boolean | undefined;
  /** Stages that are built without cache. */
  readonly noCacheFilter?: readonly string[] | undefined;
  /** What to make of the result; without any, the image is kept in the store. */
  readonly outputs?: readonly BuildOutput[] | undefined;
  /** Annotations of the manifest. */
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  /** Say why each step that ran was no hit. */
  readonly explain?: boolean | undefined;
  readonly cacheFrom?: readonly BuildCacheSource[] | undefined;
  readonly cacheTo?: readonly BuildCacheTarget[] | undefined;
  /** What `RUN --mount=type=secret` reads; in memory only. */
  readonly secrets?: readonly BuildSecret[] | undefined;
  /** What git repositories are asked for with, beside `secrets`: `GIT_AUTH_TOKEN.<host>` and the like. No RUN is lent one. */
  readonly gitSecrets?: readonly BuildSecret[] | undefined;
  /** Agents of `RUN --mount=type=ssh`. */
  readonly ssh?: readonly SshAgent[] | undefined;
  /** Further values, beside `secrets`, that must not be in the image: passwords and tokens of the job. */
  readonly knownSecrets?: readonly BuildSecret[] | undefined;
  /** Build all the same when a known secret would be in a layer or in the configuration. */
  readonly allowSecretInLayer?: boolean | undefined;
  /** Network of every RUN that does not say. */
  readonly network?: 'default' | 'none' | 'host' | undefined;
  /** `RUN --network=host` may; it needs no leave where `network` is `host`. */
  readonly allowHostNetwork?: boolean | undefined;
  /** Lines of /etc/hosts in RUN. */
  readonly extraHosts?: readonly { readonly name: string; readonly address: string }[] | undefined;
  /** Bytes of /dev/shm in RUN. */
  readonly shmSize?: number | undefined;
  readonly ulimits?: readonly { readonly name: string; readonly soft: number; readonly hard: number }[] | undefined;
}

/** One `--output` of a build (spec/engine.md 1c). */
export interface BuildOutput {
  readonly type: 'image' | 'registry' | 'docker' | 'oci' | 'tar' | 'local';
  /** As the user wrote them; default the build's tags. */
  readonly names?: readonly string[] | undefined;
  /** Push the image under its names; `registry` does so anyway. */
  readonly push?: boolean | undefined;
  /** hostPath of a file, or of a folder (`local`; `oci` and `docker` with `tar: false`). `docker` without one is kept in the store. */
  readonly dest?: string | undefined;
  /** Takes the bytes of an archive instead of a file. */
  readonly write?: ((chunk: Uint8Array) => void | Promise<void>) | undefined;
  /** False: an OCI layout in a folder. */
  readonly tar?: boolean | undefined;
  readonly compression?: 'gzip' | 'zstd' | 'uncompressed' | undefined;
  readonly compressionLevel?: number | undefined;
  /** Also layers that are packed otherwise already. */
  readonly forceCompression?: boolean | undefined;
  /** False: Docker's media types. */
  readonly ociMediaTypes?: boolean | undefined;
  /** No file of the layers made here is later than SOURCE_DATE_EPOCH. */
  readonly rewriteTimestamp?: boolean | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** One `--cache-from`. */
export type BuildCacheSource =
  { readonly type: 'local'; readonly src: string } | { readonly type: 'registry'; readonly ref: string };

/** One `--cache-to`. `min` keeps the layers of the image itself, `max` those of all stages. */
export type BuildCacheTarget = { readonly mode: 'min' | 'max' } & (
  | { readonly type: 'local'; readonly dest: string }
  | { readonly type: 'registry'; readonly ref: string }
  /** In the image itself, which `--cache-from type=registry` reads where it was pushed. */
  | { readonly type: 'inline' }
);

/** Why a step ran although there is a cache. */
export interface Explanation {
  readonly vertex: string;
  readonly name: string;
  /** A sentence. */
  readonly reason: string;
}

/** A secret by the id under which the Dockerfile asks for it. */
export interface BuildSecret {
  readonly id: string;
  readonly value: Uint8Array;
}

/** An SSH agent by the id under which the Dockerfile asks for it. */
export interface SshAgent {
  readonly id: string;
  /** hostPath of its socket. */
  readonly socket: string;
}

/** What the build checks found. */
export interface CheckReport {
  /** Name of the Dockerfile. */
  readonly file: string;
  readonly text: string;
  /** By line. */
  readonly warnings: readonly CheckWarning[];
  /** What a build would end with before its first step. */
  readonly error?: unknown;
}

/** A finding of a build check. */
export interface CheckWarning {
  readonly rule: string;
  readonly description: string;
  /** Where the rule is explained; empty without a page. */
  readonly url: string;
  readonly detail: string;
  readonly startLine: number;
  readonly endLine: number;
  /** The lines around it, the guilty ones marked. */
  readonly excerpt: string;
}

/** The stages of a Dockerfile. */
export interface TargetList {
  readonly text: string;
  readonly targets: readonly {
    /** Empty without one. */
    readonly name: string;
    readonly description: string;
    readonly base: string;
    readonly platform?: string | undefined;
    readonly isDefault: boolean;
    readonly startLine: number;
    readonly endLine: number;
  }[];
}

/** The image for one of several platforms. */
export interface BuiltPlatform {
  readonly platform: Platform;
  readonly imageId: Digest;
  readonly manifest: Descriptor;
}

export interface BuildResult {
  /** Of several platforms, the digest of the index: every act that takes an image takes it. */
  readonly imageId: Digest;
  /** Only when `complete`, and of several platforms, where it is the index. */
  readonly manifest?: Descriptor | undefined;
  /** Its images, where several platforms were asked for. */
  readonly platforms?: readonly BuiltPlatform[] | undefined;
  readonly names: readonly string[];
  /** Of several platforms, that of the image for this machine. */
  readonly config: ContainerConfig;
  readonly steps: { readonly total: number; readonly cached: number; readonly executed: number };
  readonly warnings: readonly WarningEvent[];
  /** Bytes of the plain layers. */
  readonly size: number;
  /** Of each name that was pushed. */
  readonly pushed?: readonly PushResult[] | undefined;
  /** Why steps ran; only when `explain`. */
  readonly explanations?: readonly Explanation[] | undefined;
}
