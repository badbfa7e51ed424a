/** A file, directory or link of the build context, after `.dockerignore`. Paths are bytes: names need not be UTF-8. */
export interface ContextEntry {
  /** Relative to the context, no leading slash. */
  readonly path: Buffer;
  readonly type: 'file' | 'directory' | 'symlink';
  /** Permission bits, with setuid, setgid and sticky. */
  readonly mode: number;
  /** The mode is not the file's own, but what git keeps of it: 644 or 755. */
  readonly isNormalised?: true;
  readonly size: number;
  readonly linkTarget?: Buffer | undefined;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly inode: bigint;
}

/** One thing that a COPY takes, with its place below the destination (empty: the destination itself). */
export interface Selected {
  readonly entry: ContextEntry;
  /** A source that is a file has a slash in front of its name: it is the destination itself, or has that name in it. */
  readonly dest: Buffer;
  /** The file is a source itself, and ADD unpacks it when it is an archive. */
  readonly isSource?: true;
}

/** What a COPY or ADD takes, or a mount of RUN. */
export interface SelectOptions {
  readonly destIsDirectory: boolean;
  /** `--parents`: for each source, the path or ignore-file pattern below it that is meant; empty takes all. */
  readonly include?: readonly string[] | undefined;
  /** `--exclude`: ignore-file patterns below each source; a file that is a source itself is matched by its name. */
  readonly exclude?: readonly string[] | undefined;
  /** It is for a `--mount` of RUN: what is said of a source that is not there names `source=`. */
  readonly isMount?: true | undefined;
}

/** The build context, listed once. */
export interface Context {
  readonly root: string;
  /**
   * What the sources of one COPY or ADD select, in a stable order, directories before what they hold.
   *
   * @throws `COPY_SOURCE_NOT_FOUND` naming the pattern, and `.dockerignore` when it is what hides the file
   */
  select(sources: readonly string[], options: SelectOptions): Promise<readonly Selected[]>;
  /** Content digest of a selection: names, types, modes, link targets and bytes, not times. Unchanged files come from the stat cache. */
  digest(
    selected: readonly Selected[],
    options?: { readonly mode?: number | undefined; readonly signal?: AbortSignal | undefined },
  ): Promise<string>;
  /** The same without the bytes: names, types, modes, sizes and link targets. Reads no file. */
  shape(selected: readonly Selected[], options?: { readonly mode?: number | undefined }): string;
  /**
   * Takes the hashes of the selected files, 32 bytes each, from who has just copied them.
   *
   * @throws `CONTEXT_CHANGED` naming a file that had another content when its digest was made
   */
  learn(selected: readonly Selected[], contents: Buffer): Promise<void>;
  /**
   * Records for the helper's `copy`: `[path]\0[dest]\0[mode]\0[stamp]\0`; with `unpack`, sources that are archives are unpacked.
   *
   * @throws `CONTEXT_INVALID` naming a file that this user may not read
   */
  records(selected: readonly Selected[], options?: { readonly unpack?: boolean }): Buffer;
  /** FIFOs, sockets and devices that were left out. */
  readonly skipped: readonly string[];
}
