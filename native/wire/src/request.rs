//! What the engine asks for. Unknown fields are errors; nothing has a default that the engine did not send, except what is `Option`.

use crate::oci;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The first frame on fd 0.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Request {
    /// [`crate::PROTOCOL_VERSION`] of the sender.
    pub version: u32,
    pub store: Store,
    pub id_map: IdMap,
    pub operation: Operation,
}

/// The store, and who owns what is not a snapshot in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "StoreLocation"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Store {
    /// Absolute path of the store root on the host.
    pub root: String,
    pub uid: u32,
    pub gid: u32,
}

/// Under which identity map snapshots and processes live. It decides the folder below `snapshots/`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(tag = "kind", rename_all = "camelCase", deny_unknown_fields)]
pub enum IdMap {
    /// Rung `root`: no user namespace; folder `root`.
    Root,
    /// Rung `userns` with subordinate ids: 0 is the caller, 1… are the range; folder `sub-<first>-<count>`.
    /// The helper enters the user namespace by newuidmap and newgidmap before it does anything else.
    #[serde(rename_all = "camelCase")]
    Sub {
        first_uid: u32,
        uid_count: u32,
        first_gid: u32,
        gid_count: u32,
        newuidmap: String,
        newgidmap: String,
    },
    /// Rung `userns-full`: each id that the caller's own user namespace has is itself; folder `full-<count>`. The helper, which is root there,
    /// enters a user namespace of its own and writes that map itself.
    #[serde(rename_all = "camelCase")]
    Full { uid_count: u32, gid_count: u32 },
}

impl IdMap {
    /// Whether the helper enters a user namespace for it.
    #[must_use]
    pub const fn has_user_namespace(&self) -> bool {
        !matches!(self, Self::Root)
    }
}

/// One operation; the command word on the command line is its tag.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(tag = "op", content = "args", rename_all = "kebab-case")]
pub enum Operation {
    Probe(Probe),
    Lock(Lock),
    Apply(Apply),
    Prepare(Prepare),
    Copy(Copy),
    CopyLayer(CopyLayer),
    Diff(Diff),
    Checksum(Checksum),
    Contents(Contents),
    ReadFile(ReadFile),
    ReadFiles(ReadFiles),
    Look(Look),
    Unpack(Unpack),
    Remove(Remove),
    Usage(Usage),
    Export(Export),
    Changes(Changes),
    Extract(Extract),
    Volume(Volume),
    CopyOut(CopyOut),
    CopyIn(CopyIn),
    Start(Box<Start>),
    Exec(Box<Exec>),
    State(State),
    Kill(Kill),
    Logs(Logs),
    Network(ChangeNetwork),
    Create(Box<Start>),
    Resume(Resume),
    Attach(Attach),
    Pause(Pause),
    Update(Box<Update>),
    Stats(Stats),
    Processes(Processes),
    Events(Events),
    Announce(Announce),
    Keyring(Keyring),
}

/// What is possible here. Enters no namespace of the request; tries each rung in a child.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "ProbeArgs"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Probe {
    /// The ranges to try rung `userns` with, found by the engine in `/etc/subuid` and `/etc/subgid`.
    pub sub: Option<IdMap>,
}

/// Hold locks below `locks/` until fd 0 ends; `Control::Acquire` and `Control::Release` follow. Runs as the user.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "LockArgs"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Lock {}

/// Codec of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum Codec {
    None,
    Gzip,
    Zstd,
}

/// Unpack a layer blob into a snapshot, on top of `lowers`, by overlay's rules.
///
/// The blob is inflated and hashed in a child with the store owner's identity under a seccomp filter. The snapshot is made as a `.part-`
/// folder, synced and renamed: to `diff_id` (its hex part) when the layer is self-contained, else to `chain_id`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "ApplyArgs"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Apply {
    /// Path of the blob, relative to the store root.
    pub blob: String,
    pub codec: Codec,
    /// `sha256:…` of the plain tar; another result is `Invalid`.
    pub diff_id: String,
    pub chain_id: String,
    /// Names of the snapshots below, topmost first.
    pub lowers: Vec<String>,
    /// Bytes of plain tar after which the layer is refused.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub max_bytes: u64,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub max_entries: u64,
    /// The tree becomes the folder of this name below `cache-mounts/<idmap>/` instead of a snapshot; one that is there already stays as it is.
    #[cfg_attr(feature = "ts", ts(optional))]
    pub cache_mount: Option<String>,
}

