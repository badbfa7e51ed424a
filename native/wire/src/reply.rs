//! What an operation gives back: the last line on fd 2 when it succeeded.

use crate::request::{Codec, IdMap, ProcessId, PublishedPort};
use serde::{Deserialize, Serialize};

/// The result of an operation; the tag is the operation's.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(tag = "op", content = "result", rename_all = "kebab-case")]
pub enum Reply {
    Probe(Probe),
    Lock,
    Apply(Apply),
    Prepare,
    Copy(Copy),
    CopyLayer(Diff),
    Diff(Diff),
    Checksum(Checksum),
    Contents,
    ReadFile,
    ReadFiles(ReadFiles),
    Look(Look),
    Unpack(Unpack),
    Remove(Remove),
    Usage(Usage),
    Export(Export),
    Changes,
    Extract(Extract),
    Volume(Volumes),
    CopyOut(Copy),
    CopyIn(Copy),
    Start(Ended),
    Exec(Ended),
    State(States),
    Kill(Kill),
    Logs,
    Network,
    Create,
    Resume(Ended),
    Attach(Ended),
    Pause,
    Update(Update),
    Stats(Stats),
    Processes(Processes),
    Events,
    Announce,
    Keyring(Keyring),
}

/// How many bytes of each file were sent, in the order of the paths; nothing for one that is missing.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "ReadFilesReply"))]
#[serde(rename_all = "camelCase")]
pub struct ReadFiles {
    #[cfg_attr(feature = "ts", ts(type = "Array<number | null>"))]
    pub sizes: Vec<Option<u64>>,
}

/// What stands at the paths that were asked for, in their order; nothing where a path leads nowhere.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "LookReply"))]
#[serde(rename_all = "camelCase")]
pub struct Look {
    pub found: Vec<Option<Looked>>,
}

/// Something in a merged tree.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Looked {
    /// Absolute, with the links on the way resolved.
    pub path: String,
    pub kind: LookedKind,
    /// Permission bits with set-id and sticky bits.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub size: u64,
    /// Of a link.
    pub target: Option<String>,
    /// Of a directory, where they were asked for; sorted by their bytes.
    pub names: Option<Vec<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum LookedKind {
    File,
    Directory,
    Link,
    CharacterDevice,
    BlockDevice,
    Fifo,
    Socket,
}

/// Whether there is a key, or was one before the act.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "KeyringReply"))]
#[serde(rename_all = "camelCase")]
pub struct Keyring {
    pub found: bool,
}

/// What this machine allows to this user.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "ProbeReply"))]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    pub protocol: u32,
    pub kernel: String,
    pub uid: u32,
    pub rungs: Vec<Rung>,
    pub cgroup: Cgroup,
    pub seccomp: bool,
    /// File system of the store root: `ext4`, `overlay`, `tmpfs` …
    pub file_system: String,
    pub network: NetworkProbe,
    /// Containers in a user namespace have a /proc of their own. Else they see that of this machine: where a part of it is hidden, as in a pod,
    /// the kernel lets nobody mount another.
    pub own_proc: bool,
}

/// What containers on rung `root` can have as network.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct NetworkProbe {
    /// Bridges, veth pairs and packet rules can be made, and packets are forwarded.
    pub bridge: bool,
    /// What stood in the way.
    pub reason: Option<String>,
    pub hint: Option<String>,
}

/// One rung of the isolation ladder and whether it holds here.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Rung {
    pub name: RungName,
    pub possible: bool,
    /// What stood in the way: the step and the error number.
    pub reason: Option<String>,
    /// The switch that would help.
    pub hint: Option<String>,
    pub id_map: Option<IdMap>,
    /// All of it would be possible, but that the kernel takes no device rules of containers.
    pub lacks_device_rules: bool,
}

/// The ladder, from the strongest rung to the weakest (DESIGN.md 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum RungName {
    Root,
    UsernsFull,
    Userns,
    UsernsSingle,
    Chroot,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Cgroup {
    /// `v2`, `v1`, `hybrid` or `none`.
    pub mode: String,
    /// Controllers in which this user can make groups.
    pub controllers: Vec<String>,
    /// What keeps containers of rung `root` to their devices. Left out where that rung is not possible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub devices: Option<DeviceKeeper>,
}

/// What keeps a container to the devices that it may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum DeviceKeeper {
    /// Rules on its cgroup.
    Rules,
    /// The nodes in its `/dev`: it opens no others, and makes none.
    Nodes,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "ApplyReply"))]
#[serde(rename_all = "camelCase")]
pub struct Apply {
    /// The name that the snapshot got.
    pub snapshot: String,
    pub self_contained: bool,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub size: u64,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub entries: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "CopyReply"))]
#[serde(rename_all = "camelCase")]
pub struct Copy {
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub entries: u64,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub bytes: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "DiffReply"))]
#[serde(rename_all = "camelCase")]
pub struct Diff {
    pub diff_id: String,
    /// Bytes of the plain tar.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub plain_size: u64,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub entries: u64,
    /// The blob, when there was an `output`.
    pub blob: Option<Blob>,
    /// The name that the snapshot has now.
    pub snapshot: String,
    /// Where forbidden values were found; then there is no blob, and the snapshot is not finished.
    pub found: Vec<Found>,
}

