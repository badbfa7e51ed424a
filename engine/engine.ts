import type { CacheExchange, IndexedLayer } from './cache/index.ts';
import type { MountExchange } from './cache-mounts.ts';
import type { ActOptions, WarningEvent } from './base/progress.ts';
import type { GitTrust } from './context/index.ts';
import type { Outline } from './graph/index.ts';
import type { GitSource } from './graph/types.ts';
import type { ContainerConfig, Descriptor, Digest, Fetcher, Platform } from './image/types.ts';
import type {
  ContainerStats,
  Ended,
  HealthState,
  LookedKind,
  ProbeReply,
  PublishedPort,
  Restart,
  RungName,
} from './native/protocol.ts';
import type { CacheScope } from './store/prune-cache.ts';
import type { CacheUsage, ImageUsage } from './store/detail.ts';
import type { StoredImage } from './store/types.ts';

/** What an engine is made with; nothing is read from the environment below this point. */
export interface EngineOptions {
  /** BERTH_ROOT, absolute. */
  readonly root: string;
  /** Absolute path of the helper. */
  readonly helper: string;
  /** SHA-256 in hex that the helper must have; undefined skips the check (a development build). */
  readonly helperSha256?: string | undefined;
  /** Rung to use; `auto` takes the strongest one that holds. */
  readonly isolation: RungName | 'auto';
  /** Absolute path of sudo, when `sudo -n` may be tried for rung `root`. */
  readonly sudo?: string | undefined;
  /** Mirrors by registry: `docker.io` → `http://127.0.0.1:5000`. */
  readonly mirrors?: Readonly<Record<string, string>> | undefined;
  /** Registries (host and port) that may be spoken to without TLS; loopback always may. */
  readonly insecureRegistries?: readonly string[] | undefined;
  readonly credentials?: CredentialSource | undefined;
  /** Ask the kernel's keyring for credentials that `credentials` does not know. */
  readonly keyring?: boolean | undefined;
  /** PEM bundle of certificate authorities that every client trusts, beside Node's. */
  readonly caFile?: string | undefined;
  /** Lend that bundle to RUN. */
  readonly buildCa?: boolean | undefined;
  /** Folders of CDI files, absolute; the usual ones (`/etc/cdi`, `/var/run/cdi`) when left out. */
  readonly cdiFolders?: readonly string[] | undefined;
  readonly httpProxy?: string | undefined;
  readonly httpsProxy?: string | undefined;
  readonly noProxy?: string | undefined;
  readonly userAgent?: string | undefined;
  /** What the environment says of git: whose work trees tell of their files. */
  readonly git?: GitTrust | undefined;
  /**
   * Blobs of layers that `cache.import` named; read when a step, the smoke test or a push needs them. Faults are its own
   * (`CACHE_BLOB_LOST`): the caller forgets those blobs and builds again.
   */
  readonly cacheSource?: Fetcher | undefined;
  /**
   * Whose cache mounts (`RUN --mount=type=cache`) the builds of this engine see: those that builds of the same scope have filled, in a store that
   * several use. Left out: those of all who give none.
   */
  readonly cacheMountScope?: string | undefined;
}

/** Gives credentials for a registry (`ghcr.io`, `127.0.0.1:5000`), or undefined for anonymous access. */
export type CredentialSource = (registry: string) => Promise<Credentials | undefined>;

export interface Credentials {
  readonly username: string;
  readonly password: string;
  /** A refresh token instead of a password. */
  readonly identityToken?: string | undefined;
}