/// Make an empty upper snapshot `name` whose root directory has the attributes of the merged root of `lowers`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "PrepareArgs"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Prepare {
    pub name: String,
    pub lowers: Vec<String>,
}

/// Owner to set, by number.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
}

/// Copy files and make directories in a new upper snapshot `name` on top of `lowers`; paths resolve inside the merged root.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "CopyArgs"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Copy {
    pub name: String,
    pub lowers: Vec<String>,
    pub actions: Vec<CopyAction>,
}

/// Do the same and make the layer in the same pass: a large file is read once for snapshot, layer, digest and, when one is wanted, blob. The
/// snapshot gets the hex part of the diff id as its name. Digests of the regular files that came from contexts are sent as `Data`, 32 bytes each, in the order of
/// the lists: those of `Contents`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "CopyLayerArgs"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CopyLayer {
    pub lowers: Vec<String>,
    pub actions: Vec<CopyAction>,
    /// Ids of the `Secret` frames whose values the layer must not hold. Where it does, the reply says where, and there is no layer.
    #[cfg_attr(feature = "ts", ts(optional))]
    pub forbidden: Option<Vec<String>>,
    /// The blob to make on the way; there is none of a layer without entries.
    #[cfg_attr(feature = "ts", ts(optional))]
    pub blob: Option<WantedBlob>,
}

/// A blob to make of a layer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WantedBlob {
    /// Path below the store root, exclusively created.
    pub output: String,
    pub codec: Codec,
    pub level: u32,
    /// Files that do not shrink are stored as plain tar.
    pub may_be_plain: bool,
}

/// Digests of files of the host, for cache keys. The `Data` frames are a list as that of a copy from a context; the answer, in `Data` too, is 32
/// bytes for each regular file in it: SHA-256 up to 64 KiB, BLAKE3 above.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "ContentsArgs"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Contents {
    pub host_path: String,
    /// Bytes of the list.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub list_bytes: u64,
}

/// One step of a copy.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(tag = "kind", rename_all = "camelCase", deny_unknown_fields)]
pub enum CopyAction {
    /// `mkdir -p`: missing directories get mode and owner; an existing one stays as it is. `None` is 0:0, or the group of a directory with the
    /// set-group-id bit that holds it.
    #[serde(rename_all = "camelCase")]
    Mkdir {
        path: String,
        mode: u32,
        owner: Option<Owner>,
        created: Option<Timestamp>,
    },
    /// Copy what `source` selects to `dest`.
    #[serde(rename_all = "camelCase")]
    Copy {
        source: CopySource,
        /// Absolute path in the image.
        dest: String,
        /// `dest` ends in a slash, or there are several sources: every source goes below it.
        dest_is_directory: bool,
        /// `None` keeps the owner of the source (a stage); a context is copied as 0:0.
        owner: Option<Owner>,
        /// Permission bits to set on files and directories.
        mode: Option<u32>,
        /// Changes of permission bits, one after the other; on top of `mode`, else of the source's own.
        mode_changes: Vec<ModeChange>,
        /// Time of directories that the copy creates itself (parents of `dest`).
        created: Option<Timestamp>,
    },
    /// Write `content` to `path`; parents are made as `Mkdir` with 0755.
    #[serde(rename_all = "camelCase")]
    Write {
        path: String,
        content: String,
        mode: u32,
        owner: Owner,
        created: Option<Timestamp>,
    },
}

/// One step of a symbolic mode, such as `go-w` or `u=g`: first `clear`, then the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModeChange {
    /// Bits to take away.
    pub clear: u32,
    /// Bits to give.
    pub set: u32,
    /// Bits to give to directories, and to files that somebody may execute before the first change.
    pub set_if_executable: u32,
    /// Bits of one class for others, as they were before `clear`.
    pub copy: Option<ModeCopy>,
}

/// Permission bits of `from`, for each class of `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModeCopy {
    pub from: ModeClass,
    /// Mask of the bits that may change.
    pub to: u32,
    /// Take them away instead.
    pub remove: bool,
}

/// Whom permission bits are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum ModeClass {
    User,
    Group,
    Other,
}

