import type { SourceLocation } from '../base/errors.ts';
import type { WarningEvent } from '../base/progress.ts';
import type { ContainerConfig, Descriptor, ImageConfig, Platform } from '../image/types.ts';

/** Digest of a vertex's definition: its operation and the ids of its inputs. Two vertices with one id are one. */
export type VertexId = string;

/** One node of the build graph. What changes the result is in `op`; what does not is beside it. */
export interface Vertex {
  readonly id: VertexId;
  readonly op: Op;
  /** Input 0 of exec and file is the state below; further ones are stages that files are copied from. */
  readonly inputs: readonly VertexId[];
  /** For the user: `[builder 2/5] RUN pip install -r requirements.txt`. */
  readonly name: string;
  /** The stage it belongs to, for grouping. */
  readonly stage: string;
  /** What its stage is for; a RUN needs such a machine, or one that plays it. */
  readonly platform: Platform;
  readonly location?: SourceLocation | undefined;
  /** `--no-cache`, or this stage is in `--no-cache-filter`. */
  readonly ignoreCache: boolean;
  /** It stands in no line of the file, and is not counted as a step: the part of the context that a RUN mounts. */
  readonly internal?: boolean | undefined;
}

export type Op = ImageOp | ScratchOp | ExecOp | FileOp;

/** A base image, pinned. Key 1 is the manifest's digest and the platform, key 2 the chain id of its layers. */
export interface ImageOp {
  readonly type: 'image';
  readonly reference: string;
  readonly manifest: Descriptor;
  readonly config: ImageConfig;
  readonly platform: Platform;
}

export interface ScratchOp {
  readonly type: 'scratch';
}

/** RUN. Source of the fields: BuildKit's ExecOp (spec/engine.md 4a.3). */
export interface ExecOp {
  readonly type: 'exec';
  readonly args: readonly string[];
  /** ENV and the ARGs in scope, in order, `NAME=value`. */
  readonly env: readonly string[];
  readonly cwd: string;
  /** As written: name or number, with an optional group. */
  readonly user: string;
  /** Proxy variables: given to the process, in no key. */
  readonly proxyEnv: readonly string[];
  /** In the order of the flags. */
  readonly mounts?: readonly ExecMount[] | undefined;
  /** Of `--network`, of the instruction or else of the build. Undefined: the default. */
  readonly network?: 'none' | 'host' | undefined;
  /** `--add-host`: lines of /etc/hosts. Names are in the key, addresses are not. */
  readonly extraHosts?: readonly { readonly name: string; readonly address: string }[] | undefined;
  readonly ulimits?: readonly { readonly name: string; readonly soft: number; readonly hard: number }[] | undefined;
  /** Of the build argument BUILDKIT_SANDBOX_HOSTNAME. Undefined: BuildKit's own. */
  readonly hostname?: string | undefined;
}

/** A `RUN --mount`, its paths absolute and its variables expanded. */
export type ExecMount = BindMount | CacheMount | TmpfsMount | SecretMount | SshMount | ScriptMount;

/** A part of the context, of a stage or of an image. What is written to it is thrown away. */
export interface BindMount {
  readonly type: 'bind';
  readonly target: string;
  /** Index of the input vertex that holds the files. */
  readonly input: number;
  /** imagePath in it. */
  readonly source: string;
  readonly readonly: boolean;
}