/** The engine: builds, keeps, runs, pulls and pushes images. One per process; `close` gives its locks back. */
export interface Engine {
  readonly root: string;
  /** The probe's findings and the rung in use. Probes on first use. */
  info(options?: ActOptions): Promise<EngineInfo>;
  build(request: BuildRequest, options?: ActOptions): Promise<BuildResult>;
  /** What a Dockerfile says, without building it; a context elsewhere is fetched, and only the configurations of base images are asked for. */
  readonly dockerfile: {
    check(request: BuildRequest, options?: ActOptions): Promise<CheckReport>;
    outline(request: BuildRequest, options?: ActOptions): Promise<Outline & { readonly text: string }>;
    targets(request: BuildRequest, options?: ActOptions): Promise<TargetList>;
  };
  pull(name: string, options?: ActOptions & { readonly platform?: Platform | undefined }): Promise<PulledImage>;
  /** The tags of a repository at its registry. */
  tags(repository: string, options?: ActOptions): Promise<readonly string[]>;
  /** Pushes an image of the store under `name`; blobs are made first where they are missing. Of several platforms all, or the one that is named. */
  push(
    image: string,
    name: string,
    options?: ActOptions & { readonly platform?: Platform | undefined },
  ): Promise<PushResult>;
  readonly images: {
    list(): Promise<readonly StoredImage[]>;
    resolve(nameOrId: string): Promise<StoredImage>;
    tag(source: string, target: string): Promise<void>;
    /** Removes a name, or the image when it was its last name or an id was given. Returns lines as Docker prints: `Untagged: …`, `Deleted: …`. */
    remove(nameOrId: string, options?: { readonly force?: boolean | undefined }): Promise<readonly string[]>;
    /** Makes blobs and manifest where the image has none yet; gives the manifest. */
    complete(nameOrId: string, options?: ActOptions): Promise<Descriptor>;
    inspect(nameOrId: string, options?: { readonly platform?: Platform | undefined }): Promise<Record<string, unknown>>;
    /** `docker save`: an archive of some images, streamed to `write`. */
    save(names: readonly string[], options: SaveOptions & ActOptions): Promise<void>;
    /** `docker load`: the images of an archive (docker-archive or oci-archive, plain, gzip or zstd). */
    load(
      source: AsyncIterable<Uint8Array>,
      options?: ActOptions & { readonly platform?: Platform | undefined },
    ): Promise<readonly LoadedImage[]>;
    /** `docker import`: an image of one layer, from the tar of a root file system. */
    import(source: AsyncIterable<Uint8Array>, options?: ImportOptions & ActOptions): Promise<Digest>;
    /** `docker history`, newest first. */
    history(nameOrId: string): Promise<readonly HistoryLine[]>;
    /** Lends the files of an image to `use`, whose result it gives. Nothing is mounted or started; layers that are not here are fetched. */
    files<T>(nameOrId: string, use: (files: ImageFiles) => Promise<T>, options?: ActOptions): Promise<T>;
  };
  readonly containers: Containers & ContainerFiles;
  readonly networks: Networks;
  readonly logins: Logins;
  readonly volumes: Volumes;
  /** The journal of acts on this store. */
  readonly events: Events;
  /** Records and layers for a cache outside this machine. */
  readonly cache: CacheExchange & {
    /** Contents of `RUN --mount=type=cache`. */
    readonly mounts: MountExchange;
    /**
     * Looks which of some layers the repository of an image name has: those are known to be there from now on, and are fetched from it when
     * something needs them.
     *
     * @param options `time` in milliseconds (10 000): what was not answered in it is not there
     * @returns how many; a repository that does not answer, or not to us, has none
     */
    served(
      layers: readonly IndexedLayer[],
      name: string,
      options?: ActOptions & { readonly time?: number },
    ): Promise<number>;
  };
  readonly system: {
    df(): Promise<readonly DiskUsage[]>;
    /** What images and the build cache take, one by one. */
    usage(): Promise<{ readonly images: readonly ImageUsage[]; readonly cache: readonly CacheUsage[] }>;
    fsck(options?: { readonly repair?: boolean | undefined }): Promise<FsckReport>;
    prune(options?: PruneOptions): Promise<PruneReport>;
  };
  /** Serves the store over the distribution API on loopback. */
  serveRegistry(options: {
    readonly host: string;
    readonly port: number;
    readonly signal?: AbortSignal | undefined;
  }): Promise<RegistryServer>;
  close(): Promise<void>;
}