/// Seconds since 1970.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Timestamp {
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub seconds: i64,
}

/// Where a copy reads from.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(tag = "from", rename_all = "camelCase", deny_unknown_fields)]
pub enum CopySource {
    /// A directory on the host. The next `list_bytes` bytes of the `Data` frames (sent right after the request, in the order of the actions) name what to copy, one record an entry:
    /// `[source path below the root]\0[destination below dest]\0[mode override, octal, or empty][a]\0[inode:size:ctime in ns, or empty]\0`.
    /// A file that no longer has the inode, size and change time of the record has changed, which is an error.
    /// An empty destination is `dest` itself; one with a slash in front is `dest` itself too, or has that name in it when it is a directory. A file marked with `a` that is a tar archive, plain or packed, is unpacked into `dest`. Directories are listed before what they hold.
    /// The root is opened once; entries are opened beneath it without following links.
    #[serde(rename_all = "camelCase")]
    Context {
        host_path: String,
        #[cfg_attr(feature = "ts", ts(type = "number"))]
        list_bytes: u64,
    },
    /// The merged tree of snapshots. `patterns` are Go `filepath.Match` patterns of absolute paths; a directory's content is copied, not
    /// the directory itself, as COPY does; a final link of the source is followed inside the root.
    #[serde(rename_all = "camelCase")]
    Snapshots {
        snapshots: Vec<String>,
        patterns: Vec<String>,
        filter: TreeFilter,
    },
    /// A file whose content is the next `content_bytes` bytes of the `Data` frames. `name` is taken where the destination is a directory.
    #[serde(rename_all = "camelCase")]
    Inline {
        name: String,
        mode: u32,
        #[cfg_attr(feature = "ts", ts(type = "number"))]
        content_bytes: u64,
    },
}

/// What of the directories that patterns select is meant. The patterns here are those of ignore files: `**` is any depth, `!` an exception, and
/// what matches a directory matches all that it holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TreeFilter {
    /// For each source pattern: only what this matches, with the directories that lead there; empty takes all.
    pub include: Vec<String>,
    /// Nothing that these match; a file that is a source itself is matched by its name.
    pub exclude: Vec<String>,
}

/// Turn an upper snapshot into a layer: one walk gives the tar, both digests and the blob.
///
/// What did not change against `lowers` is left out of the tar and removed from the snapshot, which is renamed to the hex part of the diff id.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "DiffArgs"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Diff {
    pub snapshot: String,
    pub lowers: Vec<String>,
    /// Where the blob goes, relative to the store root, created exclusively; `None` computes digests only.
    pub output: Option<String>,
    pub codec: Codec,
    pub level: u32,
    /// Where samples of the files say that compressing gains nothing, the blob is the plain tar; the reply says so.
    #[cfg_attr(feature = "ts", ts(optional))]
    pub may_be_plain: Option<bool>,
    /// Times in the tar after this one are set to it (SOURCE_DATE_EPOCH with rewrite-timestamp).
    pub clamp: Option<Timestamp>,
    /// False when the snapshot is finished already (a blob is made again): nothing is removed or renamed.
    pub finish: bool,
    /// The container whose upper snapshot it is: mount targets that were made for it are left out.
    pub container: Option<String>,
    /// Ids of the `Secret` frames whose values the layer must not hold. Where it does, the reply says where, and the snapshot stays as it is.
    #[cfg_attr(feature = "ts", ts(optional))]
    pub forbidden: Option<Vec<String>>,
    /// `snapshot` is a folder below `cache-mounts/<idmap>/` instead; nothing lies below it, and it is never finished.
    #[cfg_attr(feature = "ts", ts(optional))]
    pub cache_mount: Option<bool>,
}

/// Send the merged tree of `snapshots` (topmost first) as a tar, in `Data` frames.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "ExportArgs"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Export {
    pub snapshots: Vec<String>,
    /// Times in the tar after this one are set to it.
    pub clamp: Option<Timestamp>,
}

/// Send what an upper snapshot changes against `lowers` as `Data`: records of one letter (`A`, `C` or `D`), the absolute path, and a NUL.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "ChangesArgs"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Changes {
    pub snapshot: String,
    pub lowers: Vec<String>,
    /// The container whose upper snapshot it is: mount targets that were made for it are left out.
    pub container: Option<String>,
}