/// A forbidden value in a layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// Absolute path in the image; control characters escaped.
    pub path: String,
    /// Id of the secret.
    pub secret: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Blob {
    pub digest: String,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub size: u64,
    pub codec: Codec,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "ChecksumReply"))]
#[serde(rename_all = "camelCase")]
pub struct Checksum {
    /// `blake3:…`, one for each pattern, in their order; `None` where a pattern matched nothing.
    pub digests: Vec<Option<String>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "UnpackReply"))]
#[serde(rename_all = "camelCase")]
pub struct Unpack {
    /// False when the file is no archive, and nothing was done.
    pub is_archive: bool,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub entries: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "RemoveReply"))]
#[serde(rename_all = "camelCase")]
pub struct Remove {
    /// Names of what was removed.
    pub removed: Vec<String>,
    /// What could not be removed, as sentences; never fatal.
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "UsageReply"))]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    pub snapshots: Vec<SnapshotUsage>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct SnapshotUsage {
    pub name: String,
    /// On disk, directories included.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub bytes: u64,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub inodes: u64,
    /// Lengths of all that is no directory.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub content: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Volumes {
    pub volumes: Vec<VolumeState>,
    /// What could not be removed, as sentences; never fatal.
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct VolumeState {
    pub name: String,
    /// What the engine gave when it was made.
    pub record: String,
    /// Absolute path of its content on the host.
    pub data: String,
    /// Bytes on disk, when they were asked for.
    #[cfg_attr(feature = "ts", ts(type = "number | null"))]
    pub bytes: Option<u64>,
}

/// How a process ended, or, detached, that it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Ended {
    /// The exit code, 128 + n for signal n; `None` while it runs.
    pub exit_code: Option<i32>,
    pub signal: Option<String>,
    pub oom_killed: bool,
    /// Peak memory of the container in bytes: of its cgroup where there is one, else of its largest process.
    #[cfg_attr(feature = "ts", ts(type = "number | null"))]
    pub memory_peak: Option<u64>,
    /// `cgroup` or `rusage`.
    pub memory_source: Option<String>,
    #[cfg_attr(feature = "ts", ts(type = "number | null"))]
    pub cpu_microseconds: Option<u64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct States {
    pub containers: Vec<ContainerState>,
}

/// What is written in `containers/<id>/state.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct ContainerState {
    pub id: String,
    /// `created`, `running`, `paused`, `restarting`, `exited` or `dead` (the monitor vanished).
    pub status: String,
    pub process: Option<ProcessId>,
    pub monitor: Option<ProcessId>,
    /// RFC 3339, UTC, nanoseconds.
    pub created_at: String,
    pub started_at: Option<String>,
    pub finished_at: Option<String>,
    pub ended: Option<Ended>,
    pub ports: Vec<PublishedPort>,
    /// How often the monitor has started the process again.
    #[serde(default)]
    pub restarts: u32,
    /// Why the last start failed.
    #[serde(default)]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub error: Option<String>,
    /// Where there is a health check.
    #[serde(default)]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub health: Option<HealthState>,
    /// What the engine gave as `record`.
    pub record: String,
}

/// What the health check has found out; written in `containers/<id>/health.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct HealthState {
    /// `starting`, `healthy` or `unhealthy`.
    pub status: String,
    pub failing_streak: u32,
    /// The last five results, oldest first.
    pub log: Vec<HealthResult>,
}

/// One check.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct HealthResult {
    /// RFC 3339.
    pub start: String,
    pub end: String,
    /// -1 when it could not run, or did not end in time.
    pub exit_code: i32,
    /// Its output, cut after 4096 bytes.
    pub output: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "UpdateReply"))]
#[serde(rename_all = "camelCase")]
pub struct Update {
    /// What could not be done to the running container, as sentences.
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "StatsReply"))]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Processor time of the whole machine so far, in microseconds.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub system_microseconds: u64,
    pub processors: u32,
    /// Bytes of memory of the machine.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub memory_total: u64,
    pub containers: Vec<ContainerStats>,
}

/// What one container uses. What nothing here counts is `None`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct ContainerStats {
    pub id: String,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub cpu_microseconds: u64,
    /// Without what the kernel could drop at once.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub memory: u64,
    #[cfg_attr(feature = "ts", ts(type = "number | null"))]
    pub memory_limit: Option<u64>,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub processes: u64,
    /// Bytes received and sent; `None` on the host's network.
    #[cfg_attr(feature = "ts", ts(type = "[number, number] | null"))]
    pub network: Option<(u64, u64)>,
    /// Bytes read and written.
    #[cfg_attr(feature = "ts", ts(type = "[number, number] | null"))]
    pub block: Option<(u64, u64)>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "ProcessesReply"))]
#[serde(rename_all = "camelCase")]
pub struct Processes {
    pub pids: Vec<i32>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "KillReply"))]
#[serde(rename_all = "camelCase")]
pub struct Kill {
    /// The end of the container, when it was waited for.
    pub ended: Option<Ended>,
    /// SIGKILL was needed.
    pub forced: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "ExportReply"))]
#[serde(rename_all = "camelCase")]
pub struct Export {
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub entries: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(rename = "ExtractReply"))]
#[serde(rename_all = "camelCase")]
pub struct Extract {
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub entries: u64,
}