export interface EngineInfo {
  readonly root: string;
  readonly probe: ProbeReply;
  readonly rung: RungName;
  /** `direct`, or `sudo` when the helper is started through it. */
  readonly elevation: 'direct' | 'sudo';
  /** Devices by name that CDI files of this machine offer, and what is wrong with such files. */
  readonly devices: { readonly names: readonly string[]; readonly problems: readonly string[] };
  /** The kernel keeps passwords of `login`. */
  readonly keyring: boolean;
  /** What RUN uses as network. */
  readonly buildNetwork: 'host' | 'bridge';
  /** On rung `userns`: passt's `pasta`, which gives containers a way out; undefined where it is not installed, and on other rungs. */
  readonly pasta?: string | undefined;
}

/** An image of the store, and what it was pulled as: `docker.io/library/python:3.11-slim`. */
export interface PulledImage extends StoredImage {
  readonly reference: string;
}

/** A `docker build`. */
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
  readonly id: Digest;
  /** In full; none when the archive gives none. */
  readonly names: readonly string[];
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

/** Containers, as Docker's commands see them. */
export interface Containers {
  /** Starts a container; attached ones are talked to through the handle. */
  run(spec: RunSpec, options?: ActOptions & OutputOptions): Promise<ContainerHandle>;
  /** Makes a container that waits to be started. */
  create(spec: RunSpec, options?: ActOptions): Promise<{ readonly id: string; readonly name: string }>;
  /** Starts a container that was created or has ended. One that runs already stays as it is: undefined. With `attach`, output comes here. */
  start(
    nameOrId: string,
    options?: ActOptions & OutputOptions & { readonly attach?: boolean | undefined },
  ): Promise<ContainerHandle | undefined>;
  /** Joins the streams of a running container. @throws `CONTAINER_NOT_RUNNING`, `CONTAINER_PAUSED` */
  attach(nameOrId: string, options?: ActOptions & OutputOptions): Promise<ContainerHandle>;
  /** Stops a container, when it runs, and starts it again. */
  restart(nameOrId: string, options?: StopOptions): Promise<void>;
  /** @throws `CONTAINER_NOT_RUNNING`, `CONTAINER_PAUSED` */
  pause(nameOrId: string): Promise<void>;
  /** @throws `CONTAINER_NOT_PAUSED` */
  unpause(nameOrId: string): Promise<void>;
  /** @throws `NAME_IN_USE`, `INVALID_NAME` */
  rename(nameOrId: string, name: string): Promise<void>;
  /** Changes limits and the restart policy, of a running container at once. */
  update(
    nameOrId: string,
    changes: { readonly limits?: Limits | undefined; readonly restart?: Restart | undefined },
  ): Promise<void>;
  /** Its processes, in the host's numbering. @throws `CONTAINER_NOT_RUNNING` */
  processes(nameOrId: string): Promise<readonly number[]>;
  /** What containers use at this moment; of all that run when none is named. */
  stats(names?: readonly string[]): Promise<StatsSample>;
  list(options?: { readonly all?: boolean | undefined }): Promise<readonly ContainerSummary[]>;
  /** Bytes that each container has written into its own layer, by id. */
  sizes(): Promise<ReadonlyMap<string, number>>;
  /** By name, id or prefix. @throws `CONTAINER_NOT_FOUND`, `AMBIGUOUS` */
  resolve(nameOrId: string): Promise<ContainerSummary>;
  inspect(nameOrId: string): Promise<Record<string, unknown>>;
  logs(nameOrId: string, options: LogsOptions): Promise<void>;
  exec(nameOrId: string, spec: ExecSpec, options?: ActOptions & OutputOptions): Promise<ContainerHandle>;
  stop(nameOrId: string, options?: StopOptions): Promise<void>;
  kill(nameOrId: string, signal?: string): Promise<void>;
  wait(nameOrId: string): Promise<number>;
  remove(
    nameOrId: string,
    options?: { readonly force?: boolean | undefined; readonly volumes?: boolean | undefined },
  ): Promise<void>;
  /** A `docker cp`. One end is a container, running or not. */
  copy(source: CopySource, target: CopyTarget, options?: CopyOptions): Promise<CopyReport>;
}