/// Unpack a plain tar, sent in `Data` frames, into an existing directory of the host. Everything belongs to the user that the helper runs as;
/// no link is followed; devices, set-id bits and capabilities are left out with a warning.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "ExtractArgs"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Extract {
    pub host_path: String,
}

/// Content digest of what `patterns` select in the merged tree of `snapshots`: names, types, modes, owners, link targets and content, not times.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "ChecksumArgs"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Checksum {
    pub snapshots: Vec<String>,
    pub patterns: Vec<String>,
    pub filter: TreeFilter,
}

/// Send a regular file of the merged tree as `Data`; links resolve inside the root; anything but a regular file is `Invalid`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "ReadFileArgs"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReadFile {
    pub snapshots: Vec<String>,
    pub path: String,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub max_bytes: u64,
    /// Of a larger file its first `max_bytes`; otherwise that is `Invalid`.
    #[cfg_attr(feature = "ts", ts(optional))]
    pub prefix: Option<bool>,
}

/// Send regular files of the merged tree as `Data`, one after the other, as [`ReadFile`] does; one that is missing is no failure.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "ReadFilesArgs"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReadFiles {
    pub snapshots: Vec<String>,
    pub paths: Vec<String>,
    /// Of each file; a larger one is `Invalid`.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub max_bytes: u64,
}

/// Say what stands at some paths of the merged tree. Nothing is opened but directories; links in the middle of a path resolve inside the root.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "LookArgs"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Look {
    pub snapshots: Vec<String>,
    pub paths: Vec<String>,
    /// Look at what a link at the end of a path leads to.
    pub follow: bool,
    /// Also give the names in directories.
    pub list: bool,
}

/// Unpack a tar archive, plain or packed, into a folder of the store, for a build context that came as one. The files belong to the store's owner
/// and keep their permission bits and times, without set-id bits; devices and FIFOs are left out.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "UnpackArgs"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Unpack {
    /// Path of the file, relative to the store root.
    pub archive: String,
    /// An empty folder, relative to the store root.
    pub folder: String,
}

/// Remove snapshots and containers. What is not there counts as removed. A running container is a `Conflict` unless `force`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "RemoveArgs"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Remove {
    pub snapshots: Vec<String>,
    pub containers: Vec<String>,
    pub force: bool,
    /// Also every `.part-` folder and every random upper that no container or live process uses.
    pub garbage: bool,
    /// Folders below `cache-mounts/<idmap>/`.
    #[cfg_attr(feature = "ts", ts(optional))]
    pub cache_mounts: Option<Vec<String>>,
}

/// Names and sizes of snapshots of this id map; all of them when `names` is empty.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "UsageArgs"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Usage {
    pub names: Vec<String>,
    /// Walk and add up the bytes; else only names are given.
    pub measure: bool,
    /// Of the folders below `cache-mounts/<idmap>/` instead.
    #[cfg_attr(feature = "ts", ts(optional))]
    pub cache_mounts: Option<bool>,
}

/// Volumes of this id map: folders `volumes/<id map>/<name>`, each with `_data`, which containers bind, and `volume.json`, what the engine
/// wants to know of it. A volume belongs to the id map that made it, and no other one sees it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "VolumeArgs"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Volume {
    pub action: VolumeAction,
}

/// What is done with volumes. Each action answers with the volumes that it is about.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(tag = "kind", rename_all = "camelCase", deny_unknown_fields)]
pub enum VolumeAction {
    /// Make a volume with `record` (at most 64 KiB). One that exists stays as it is, with its own record.
    #[serde(rename_all = "camelCase")]
    Create { name: String, record: String },
    /// Give an empty volume the content, the owner and the permissions of the directory `path` in the merged tree of `snapshots`; where the
    /// volume holds something, or the tree has no directory there, nothing happens.
    #[serde(rename_all = "camelCase")]
    Fill {
        name: String,
        snapshots: Vec<String>,
        path: String,
    },
    /// Remove volumes. What is not there counts as removed.
    Remove { names: Vec<String> },
    /// All volumes; with `measure`, what each takes on disk.
    List { measure: bool },
}

