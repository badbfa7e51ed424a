import type { ActOptions } from '../base/progress.ts';
import type { CacheScope } from '../store/prune-cache.ts';
import type { StoredImage } from '../store/types.ts';

/** A line of `berth system df`; bytes on the disk. */
export type { Usage as DiskUsage } from '../store/df.ts';

/** What a check of the store found. */
export type { Findings as FsckReport } from '../store/fsck.ts';

/** Gives credentials for a registry (`ghcr.io`, `127.0.0.1:5000`), or undefined for anonymous access. */
export type CredentialSource = (registry: string) => Promise<Credentials | undefined>;

export interface Credentials {
  readonly username: string;
  readonly password: string;
  /** A refresh token instead of a password. */
  readonly identityToken?: string | undefined;
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

export interface PruneOptions extends ActOptions {
  /** Also the whole build cache or a part of it, but no image that has a name. */
  readonly cache?: boolean | CacheScope | undefined;
  /** Also images that no container uses, and the build cache. */
  readonly all?: boolean | undefined;
  /** With the cache, also what `RUN --mount=type=cache` keeps; left out, as `all` says. */
  readonly mounts?: boolean | undefined;
  /** Images that stay in any case. */
  readonly keep?: ((image: StoredImage) => boolean) | undefined;
  /** Also containers, running or not, whose record cannot be read. */
  readonly unreadable?: boolean | undefined;
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