/** Named and anonymous volumes of the id map in use; another rung has its own. */
export interface Volumes {
  /** All of them by name; `measure` adds up what each takes on disk. */
  list(options?: { readonly measure?: boolean | undefined }): Promise<readonly VolumeSummary[]>;
  /** Makes a volume, or gives the one that has the name. @throws `INVALID_NAME`, `VOLUME_INVALID` */
  create(spec?: VolumeSpec): Promise<VolumeSummary>;
  /** @throws `VOLUME_NOT_FOUND` */
  resolve(name: string): Promise<VolumeSummary>;
  /** @throws `VOLUME_NOT_FOUND`, `VOLUME_IN_USE` */
  remove(name: string): Promise<void>;
  /** Removes volumes that no container uses: anonymous ones, with `all` named ones too, but those that `keep` holds. */
  prune(options?: {
    readonly all?: boolean | undefined;
    readonly keep?: ((volume: VolumeSummary) => boolean) | undefined;
  }): Promise<PruneReport>;
}

export interface VolumeSpec {
  /** A name is made when it is left out, and the volume is anonymous. */
  readonly name?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** `type`, `device` and `o` of a bind or a tmpfs, as Docker's local driver takes them. */
  readonly options?: Readonly<Record<string, string>> | undefined;
}

export interface VolumeSummary {
  readonly name: string;
  /** RFC 3339. */
  readonly createdAt: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly anonymous: boolean;
  readonly options?: Readonly<Record<string, string>> | undefined;
  /** Folder on the host. */
  readonly mountpoint: string;
  /** Ids of the containers that use it, running or not. */
  readonly users: readonly string[];
  readonly bytes?: number | undefined;
}

/** Where a copy comes from; paths are absolute. */
export type CopySource =
  | { readonly kind: 'host'; readonly path: string }
  | { readonly kind: 'container'; readonly container: string; readonly path: string }
  | { readonly kind: 'tar'; readonly data: AsyncIterable<Uint8Array> };

/** Where a copy goes. A trailing slash of a path asks for a directory. */
export type CopyTarget =
  | { readonly kind: 'host'; readonly path: string }
  | { readonly kind: 'container'; readonly container: string; readonly path: string }
  | { readonly kind: 'tar'; readonly onData: (chunk: Uint8Array) => void | Promise<void> };

export interface CopyOptions extends ActOptions {
  /** Copy what a link leads to. */
  readonly follow?: boolean | undefined;
  /** Keep user and group. */
  readonly archive?: boolean | undefined;
}

export interface CopyReport {
  readonly entries: number;
  /** Bytes of content. */
  readonly bytes: number;
}

/** What turns containers into files and images. */
export interface ContainerFiles {
  /** `docker export`: the container's file system as a tar, streamed. */
  export(nameOrId: string, options: Pick<SaveOptions, 'write'> & ActOptions): Promise<void>;
  /** `docker diff`, by path. */
  changes(nameOrId: string, options?: ActOptions): Promise<readonly FileChange[]>;
  /** `docker commit`; gives the image id. */
  commit(nameOrId: string, options?: CommitOptions & ActOptions): Promise<Digest>;
}

/** Networks, as Docker's commands see them. */
export interface Networks {
  /** All of them, by name; those that are always there as well. */
  list(): Promise<readonly NetworkSummary[]>;
  /** Gives the id. @throws `NETWORK_EXISTS`, `NETWORK_INVALID`, `NETWORK_OVERLAP` */
  create(request: NetworkCreate): Promise<string>;
  /** @throws `NETWORK_NOT_FOUND`, `AMBIGUOUS` */
  inspect(nameOrId: string): Promise<Record<string, unknown>>;
  /** Lets a container join a network, at once when it runs. @throws `NETWORK_NOT_FOUND`, `CONTAINER_NOT_FOUND`, `NETWORK_CONFLICT` and more */
  connect(network: string, container: string, join?: NetworkJoin): Promise<void>;
  /** Takes a container off a network. @throws as `connect` */
  disconnect(network: string, container: string): Promise<void>;
  /** Gives the name. @throws `NETWORK_NOT_FOUND`, `NETWORK_IN_USE`, `NETWORK_PREDEFINED` */
  remove(nameOrId: string): Promise<string>;
  /** Removes those that no container runs on, but those that `keep` holds; gives their names. */
  prune(options?: { readonly keep?: ((network: NetworkSummary) => boolean) | undefined }): Promise<readonly string[]>;
}