/// Whose files a copy reads or writes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(tag = "on", rename_all = "camelCase", deny_unknown_fields)]
pub enum Tree {
    /// This machine, with the rights of the caller: never sent through sudo, and never with an identity map.
    Host,
    /// A container as its processes see it, volumes and binds included. Of one that does not run, the root is mounted for the time of the copy.
    Container { container: String },
}

/// Send a file or directory as a tar in `Data` frames; names start with the last component of `path`, or `.` where it ends in one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "CopyOutArgs"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CopyOut {
    pub tree: Tree,
    /// Absolute.
    pub path: String,
    /// Send what a link leads to instead of the link.
    pub follow: bool,
}

/// Unpack the tar that comes as `Data` frames up to `End`, by Docker's rules for the destination of a copy.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "CopyInArgs"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CopyIn {
    pub tree: Tree,
    /// Absolute; a trailing slash asks for a directory.
    pub path: String,
    /// `path` must be a directory, and entries go into it under their own names.
    pub into: bool,
    pub keep_owner: bool,
}

/// Root file system of a process.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rootfs {
    /// Snapshots, topmost first.
    pub lowers: Vec<String>,
    /// The snapshot that takes writes; it is made when it is not there.
    pub upper: String,
}

/// Start a process in a container of its own: RUN, `run` and smoke tests alike.
///
/// Attached: output comes as `Data` and `ErrorData`, standard input by `Data`, and the reply when the process has ended. Detached: the reply
/// comes when the process runs, and the helper stays as monitor in a session of its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "StartArgs"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Start {
    /// `[A-Za-z0-9]+`; the folder below `containers/`.
    pub container: String,
    pub config: oci::Spec,
    pub rootfs: Rootfs,
    pub detach: bool,
    /// Keep `containers/<id>` after the end: logs, state and upper.
    pub keep: bool,
    /// Give the process a pipe as standard input, fed by `Data`; else `/dev/null`.
    pub stdin: bool,
    /// Write `containers/<id>/log.json` in Docker's json-file form.
    pub log: bool,
    pub network: Network,
    /// Files to bind into the container, by destination: hosts, resolv.conf, hostname.
    pub files: Vec<BoundFile>,
    /// Run a minimal init as process 1 that forwards signals and reaps.
    pub init: bool,
    /// Text that the engine wants back from `State`, stored as it is (at most 1 MiB).
    pub record: String,
    pub stop_signal: String,
    /// A process whose end is the container's end: pid and start time in clock ticks.
    pub owner: Option<ProcessId>,
    /// Mounts of a RUN, made in this order after those of the configuration; only of a process that is attached and not kept.
    #[cfg_attr(feature = "ts", ts(optional))]
    pub mounts: Option<Vec<BuildMount>>,
    /// Variables whose values are secrets, and are in no file of the container.
    #[cfg_attr(feature = "ts", ts(optional))]
    pub secret_env: Option<Vec<SecretVariable>>,
    /// What the monitor keeps to beyond one run of the process. A step of a build has none: it cannot be joined, and no event tells of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub life: Option<Life>,
    /// Keep a container whose first start fails as one that was made, with the reason; only one that is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub keep_failed: Option<bool>,
}

/// A variable of the process, set to a secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretVariable {
    pub name: String,
    /// Id of a `Secret` frame.
    pub secret: String,
}

/// A `RUN --mount`: gone with the process, and its target with it where it was made for the mount.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BuildMount {
    /// Absolute path in the container.
    pub destination: String,
    pub readonly: bool,
    pub source: BuildSource,
}

/// What a [`BuildMount`] shows. A `path` is resolved inside its root, links as if that root were `/`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(tag = "kind", rename_all = "camelCase", deny_unknown_fields)]
pub enum BuildSource {
    /// `path` of the merged tree of snapshots, topmost first. Writes go to the snapshot `upper`, made by `Prepare`; without one there are none.
    #[serde(rename_all = "camelCase")]
    Snapshots {
        snapshots: Vec<String>,
        upper: Option<String>,
        path: String,
    },
    /// `path` of the folder `name` below `cache-mounts/<idmap>/`. Where that is missing the snapshot `initial` becomes it, or an empty folder.
    #[serde(rename_all = "camelCase")]
    Cache {
        name: String,
        path: String,
        initial: Option<String>,
        /// Mode and owner of the folder when it is made.
        mode: Option<u32>,
        owner: Option<Owner>,
    },
    /// A file system in memory.
    #[serde(rename_all = "camelCase")]
    Tmpfs {
        #[cfg_attr(feature = "ts", ts(type = "number | null"))]
        size: Option<u64>,
    },
    /// A file in memory with the value of the `Secret` frame `id`.
    #[serde(rename_all = "camelCase")]
    Secret { id: String, mode: u32, owner: Owner },
    /// The Unix socket `name` below `run/`, which gets mode and owner.
    #[serde(rename_all = "camelCase")]
    Socket { name: String, mode: u32, owner: Owner },
    /// A small file.
    #[serde(rename_all = "camelCase")]
    File { content: String, mode: u32 },
}

