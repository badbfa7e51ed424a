import type { EngineError } from './base/errors.ts';
import type { ActOptions } from './base/progress.ts';
import type { MountExchange } from './cache-mounts.ts';
import type { CacheExchange, IndexedLayer } from './cache/index.ts';
import type { GitTrust } from './context/index.ts';
import type { BuildRequest, BuildResult, CheckReport, TargetList } from './contract/build.ts';
import type { ContainerFiles, Containers } from './contract/containers.ts';
import type {
  HistoryLine,
  ImageFiles,
  ImportOptions,
  LoadedImage,
  PulledImage,
  PushResult,
  SaveOptions,
} from './contract/images.ts';
import type { Networks, StepNetworkChoice } from './contract/networks.ts';
import type {
  CredentialSource,
  DiskUsage,
  Events,
  FsckReport,
  Logins,
  PruneOptions,
  PruneReport,
  RegistryServer,
} from './contract/system.ts';
import type { Volumes } from './contract/volumes.ts';
import type { Outline } from './graph/index.ts';
import type { Descriptor, Digest, Fetcher, Platform } from './image/types.ts';
import type { ProbeReply, RungName } from './native/protocol.ts';
import type { CacheUsage, ImageUsage } from './store/detail.ts';
import type { StoredImage } from './store/types.ts';

export type * from './contract/build.ts';
export type * from './contract/images.ts';
export type * from './contract/containers.ts';
export type * from './contract/run-spec.ts';
export type * from './contract/networks.ts';
export type * from './contract/volumes.ts';
export type * from './contract/system.ts';

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
  /** Absolute path of sudo, when `sudo -n` may be tried for the rungs of root. */
  readonly sudo?: string | undefined;
  /** Mirrors by registry: `docker.io` → `http://127.0.0.1:5000`. */
  readonly mirrors?: Readonly<Record<string, string>> | undefined;
  /** Registries (host and port) that may be spoken to without TLS; loopback always may. */
  readonly insecureRegistries?: readonly string[] | undefined;
  readonly credentials?: CredentialSource | undefined;
  /** Hears of every password and token of registries, so that it can be masked. */
  readonly onSecret?: ((value: string) => void) | undefined;
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
  /**
   * Who is to find again what this engine makes, in a store that several use: engines of the same scope alone find its finished steps and the names
   * that it gives images, pulled or built; it finds those of all as well. Left out: all, and what scopes have made is not looked at. Images,
   * containers and volumes themselves are those of the store, and what cleans it cleans all of it.
   */
  readonly cacheScope?: string | undefined;
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
  /** `none` where nothing can be isolated: images can be pulled, pushed, saved and loaded, and nothing can be built or run. */
  readonly rung: RungName | 'none';
  /** Why, and what to do. */
  readonly impossible?: EngineError | undefined;
  /** `direct`, or `sudo` when the helper is started through it. */
  readonly elevation: 'direct' | 'sudo';
  /** Devices by name that CDI files of this machine offer, and what is wrong with such files. */
  readonly devices: { readonly names: readonly string[]; readonly problems: readonly string[] };
  /** The kernel keeps passwords of `login`. */
  readonly keyring: boolean;
  /** Containers see the processes of this machine, as where parts of its /proc are hidden the kernel mounts no other (a pod). */
  readonly showsProcesses: boolean;
  /** The network of a RUN that asks for none; undefined where nothing can be isolated. */
  readonly buildNetwork?: StepNetworkChoice | undefined;
  /** On a rung with a user namespace: passt's `pasta`, which gives containers a way out; undefined where it is not installed, and on other rungs. */
  readonly pasta?: string | undefined;
  /** The device that `pasta` opens is there, and this user may open it. */
  readonly hasTun: boolean;
}
