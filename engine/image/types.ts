/** A content digest: `sha256:` and 64 lower-case hex digits. Compressed bytes, unless the name says `diffId`. */
export type Digest = `sha256:${string}`;

/** Which machine an image is for. Source: image-spec, image-index.md. */
export interface Platform {
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string;
  readonly 'os.version'?: string;
  readonly 'os.features'?: readonly string[];
}

/** Source: image-spec, descriptor.md. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  readonly platform?: Platform;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly artifactType?: string;
  readonly urls?: readonly string[];
  readonly data?: string;
}

/** Source: image-spec, manifest.md; Docker's schema 2 manifest has the same shape. */
export interface Manifest {
  readonly schemaVersion: 2;
  readonly mediaType?: string;
  readonly artifactType?: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Source: image-spec, image-index.md; Docker's manifest list has the same shape. */
export interface Index {
  readonly schemaVersion: 2;
  readonly mediaType?: string;
  readonly artifactType?: string;
  readonly manifests: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Docker's extension of the image configuration; times are nanoseconds. */
export interface Healthcheck {
  readonly Test: readonly string[];
  readonly Interval?: number;
  readonly Timeout?: number;
  readonly StartPeriod?: number;
  readonly StartInterval?: number;
  readonly Retries?: number;
}

/** What a container of the image starts with. Source: image-spec, config.md, and Docker's additions. */
export interface ContainerConfig {
  readonly User?: string;
  readonly ExposedPorts?: Readonly<Record<string, Record<string, never>>>;
  readonly Env?: readonly string[];
  readonly Entrypoint?: readonly string[] | null;
  readonly Cmd?: readonly string[] | null;
  readonly Volumes?: Readonly<Record<string, Record<string, never>>>;
  readonly WorkingDir?: string;
  readonly Labels?: Readonly<Record<string, string>>;
  readonly StopSignal?: string;
  readonly ArgsEscaped?: boolean;
  readonly Healthcheck?: Healthcheck;
  readonly Shell?: readonly string[];
  readonly OnBuild?: readonly string[];
}

/** One line of `docker history`. */
export interface History {
  readonly created?: string;
  readonly created_by?: string;
  readonly author?: string;
  readonly comment?: string;
  readonly empty_layer?: boolean;
}

/** Source: image-spec, config.md. Fields that we do not know are kept as they are. */
export interface ImageConfig {
  readonly created?: string;
  readonly author?: string;
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string;
  readonly 'os.version'?: string;
  readonly 'os.features'?: readonly string[];
  readonly config?: ContainerConfig;
  readonly rootfs: { readonly type: 'layers'; readonly diff_ids: readonly Digest[] };
  readonly history?: readonly History[];
}

/** Reads content by descriptor. Every implementation checks digest and size while streaming. */
export interface Fetcher {
  /** @throws `NOT_FOUND` naming the digest */
  fetch(descriptor: Descriptor, options?: { readonly signal?: AbortSignal | undefined }): AsyncIterable<Uint8Array>;
}

/** Takes content. */
export interface Storage extends Fetcher {
  exists(descriptor: Descriptor, options?: { readonly signal?: AbortSignal | undefined }): Promise<boolean>;
  /** Stores the content once; content that is there already is left alone and `source` is not read. */
  push(
    descriptor: Descriptor,
    source: () => AsyncIterable<Uint8Array>,
    options?: PushOptions,
  ): Promise<'pushed' | 'exists' | 'mounted'>;
  /** Names a manifest. */
  tag(descriptor: Descriptor, name: string, options?: { readonly signal?: AbortSignal | undefined }): Promise<void>;
}

/** Beside the content: where else the blob can be mounted from, and who wants to know how far it is. */
export interface PushOptions {
  readonly signal?: AbortSignal | undefined;
  /** Repositories (`registry/repository`) known to hold the blob, for a cross-repository mount. */
  readonly mountFrom?: readonly string[] | undefined;
  readonly onProgress?: ((current: number, total: number) => void) | undefined;
}