/// How a container lives on: what is started again, looked after and told about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Life {
    pub restart: Restart,
    pub health: Option<Health>,
    pub log_limits: LogLimits,
    /// The input of the first caller is the process's: its end closes it. Else the input stays open for others.
    pub stdin_once: bool,
    /// What events say of the container beside its id: `image`, `name`, labels.
    pub attributes: BTreeMap<String, String>,
    /// Namespaces of another container that this one lives in.
    pub joins: Vec<Join>,
}

/// When the monitor starts the process again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Restart {
    pub policy: RestartPolicy,
    /// With `on-failure`: how often at most; 0 is no bound.
    pub max_retries: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    #[default]
    No,
    OnFailure,
    Always,
    UnlessStopped,
}

/// A check that runs in the container again and again. Times in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Health {
    pub args: Vec<String>,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub interval: u64,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub timeout: u64,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub start_period: u64,
    /// Between checks in the start period, as long as none has succeeded.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub start_interval: u64,
    /// Failures in a row that make the container unhealthy.
    pub retries: u32,
}

/// How much of the log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogLimits {
    /// Bytes of one file.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub max_size: u64,
    /// Files, the newest one included.
    pub max_files: u32,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self {
            max_size: 64 * 1024 * 1024,
            max_files: 2,
        }
    }
}

/// A namespace of a running container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Join {
    /// `ipc` (with its `/dev/shm`), `network` (with its `/etc/hosts` and `/etc/resolv.conf`) or `pid`.
    pub namespace: String,
    pub container: String,
}

/// Start the process of a container that was created, or that has ended, as it was ordered first.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "ResumeArgs"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resume {
    pub container: String,
    /// Output goes to the engine, as with an attached `Start`; else the reply comes when the process runs.
    pub attach: bool,
    pub owner: Option<ProcessId>,
}

/// Join the streams of a running container: output from now on as `Data` and `ErrorData`, input by `Data`; signals and sizes by `Control`.
/// The end of fd 0 only lets go of it. The reply comes when the process has ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "AttachArgs"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Attach {
    pub container: String,
}

/// Freeze a container's processes, or let them go on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "PauseArgs"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pause {
    pub container: String,
    pub frozen: bool,
}

/// Change what was ordered; `None` leaves it as it is. Limits of a running container change at once.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "UpdateArgs"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Update {
    pub container: String,
    /// All limits, those that stay as they were included.
    pub resources: Option<oci::Resources>,
    pub restart: Option<Restart>,
    pub record: Option<String>,
    pub attributes: Option<BTreeMap<String, String>>,
    /// All bound files, in their order. A running container sees new lines at once; what its processes have written there stays.
    pub files: Option<Vec<BoundFile>>,
    /// The word of the event that tells of it: `update` or `rename`.
    pub event: Option<String>,
}

/// What running containers use.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "StatsArgs"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stats {
    pub containers: Vec<String>,
}

/// The processes of a container, in the host's numbering.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "ProcessesArgs"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Processes {
    pub container: String,
}

/// Send the store's journal as `Data`, one JSON object a line; with `follow`, until fd 0 ends.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "EventsArgs"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Events {
    pub follow: bool,
}

/// Write an act of the engine into the journal.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "AnnounceArgs"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Announce {
    /// `container`, `image`, `volume`, `network`.
    pub kind: String,
    pub action: String,
    pub id: String,
    pub attributes: BTreeMap<String, String>,
}