/** Credentials of registries, for `berth login`. */
export interface Logins {
  /** What pulls and pushes would use. */
  find(registry: string): Promise<Credentials | undefined>;
  /** Asks the registry whether it takes them. @throws `REGISTRY_UNAUTHORIZED` and its like */
  check(registry: string, credentials: Credentials, options?: ActOptions): Promise<void>;
  /** Keeps them in the kernel's keyring. @throws `KEYRING_IMPOSSIBLE` */
  keep(registry: string, credentials: Credentials): Promise<void>;
  /** Takes them out of the kernel's keyring; whether they were there. */
  forget(registry: string): Promise<boolean>;
}

/** How a container joins a network. */
export interface NetworkJoin {
  /** IPv4, of the network's subnet. */
  readonly address?: string | undefined;
  /** Further names of the container there. */
  readonly aliases?: readonly string[] | undefined;
}

/** A `docker network create`. Addresses and subnets are IPv4. */
export interface NetworkCreate {
  readonly name: string;
  readonly subnet?: string | undefined;
  readonly gateway?: string | undefined;
  readonly ipRange?: string | undefined;
  readonly internal?: boolean | undefined;
  readonly attachable?: boolean | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly options?: Readonly<Record<string, string>> | undefined;
}

export interface NetworkSummary {
  /** 64 hex digits. */
  readonly id: string;
  readonly name: string;
  readonly driver: 'bridge' | 'host' | 'null';
  /** RFC 3339. */
  readonly created: string;
  readonly subnet?: string | undefined;
  readonly gateway?: string | undefined;
  readonly ipRange?: string | undefined;
  readonly internal: boolean;
  readonly attachable: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
  /** Always there. */
  readonly predefined: boolean;
  /** The gateway was chosen for a subnet that was asked for. */
  readonly ownGateway?: boolean | undefined;
  /** How many containers run on it; undefined for those without a record: host and none. */
  readonly users?: number | undefined;
}

export interface StopOptions {
  readonly signal?: string | undefined;
  /** Until SIGKILL. */
  readonly seconds?: number | undefined;
}

/** Figures of one moment. */
export interface StatsSample {
  /** Processor time of the whole machine so far, in microseconds. */
  readonly systemMicroseconds: number;
  readonly processors: number;
  readonly memoryTotal: number;
  readonly containers: readonly (ContainerStats & { readonly name: string })[];
}

/** Limits of a container; what is left out is not limited. */
export interface Limits {
  /** Bytes. */
  readonly memory?: number | undefined;
  /** Memory and swap together in bytes; -1: no limit. */
  readonly memorySwap?: number | undefined;
  readonly memoryReservation?: number | undefined;
  /** 0 to 100. */
  readonly memorySwappiness?: number | undefined;
  readonly oomKillDisable?: boolean | undefined;
  /** Processors, with fractions. */
  readonly cpus?: number | undefined;
  readonly cpuShares?: number | undefined;
  /** Microseconds. */
  readonly cpuPeriod?: number | undefined;
  readonly cpuQuota?: number | undefined;
  readonly cpusetCpus?: string | undefined;
  readonly cpusetMems?: string | undefined;
  /** -1: no limit. */
  readonly pids?: number | undefined;
}

/** `--health-*`: what is given replaces the image's. Times in nanoseconds, as in the image's configuration. */
export interface HealthOptions {
  readonly test?: readonly string[] | undefined;
  readonly interval?: number | undefined;
  readonly timeout?: number | undefined;
  readonly startPeriod?: number | undefined;
  readonly startInterval?: number | undefined;
  readonly retries?: number | undefined;
}