/** A directory that outlives the build. */
export interface CacheMount {
  readonly type: 'cache';
  readonly target: string;
  readonly id: string;
  readonly sharing: 'shared' | 'private' | 'locked';
  /** Index of the input vertex whose `source` it begins with. */
  readonly input?: number | undefined;
  /** imagePath in the input; without one, path in the cache. */
  readonly source: string;
  readonly readonly: boolean;
  readonly mode?: number | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

export interface TmpfsMount {
  readonly type: 'tmpfs';
  readonly target: string;
  /** Bytes. */
  readonly size?: number | undefined;
  readonly readonly: boolean;
}

/** A file, a variable, or both, with the value of a secret of the build. */
export interface SecretMount {
  readonly type: 'secret';
  readonly id: string;
  readonly target?: string | undefined;
  readonly env?: string | undefined;
  readonly required: boolean;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** The socket of an agent. */
export interface SshMount {
  readonly type: 'ssh';
  readonly id: string;
  readonly target: string;
  readonly required: boolean;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** A here-document that begins with `#!`. */
export interface ScriptMount {
  readonly type: 'script';
  readonly target: string;
  readonly content: string;
}

/** WORKDIR, COPY, ADD. */
export interface FileOp {
  readonly type: 'file';
  readonly actions: readonly FileAction[];
  /** `--link`: the layer is made on nothing and put on the state below, so that it does not depend on it. */
  readonly link?: true | undefined;
}

export type FileAction = MkdirAction | CopyFileAction | InlineFileAction;

/** WORKDIR: `mkdir -p` with 0755, owned by the user of the stage. */
export interface MkdirAction {
  readonly action: 'mkdir';
  readonly path: string;
  readonly mode: number;
  /** As written in USER or `--chown`; empty is 0:0. */
  readonly owner: string;
}

/** Where files go, and what is changed on the way. */
export interface Placement {
  readonly dest: string;
  readonly destIsDirectory: boolean;
  /** As written in `--chown`; undefined: 0:0 from outside, kept from a stage. */
  readonly owner?: string | undefined;
  readonly mode?: number | undefined;
  /** Symbolic `--chmod`: changes of the files' own modes. */
  readonly modeChanges?: readonly ModeChange[] | undefined;
  /** Which words of the instruction the sources stand in, for errors. */
  readonly location?: SourceLocation | undefined;
}

export interface CopyFileAction extends Placement {
  readonly action: 'copy';
  /** The build context, the index of the input vertex, or files from elsewhere. */
  readonly from: 'context' | number | TreeSource;
  /** Paths or Go `filepath.Match` patterns, relative to the context or absolute in the stage. */
  readonly sources: readonly string[];
  /** `--parents`: for each source, what is meant below it, with the directories that lead there. */
  readonly include?: readonly string[] | undefined;
  /** `--exclude`: patterns as in ignore files, below each source. */
  readonly exclude?: readonly string[] | undefined;
  /** ADD: tar archives among the sources are unpacked, by content. */
  readonly unpack: boolean;
  /** RUN mounts it: errors name its `source=`. */
  readonly isMount?: true | undefined;
}

/** A here-document of COPY or ADD: a file with mode 0644. */
export interface InlineFileAction extends Placement {
  readonly action: 'inline';
  readonly name: string;
  readonly data: string;
}

/** Files that are neither of a stage nor of the build context. */
export type TreeSource = NamedSource | HttpSource | GitSource;

/** A named context that is a folder, a repository or an archive. */
export interface NamedSource {
  readonly type: 'named';
  readonly name: string;
}

/** ADD of a URL: one file. */
export interface HttpSource {
  readonly type: 'http';
  readonly url: string;
  /** `sha256:…` that the body must have. */
  readonly checksum?: string | undefined;
}

/** ADD of a repository: the files of one commit. */
export interface GitSource {
  readonly type: 'git';
  readonly remote: string;
  readonly ref?: string | undefined;
  readonly subdir?: string | undefined;
  /** Commit, or the beginning of one, that the ref must lead to. */
  readonly checksum?: string | undefined;
  readonly keepGitDir: boolean;
  readonly submodules: boolean;
  /** `commit`: files get the time of the commit. */
  readonly mtime?: 'checkout' | 'commit' | undefined;
}

/** One step of a symbolic mode: first `clear`, then the rest. */
export interface ModeChange {
  readonly clear: number;
  readonly set: number;
  /** For directories, and for files that somebody may execute before the first change. */
  readonly setIfExecutable: number;
  /** Bits of one class for others, as they were before `clear`. */
  readonly copy: {
    readonly from: 'user' | 'group' | 'other';
    readonly to: number;
    readonly remove: boolean;
  } | null;
}

/** What is to be solved, and the image that comes of it. */
export interface Graph {
  /** In an order in which inputs come first. */
  readonly vertices: readonly Vertex[];
  readonly target: VertexId;
  readonly image: ImageDraft;
  readonly warnings: readonly WarningEvent[];
}

/** The image configuration before layers are known. */
export interface ImageDraft {
  readonly platform: Platform;
  /** The base's configuration, whose history and fields the image continues; undefined from scratch. */
  readonly base?: ImageConfig | undefined;
  readonly config: ContainerConfig;
  readonly author?: string | undefined;
  /** One an instruction of the final stage, and of the stages it is based on, in order. */
  readonly history: readonly HistoryDraft[];
}

export interface HistoryDraft {
  readonly createdBy: string;
  /** The vertex whose layer it is; undefined for metadata. */
  readonly vertex?: VertexId | undefined;
}

/** Finds base images; plugged in by `engine/build.ts`. */
export interface Resolver {
  /** @throws `IMAGE_NOT_FOUND` and the registry's errors, naming the reference */
  resolve(
    reference: string,
    platform: Platform,
  ): Promise<{ readonly reference: string; readonly manifest: Descriptor; readonly config: ImageConfig }>;
}