/// Credentials of the calling user in the kernel's memory, below the user's own keyring; nothing of them reaches a disk. Runs as the user.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "KeyringArgs"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Keyring {
    pub act: KeyringAct,
    /// What the key is for; `berth:` stands before it in the keyring.
    pub name: String,
}

/// What is done with a key. The reply says whether there was one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum KeyringAct {
    /// Keep the value of the `Secret` frame `value`, in place of the old one.
    Store,
    /// Send the value as `Data`.
    Read,
    Erase,
}

/// A process that cannot be mistaken for a later one with the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProcessId {
    pub pid: i32,
    /// Field 22 of `/proc/<pid>/stat`.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub start_time: u64,
}

/// A small file that is bound read-write over `destination`; its stub is removed before the diff.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BoundFile {
    pub destination: String,
    pub content: String,
    pub mode: u32,
}

/// Network of a container.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(tag = "mode", rename_all = "camelCase", deny_unknown_fields)]
pub enum Network {
    /// The host's.
    Host,
    /// A namespace with loopback only.
    None,
    /// That of the container which `life.joins` names for `network`, with its `/etc/hosts` and `/etc/resolv.conf`.
    Joined,
    /// A namespace with loopback and `address` (IPv4, on the loopback device); published ports are proxied to that address, so that a server
    /// bound to 127.0.0.1 is not reachable, as with Docker.
    #[serde(rename_all = "camelCase")]
    Private {
        address: String,
        ports: Vec<PublishedPort>,
        /// Only in a user namespace.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "ts", ts(optional))]
        way_out: Option<WayOut>,
    },
    /// A namespace with an interface on each of some networks; only as root. Published ports are proxied to the first endpoint's address.
    #[serde(rename_all = "camelCase")]
    Bridge {
        endpoints: Vec<Endpoint>,
        ports: Vec<PublishedPort>,
        dns: Resolver,
    },
    /// For a step of a build: a namespace with an interface on a network, at one of its addresses for steps; only as root. The bridge stays when the
    /// step has ended, for the next one, until `Retire`.
    Step { network: BridgeNetwork, dns: Resolver },
}

/// The way out of a private namespace: a program beside it that needs no privilege, and the responder for names at 127.0.0.11. Where the program does
/// not work the container has none, and a warning says why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WayOut {
    /// Absolute path of passt's `pasta`.
    pub pasta: String,
    pub dns: Resolver,
}

/// A network of the store: a bridge of the host with what lets its containers out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BridgeNetwork {
    /// 64 hex digits; the folder below `networks/`. Bridge and rules are named by it.
    pub id: String,
    pub name: String,
    /// IPv4, as `172.24.0.0/20`.
    pub subnet: String,
    /// The bridge's address, in the subnet.
    pub gateway: String,
    /// Nothing of it is forwarded to other networks.
    pub internal: bool,
    pub mtu: u32,
    /// Where its containers have addresses of IPv6 as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub ipv6: Option<BridgeSubnet>,
    /// Name of the bridge; made of the id when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub bridge: Option<String>,
    /// What sets it apart from a usual network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub traits: Vec<BridgeTrait>,
    /// The part of the subnet from which steps of builds get their addresses, as `172.24.12.0/22`. Steps do not reach each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub steps: Option<String>,
}

/// Addresses of IPv6 that a network has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BridgeSubnet {
    /// As `fd00:1::/64`.
    pub subnet: String,
    /// The bridge's address, in the subnet.
    pub gateway: String,
}

/// What sets a network apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum BridgeTrait {
    /// Packets leave with the containers' own addresses.
    NoMasquerade,
    /// Containers reach the host, but not each other.
    NoNeighbours,
    /// The host has no address on it.
    NoHost,
}

/// One interface of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Endpoint {
    pub network: BridgeNetwork,
    /// IPv4, in the subnet.
    pub address: String,
    /// `02:42:ac:18:00:02`.
    pub mac: String,
    /// `eth0`, `eth1` …
    pub interface: String,
    /// By which others on the network find it; empty on a network without names.
    pub names: Vec<String>,
    /// The way out of the container leads over this one.
    pub default_route: bool,
    /// On a network with IPv6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub ipv6: Option<EndpointIpv6>,
    /// Further addresses: of 169.254.0.0/16 or fe80::/10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub link_local: Vec<String>,
    /// Names by which this container alone finds others on the network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// Parameters of the interface, which stands as `IFNAME` in their names: `net.ipv4.conf.IFNAME.forwarding`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctls: BTreeMap<String, String>,
}

