import type { OnEvent } from '../base/progress.ts';
import type { Descriptor, Platform, Storage } from '../image/types.ts';

/** Gives credentials for a registry (`docker.io`, `ghcr.io`, `127.0.0.1:5000`), or undefined for anonymous access. */
export type CredentialSource = (registry: string) => Promise<Credentials | undefined>;

export interface Credentials {
  readonly username: string;
  readonly password: string;
  /** A refresh token instead of a password. */
  readonly identityToken?: string | undefined;
}

/** What a registry client is made with. Nothing is read from the environment. */
export interface RegistryOptions {
  readonly credentials?: CredentialSource | undefined;
  /** Hears of every password and every token, before it is sent anywhere: so that it can be masked. */
  readonly onSecret?: ((value: string) => void) | undefined;
  /** By registry: `docker.io` → `http://127.0.0.1:5000`; a path becomes the first part of the repository's name there. */
  readonly mirrors?: Readonly<Record<string, string>> | undefined;
  /** Registries (host and port) that may be spoken to without TLS; loopback always may. */
  readonly insecureRegistries?: readonly string[] | undefined;
  /** PEM bundle of certificate authorities that are trusted beside Node's own. */
  readonly caFile?: string | undefined;
  readonly httpProxy?: string | undefined;
  readonly httpsProxy?: string | undefined;
  readonly noProxy?: string | undefined;
  readonly userAgent?: string | undefined;
  /** Ends every request of this client. */
  readonly signal?: AbortSignal | undefined;
  /** Receives the registries' own warnings (RFC 7234 Warning: 299), escaped and bounded. */
  readonly onEvent?: OnEvent | undefined;
  /** Times in milliseconds; the defaults are for people, tests make them small. */
  readonly timing?: Partial<Timing> | undefined;
  /** Bytes above which a blob goes up in chunks of that size, so that a broken connection costs one chunk. Default 64 MiB. */
  readonly chunkSize?: number | undefined;
}

export interface Timing {
  /** Until a connection stands. */
  readonly connect: number;
  /** Without a byte. */
  readonly idle: number;
  /** For the answer to an upload: registries hash the blob before they give it. */
  readonly commit: number;
  /** Before the second attempt; doubles each time. */
  readonly minRetry: number;
  /** The longest wait, also when the registry asks for a longer one. */
  readonly maxRetry: number;
  /** For an operation with all its attempts. */
  readonly deadline: number;
}

/** A client for every registry. One per engine; `close` ends its connections. */
export interface Registry {
  /** @param name as a user types it, or `registry/repository`; tag and digest are left out of account */
  repository(name: string): Repository;
  /** Asks the registry itself whether it takes these credentials. @throws `REGISTRY_UNAUTHORIZED` and its like */
  logIn(name: string, credentials: Credentials, options?: SignalOption): Promise<void>;
  close(): Promise<void>;
}

/** A repository as the end of a copy. Pulls go to the mirror first, pushes to the registry alone. */
export interface Repository extends Storage {
  /** `registry/repository`: `docker.io/library/python`. */
  readonly name: string;
  /**
   * What a tag or digest stands for now; with a platform, the manifest for it out of an index.
   *
   * @throws `IMAGE_NOT_FOUND`, `PLATFORM_NOT_FOUND`, the errors of {@link Registry}
   */
  resolve(tagOrDigest: string, options?: ResolveOptions): Promise<Descriptor>;
  /** Manifest or index, verified. Its bytes are remembered, so that a following copy doesn't ask again. */
  manifest(
    tagOrDigest: string,
    options?: SignalOption,
  ): Promise<{ readonly descriptor: Descriptor; readonly content: Buffer }>;
  /**
   * What a tag stands for at the registry that is pushed to: one that is right need not be pushed, which a registry with tags that stay would
   * refuse. Undefined when there is no such tag.
   */
  tagged(tag: string, options?: SignalOption): Promise<Descriptor | undefined>;
  /** All tags, in the registry's order. */
  tags(options?: SignalOption): Promise<readonly string[]>;
}

export interface SignalOption {
  readonly signal?: AbortSignal | undefined;
}

export interface ResolveOptions extends SignalOption {
  readonly platform?: Platform | undefined;
}

/** What the registry says about a failure. Source: distribution-spec, "Error Codes". */
export interface RegistryDiagnostic {
  readonly code: string;
  readonly message: string;
}

/** A place that serves a registry: the registry itself, or a mirror of it. */
export interface Endpoint {
  /** Whose credentials count: `docker.io`, `ghcr.io`, or host and port of a mirror. */
  readonly registry: string;
  /** For people: host and port. */
  readonly host: string;
  /** `https://registry-1.docker.io`; undefined where plain http is allowed and has to be tried. */
  readonly origin: string | undefined;
  readonly isMirror: boolean;
  /** Put before the repository's name. */
  readonly prefix: string;
}