/** `--device /dev/x:/dev/y:rwm`. */
export interface DeviceRequest {
  readonly hostPath: string;
  readonly path: string;
  readonly access: string;
}

export interface OutputOptions {
  readonly onStdout?: ((chunk: Uint8Array) => void | Promise<void>) | undefined;
  readonly onStderr?: ((chunk: Uint8Array) => void | Promise<void>) | undefined;
}

export interface Mount {
  readonly type: 'bind' | 'volume' | 'tmpfs';
  /** hostPath, or name of the volume. */
  readonly source?: string | undefined;
  readonly target: string;
  readonly readonly?: boolean | undefined;
  /** Make the host directory of a bind when it is missing, as `-v` does. */
  readonly createSource?: boolean | undefined;
  /** Of a bind: what is mounted below the source is bound too (`enabled`), read-only too (`readonly`), or not at all (`disabled`). */
  readonly recursive?: 'enabled' | 'disabled' | 'writable' | 'readonly' | undefined;
  readonly propagation?: 'private' | 'rprivate' | 'slave' | 'rslave' | undefined;
  /** A named volume that goes with the last container that has it, as one without a name does. */
  readonly anonymous?: boolean | undefined;
  /** Leave an empty volume empty. */
  readonly nocopy?: boolean | undefined;
  /** Of a volume that is made. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Bytes, of a tmpfs. */
  readonly size?: number | undefined;
  readonly mode?: number | undefined;
  /** Further options of a tmpfs: `exec`, `noexec`, `suid`, `nosuid`, `dev`, `nodev`, `nr_inodes=…`, `uid=…`, `gid=…`. */
  readonly tmpfs?: readonly string[] | undefined;
}

/** A `docker run`. */
export interface RunSpec {
  readonly image: string;
  readonly name?: string | undefined;
  /** Arguments after the image: replace CMD. */
  readonly command?: readonly string[] | undefined;
  readonly entrypoint?: readonly string[] | undefined;
  readonly env?: readonly string[] | undefined;
  readonly workdir?: string | undefined;
  readonly user?: string | undefined;
  readonly hostname?: string | undefined;
  readonly mounts?: readonly Mount[] | undefined;
  /** Volumes and binds of other containers, at the same places. */
  readonly volumesFrom?: readonly { readonly container: string; readonly readonly?: boolean | undefined }[] | undefined;
  readonly ports?: readonly PublishedPort[] | undefined;
  /** Publish every EXPOSEd port on a free one. */
  readonly publishAll?: boolean | undefined;
  /** Further ports beside the image's EXPOSE, as `8080/tcp`. */
  readonly expose?: readonly string[] | undefined;
  /**
   * `bridge` (default), `host`, `none`, the name or id of a network, `container:NAME`, or `private`: loopback and published ports alone, with no
   * way out. Where the machine has no bridges, `bridge` is `private`, and a warning says so.
   */
  readonly network?: string | undefined;
  /** Further networks to join. */
  readonly moreNetworks?: readonly string[] | undefined;
  readonly networkAliases?: readonly string[] | undefined;
  /** IPv4, on the first network. */
  readonly ip?: string | undefined;
  readonly macAddress?: string | undefined;
  readonly dns?: readonly string[] | undefined;
  readonly dnsSearch?: readonly string[] | undefined;
  readonly dnsOptions?: readonly string[] | undefined;
  readonly domainname?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly detach?: boolean | undefined;
  /** Streams that were asked for alone; inspect shows them. */
  readonly attached?: readonly ('stdin' | 'stdout' | 'stderr')[] | undefined;
  /** Remove the container when it has ended. */
  readonly rm?: boolean | undefined;
  readonly interactive?: boolean | undefined;
  readonly tty?: { readonly rows: number; readonly columns: number } | undefined;
  readonly init?: boolean | undefined;
  readonly readonly?: boolean | undefined;
  readonly capAdd?: readonly string[] | undefined;
  readonly capDrop?: readonly string[] | undefined;
  readonly stopSignal?: string | undefined;
  readonly stopTimeout?: number | undefined;
  readonly shmSize?: number | undefined;
  readonly ulimits?: readonly { readonly name: string; readonly soft: number; readonly hard: number }[] | undefined;
  readonly groupAdd?: readonly string[] | undefined;
  /** Lines of `/etc/hosts`; `host-gateway` as address is the host. */
  readonly extraHosts?: readonly { readonly name: string; readonly address: string }[] | undefined;
  /** `always`, `missing` (default) or `never`. */
  readonly pull?: 'always' | 'missing' | 'never' | undefined;
  /** The snapshots of a failed build step instead of an image: `berth run <vertex state>`. */
  readonly owner?: { readonly pid: number; readonly startTime: number } | undefined;
  readonly health?: HealthOptions | undefined;
  readonly restart?: Restart | undefined;
  readonly limits?: Limits | undefined;
  readonly log?:
    | {
        readonly driver: 'json-file' | 'none';
        /** Bytes of one file, and how many are kept. */
        readonly maxSize?: number | undefined;
        readonly maxFiles?: number | undefined;
      }
    | undefined;
  /** `private` (default), `shareable`, `host`, `none` or `container:NAME`. */
  readonly ipc?: string | undefined;
  /** `host` or `container:NAME`. */
  readonly pid?: string | undefined;
  readonly uts?: 'host' | undefined;
  readonly cgroupns?: 'host' | 'private' | undefined;
  readonly privileged?: boolean | undefined;
  readonly security?: SecurityOptions | undefined;
  readonly devices?: readonly DeviceRequest[] | undefined;
  /** Devices that may be used once there is a node for them. */
  readonly deviceRules?: readonly DeviceAccess[] | undefined;
  /** Devices that a CDI file of this machine names: `vendor.com/class=name`. */
  readonly deviceNames?: readonly string[] | undefined;
  readonly gpus?: readonly GpuRequest[] | undefined;
  /** -1000 to 1000. */
  readonly oomScoreAdj?: number | undefined;
  readonly sysctls?: Readonly<Record<string, string>> | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly platform?: Platform | undefined;
}