/// The IPv6 half of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EndpointIpv6 {
    /// In the subnet.
    pub address: String,
    /// The way out of the container for IPv6 leads over this one.
    pub default_route: bool,
}

/// A further name for a neighbour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Link {
    pub alias: String,
    /// Any name by which others find it.
    pub name: String,
}

/// Networks, by their ids, over which the ways out of a container lead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WaysOut {
    pub ipv4: Option<String>,
    pub ipv6: Option<String>,
}

/// The responder for names at 127.0.0.11 in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resolver {
    /// IP addresses of the resolvers that are asked for all other names, from the host's namespace.
    pub upstreams: Vec<String>,
}

/// Changes of networks, outside of starts and ends.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "NetworkArgs"))]
#[serde(tag = "act", rename_all = "camelCase", deny_unknown_fields)]
pub enum ChangeNetwork {
    /// Give a running container one more interface.
    #[serde(rename_all = "camelCase")]
    Connect { container: String, endpoint: Box<Endpoint> },
    /// Take the interface of a network away from a container, running or not.
    #[serde(rename_all = "camelCase")]
    Disconnect {
        container: String,
        network: String,
        /// What leads out from now on; the first network that does when it is left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "ts", ts(optional))]
        ways_out: Option<WaysOut>,
    },
    /// Let others on a network find a container by these names.
    #[serde(rename_all = "camelCase")]
    Names {
        container: String,
        network: String,
        names: Vec<String>,
    },
    /// Remove what is left of networks without a container: bridges, rules, names. Of all networks of the store.
    Sweep,
    /// The same soon, by a process that nobody waits for: a build has no more steps.
    Retire,
}

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PublishedPort {
    /// An IP address; empty listens on `0.0.0.0` and, where there is IPv6, on `::`.
    pub host_address: String,
    /// 0 lets the kernel choose; the event `Listening` tells which.
    pub host_port: u16,
    /// Any free port from `host_port` to this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub host_port_last: Option<u16>,
    pub container_port: u16,
    pub protocol: Protocol,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Tcp,
    Udp,
}

/// Start a further process in a running container; output and input as with an attached `Start`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "ExecArgs"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exec {
    pub container: String,
    pub process: oci::Process,
    /// The filter of the container, as in its configuration.
    pub seccomp: Option<oci::Seccomp>,
    pub stdin: bool,
    pub detach: bool,
}

/// States of containers; of all of them when `containers` is empty. What is found dead is recorded as such.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "StateArgs"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct State {
    pub containers: Vec<String>,
}

/// Send `signal`; with `wait_seconds`, wait so long for the end, then send SIGKILL and wait for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "KillArgs"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Kill {
    pub container: String,
    /// `SIGTERM`, `TERM` or a number; empty only waits.
    pub signal: String,
    pub wait_seconds: Option<u32>,
    /// The container is meant to end: it is thawed, and its restart policy no longer counts.
    #[serde(default)]
    pub last: bool,
}

/// Send the container's json-file log as `Data`; with `follow`, until it has ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "LogsArgs"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Logs {
    pub container: String,
    pub follow: bool,
}

/// What may follow the request on fd 0 while an operation runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(tag = "control", rename_all = "camelCase", deny_unknown_fields)]
pub enum Control {
    /// `Lock`: take a lock. Answered by `Event::Locked`, or `Event::Busy` when `wait` is false and it is held.
    #[serde(rename_all = "camelCase")]
    Acquire { name: String, exclusive: bool, wait: bool },
    /// `Lock`: give it back.
    Release { name: String },
    /// `Start`, `Exec`: send a signal to the process.
    Signal { signal: String },
    /// `Start`: send `signal`, then SIGKILL after `seconds`.
    Stop { signal: String, seconds: u32 },
    /// `Start`, `Exec`: the terminal has another size.
    Resize { rows: u16, columns: u16 },
    /// `Start`, `Exec`: end of standard input.
    CloseStdin,
    /// `Start` and `Resume` of a container with a life, `Exec` with a terminal: the process goes on without the engine, and the reply comes at once.
    Detach,
}
