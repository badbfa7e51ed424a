import type { PruneReport } from './system.ts';

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