/** A `--gpus`. */
export interface GpuRequest {
  /** Default: the one that has the capabilities. */
  readonly driver?: string | undefined;
  /** -1: all; 0 where `devices` says which. */
  readonly count: number;
  /** Numbers, UUIDs or CDI names. */
  readonly devices: readonly string[];
  readonly capabilities: readonly string[];
  readonly options?: Readonly<Record<string, string>> | undefined;
}

/** Which devices may be used how: those of a kind by their numbers, all of them where a number is missing. */
export interface DeviceAccess {
  readonly type: 'a' | 'b' | 'c';
  readonly major?: number | undefined;
  readonly minor?: number | undefined;
  /** Some of `r`, `w`, `m`. */
  readonly access: string;
}

/** `--security-opt`, read. */
export interface SecurityOptions {
  /** False lets set-id programs work, as Docker does. */
  readonly noNewPrivileges?: boolean | undefined;
  /** `unconfined`, or a profile in Docker's or the runtime's form; the profile of ours when left out. */
  readonly seccomp?: 'unconfined' | Readonly<Record<string, unknown>> | undefined;
  /** Nothing of /proc and /sys is hidden or read-only. */
  readonly systemPathsUnconfined?: boolean | undefined;
}

export interface ExecSpec {
  readonly command: readonly string[];
  readonly env?: readonly string[] | undefined;
  readonly workdir?: string | undefined;
  readonly user?: string | undefined;
  readonly detach?: boolean | undefined;
  readonly interactive?: boolean | undefined;
  readonly tty?: { readonly rows: number; readonly columns: number } | undefined;
  readonly privileged?: boolean | undefined;
}

/** A started container (or exec). */
export interface ContainerHandle {
  /** 64 hex digits. */
  readonly id: string;
  readonly name: string;
  /** Ports with the numbers that the kernel chose. */
  readonly ports: readonly PublishedPort[];
  /** When the process has ended; of a detached container at once, with exitCode null. */
  readonly ended: Promise<Ended>;
  write(chunk: Uint8Array): Promise<void>;
  closeStdin(): Promise<void>;
  signal(name: string): Promise<void>;
  resize(rows: number, columns: number): Promise<void>;
  /** Lets go of the process, which goes on; `ended` resolves with exitCode null. */
  detach(): Promise<void>;
  /** Sends the stop signal, then SIGKILL after `seconds`; resolves with the end. */
  stop(seconds?: number): Promise<Ended>;
}

export interface ContainerSummary {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  readonly imageId: Digest;
  readonly command: readonly string[];
  readonly status: 'created' | 'running' | 'paused' | 'restarting' | 'exited' | 'dead';
  readonly exitCode: number | null;
  /** RFC 3339. */
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  readonly ports: readonly PublishedPort[];
  readonly labels: Readonly<Record<string, string>>;
  readonly pid: number | null;
  /** Volumes by name and binds by host path, with where they are mounted. */
  readonly mounts: readonly { readonly source: string; readonly target: string }[];
  /** Its networks by name, with ids for those of the store. */
  readonly networks: readonly { readonly name: string; readonly id?: string | undefined }[];
  /** Ports that are exposed and not published: `8080/tcp`. */
  readonly exposed: readonly string[];
  /** `starting`, `healthy` or `unhealthy`, where there is a check. */
  readonly health?: HealthState['status'] | undefined;
  /** It has a terminal, and standard input. */
  readonly tty: boolean;
  readonly interactive: boolean;
}

export interface LogsOptions extends OutputOptions {
  /** Put what the log driver adds before each line: nothing, and a blank, as Docker does. */
  readonly details?: boolean | undefined;
  readonly follow?: boolean | undefined;
  readonly tail?: number | undefined;
  /** Milliseconds since 1970. */
  readonly since?: number | undefined;
  readonly until?: number | undefined;
  readonly timestamps?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The journal, as `docker events` shows it. */
export interface Events {
  /** Hands every act of the journal to `onAct`; with `follow`, also those to come, until `signal` is aborted. */
  read(options: {
    readonly follow?: boolean | undefined;
    readonly signal?: AbortSignal | undefined;
    readonly onAct: (act: Act) => void;
  }): Promise<void>;
  /** Writes an act on something that is no container. A journal that cannot be written is no fault of the act. */
  announce(act: Omit<Act, 'time'>): Promise<void>;
}

export interface Act {
  /** RFC 3339, nanoseconds. */
  readonly time: string;
  readonly kind: 'container' | 'image' | 'volume' | 'network';
  readonly action: string;
  readonly id: string;
  readonly attributes: Readonly<Record<string, string>>;
}

export interface DiskUsage {
  readonly kind: 'images' | 'containers' | 'volumes' | 'cache';
  readonly total: number;
  readonly active: number;
  readonly bytes: number;
  readonly reclaimable: number;
}

export interface FsckReport {
  readonly checked: {
    readonly blobs: number;
    readonly images: number;
    readonly layers: number;
    readonly snapshots: number;
    readonly records: number;
  };
  /** Each as a sentence naming the thing. */
  readonly problems: readonly string[];
  readonly repaired: readonly string[];
}

export interface PruneOptions extends ActOptions {
  /** Also the whole build cache or a part of it, but no image that has a name. */
  readonly cache?: boolean | CacheScope | undefined;
  /** Also images that no container uses, and the build cache. */
  readonly all?: boolean | undefined;
  /** With the cache, also what `RUN --mount=type=cache` keeps; left out, as `all` says. */
  readonly mounts?: boolean | undefined;
  /** Images that stay in any case. */
  readonly keep?: ((image: StoredImage) => boolean) | undefined;
}

export interface PruneReport {
  readonly removed: readonly string[];
  readonly bytes: number;
  /** Why others of what was to go are still there. */
  readonly faults?: readonly Error[] | undefined;
}

export interface RegistryServer {
  readonly host: string;
  readonly port: number;
  close(): Promise<void>;
}
