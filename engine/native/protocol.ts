// Generated from native/wire by `npm run generate`; do not edit.
// prettier-ignore-start
export const PROTOCOL_VERSION = 1;
export const MAX_FRAME = 16777216;
export const FRAME = { end: 0, request: 1, data: 2, secret: 3, control: 4, errorData: 5 } as const;
export type Request = { 
/**
 * [`crate::PROTOCOL_VERSION`] of the sender.
 */
version: number, store: StoreLocation, idMap: IdMap, operation: Operation, };
export type StoreLocation = { 
/**
 * Absolute path of the store root on the host.
 */
root: string, uid: number, gid: number, };
export type IdMap = { "kind": "root" } | { "kind": "sub", firstUid: number, uidCount: number, firstGid: number, gidCount: number, newuidmap: string, newgidmap: string, } | { "kind": "full", uidCount: number, gidCount: number, };
export type Operation = { "op": "probe", "args": ProbeArgs } | { "op": "lock", "args": LockArgs } | { "op": "apply", "args": ApplyArgs } | { "op": "prepare", "args": PrepareArgs } | { "op": "copy", "args": CopyArgs } | { "op": "copy-layer", "args": CopyLayerArgs } | { "op": "diff", "args": DiffArgs } | { "op": "checksum", "args": ChecksumArgs } | { "op": "contents", "args": ContentsArgs } | { "op": "read-file", "args": ReadFileArgs } | { "op": "read-files", "args": ReadFilesArgs } | { "op": "look", "args": LookArgs } | { "op": "unpack", "args": UnpackArgs } | { "op": "remove", "args": RemoveArgs } | { "op": "usage", "args": UsageArgs } | { "op": "export", "args": ExportArgs } | { "op": "changes", "args": ChangesArgs } | { "op": "extract", "args": ExtractArgs } | { "op": "volume", "args": VolumeArgs } | { "op": "copy-out", "args": CopyOutArgs } | { "op": "copy-in", "args": CopyInArgs } | { "op": "start", "args": StartArgs } | { "op": "exec", "args": ExecArgs } | { "op": "state", "args": StateArgs } | { "op": "kill", "args": KillArgs } | { "op": "logs", "args": LogsArgs } | { "op": "network", "args": NetworkArgs } | { "op": "create", "args": StartArgs } | { "op": "resume", "args": ResumeArgs } | { "op": "attach", "args": AttachArgs } | { "op": "pause", "args": PauseArgs } | { "op": "update", "args": UpdateArgs } | { "op": "stats", "args": StatsArgs } | { "op": "processes", "args": ProcessesArgs } | { "op": "events", "args": EventsArgs } | { "op": "announce", "args": AnnounceArgs } | { "op": "keyring", "args": KeyringArgs };
export type ProbeArgs = { 
/**
 * The ranges to try rung `userns` with, found by the engine in `/etc/subuid` and `/etc/subgid`.
 */
sub: IdMap | null, };
export type LockArgs = Record<string, never>;
export type Codec = "none" | "gzip" | "zstd";
export type ApplyArgs = { 
/**
 * Path of the blob, relative to the store root.
 */
blob: string, codec: Codec, 
/**
 * `sha256:…` of the plain tar; another result is `Invalid`.
 */
diffId: string, chainId: string, 
/**
 * Names of the snapshots below, topmost first.
 */
lowers: Array<string>, 
/**
 * Bytes of plain tar after which the layer is refused.
 */
maxBytes: number, maxEntries: number, 
/**
 * The tree becomes the folder of this name below `cache-mounts/<idmap>/` instead of a snapshot; one that is there already stays as it is.
 */
cacheMount?: string, };
export type PrepareArgs = { name: string, lowers: Array<string>, };
export type Owner = { uid: number, gid: number, };
export type Timestamp = { seconds: number, };
export type CopyArgs = { name: string, lowers: Array<string>, actions: Array<CopyAction>, };
export type CopyLayerArgs = { lowers: Array<string>, actions: Array<CopyAction>, 
/**
 * Ids of the `Secret` frames whose values the layer must not hold. Where it does, the reply says where, and there is no layer.
 */
forbidden?: Array<string>, 
/**
 * The blob to make on the way; there is none of a layer without entries.
 */
blob?: WantedBlob, };
export type CopyAction = { "kind": "mkdir", path: string, mode: number, owner: Owner | null, created: Timestamp | null, } | { "kind": "copy", source: CopySource, 
/**
 * Absolute path in the image.
 */
dest: string, 
/**
 * `dest` ends in a slash, or there are several sources: every source goes below it.
 */
destIsDirectory: boolean, 
/**
 * `None` keeps the owner of the source (a stage); a context is copied as 0:0.
 */
owner: Owner | null, 
/**
 * Permission bits to set on files and directories.
 */
mode: number | null, 
/**
 * Changes of permission bits, one after the other; on top of `mode`, else of the source's own.
 */
modeChanges: Array<ModeChange>, 
/**
 * Time of directories that the copy creates itself (parents of `dest`).
 */
created: Timestamp | null, } | { "kind": "write", path: string, content: string, mode: number, owner: Owner, created: Timestamp | null, };
export type CopySource = { "from": "context", hostPath: string, listBytes: number, } | { "from": "snapshots", snapshots: Array<string>, patterns: Array<string>, filter: TreeFilter, } | { "from": "inline", name: string, mode: number, contentBytes: number, };
export type TreeFilter = { 
/**
 * For each source pattern: only what this matches, with the directories that lead there; empty takes all.
 */
include: Array<string>, 
/**
 * Nothing that these match; a file that is a source itself is matched by its name.
 */
exclude: Array<string>, };
export type ModeChange = { 
/**
 * Bits to take away.
 */
clear: number, 
/**
 * Bits to give.
 */
set: number, 
/**
 * Bits to give to directories, and to files that somebody may execute before the first change.
 */
setIfExecutable: number, 
/**
 * Bits of one class for others, as they were before `clear`.
 */
copy: ModeCopy | null, };
export type ModeCopy = { from: ModeClass, 
/**
 * Mask of the bits that may change.
 */
to: number, 
/**
 * Take them away instead.
 */
remove: boolean, };
export type ModeClass = "user" | "group" | "other";
export type WantedBlob = { 
/**
 * Path below the store root, exclusively created.
 */
output: string, codec: Codec, level: number, 
/**
 * Files that do not shrink are stored as plain tar.
 */
mayBePlain: boolean, };
export type DiffArgs = { snapshot: string, lowers: Array<string>, 
/**
 * Where the blob goes, relative to the store root, created exclusively; `None` computes digests only.
 */
output: string | null, codec: Codec, level: number, 
/**
 * Where samples of the files say that compressing gains nothing, the blob is the plain tar; the reply says so.
 */
mayBePlain?: boolean, 
/**
 * Times in the tar after this one are set to it (SOURCE_DATE_EPOCH with rewrite-timestamp).
 */
clamp: Timestamp | null, 
/**
 * False when the snapshot is finished already (a blob is made again): nothing is removed or renamed.
 */
finish: boolean, 
/**
 * The container whose upper snapshot it is: mount targets that were made for it are left out.
 */
container: string | null, 
/**
 * Ids of the `Secret` frames whose values the layer must not hold. Where it does, the reply says where, and the snapshot stays as it is.
 */
forbidden?: Array<string>, 
/**
 * `snapshot` is a folder below `cache-mounts/<idmap>/` instead; nothing lies below it, and it is never finished.
 */
cacheMount?: boolean, };
export type ChecksumArgs = { snapshots: Array<string>, patterns: Array<string>, filter: TreeFilter, };
export type ContentsArgs = { hostPath: string, 
/**
 * Bytes of the list.
 */
listBytes: number, };
export type ReadFileArgs = { snapshots: Array<string>, path: string, maxBytes: number, 
/**
 * Of a larger file its first `max_bytes`; otherwise that is `Invalid`.
 */
prefix?: boolean, };
export type ReadFilesArgs = { snapshots: Array<string>, paths: Array<string>, 
/**
 * Of each file; a larger one is `Invalid`.
 */
maxBytes: number, };
export type LookArgs = { snapshots: Array<string>, paths: Array<string>, 
/**
 * Look at what a link at the end of a path leads to.
 */
follow: boolean, 
/**
 * Also give the names in directories.
 */
list: boolean, };
export type UnpackArgs = { 
/**
 * Path of the file, relative to the store root.
 */
archive: string, 
/**
 * An empty folder, relative to the store root.
 */
folder: string, };
export type RemoveArgs = { snapshots: Array<string>, containers: Array<string>, force: boolean, 
/**
 * Also every `.part-` folder and every random upper that no container or live process uses.
 */
garbage: boolean, 
/**
 * Folders below `cache-mounts/<idmap>/`.
 */
cacheMounts?: Array<string>, };
export type UsageArgs = { names: Array<string>, 
/**
 * Walk and add up the bytes; else only names are given.
 */
measure: boolean, 
/**
 * Of the folders below `cache-mounts/<idmap>/` instead.
 */
cacheMounts?: boolean, };
export type ExportArgs = { snapshots: Array<string>, 
/**
 * Times in the tar after this one are set to it.
 */
clamp: Timestamp | null, };
export type ChangesArgs = { snapshot: string, lowers: Array<string>, 
/**
 * The container whose upper snapshot it is: mount targets that were made for it are left out.
 */
container: string | null, };
export type ExtractArgs = { hostPath: string, };
export type VolumeArgs = { action: VolumeAction, };
export type VolumeAction = { "kind": "create", name: string, record: string, } | { "kind": "fill", name: string, snapshots: Array<string>, path: string, } | { "kind": "remove", names: Array<string>, } | { "kind": "list", measure: boolean, };
export type Tree = { "on": "host" } | { "on": "container", container: string, };
export type CopyOutArgs = { tree: Tree, 
/**
 * Absolute.
 */
path: string, 
/**
 * Send what a link leads to instead of the link.
 */
follow: boolean, };
export type CopyInArgs = { tree: Tree, 
/**
 * Absolute; a trailing slash asks for a directory.
 */
path: string, 
/**
 * `path` must be a directory, and entries go into it under their own names.
 */
into: boolean, keepOwner: boolean, };
export type Rootfs = { 
/**
 * Snapshots, topmost first.
 */
lowers: Array<string>, 
/**
 * The snapshot that takes writes; it is made when it is not there.
 */
upper: string, };
export type StartArgs = { 
/**
 * `[A-Za-z0-9]+`; the folder below `containers/`.
 */
container: string, config: Spec, rootfs: Rootfs, detach: boolean, 
/**
 * Keep `containers/<id>` after the end: logs, state and upper.
 */
keep: boolean, 
/**
 * Give the process a pipe as standard input, fed by `Data`; else `/dev/null`.
 */
stdin: boolean, 
/**
 * Write `containers/<id>/log.json` in Docker's json-file form.
 */
log: boolean, network: Network, 
/**
 * Files to bind into the container, by destination: hosts, resolv.conf, hostname.
 */
files: Array<BoundFile>, 
/**
 * Run a minimal init as process 1 that forwards signals and reaps.
 */
init: boolean, 
/**
 * Text that the engine wants back from `State`, stored as it is (at most 1 MiB).
 */
record: string, stopSignal: string, 
/**
 * A process whose end is the container's end: pid and start time in clock ticks.
 */
owner: ProcessId | null, 
/**
 * Mounts of a RUN, made in this order after those of the configuration; only of a process that is attached and not kept.
 */
mounts?: Array<BuildMount>, 
/**
 * Variables whose values are secrets, and are in no file of the container.
 */
secretEnv?: Array<SecretVariable>, 
/**
 * What the monitor keeps to beyond one run of the process. A step of a build has none: it cannot be joined, and no event tells of it.
 */
life?: Life, 
/**
 * Keep a container whose first start fails as one that was made, with the reason; only one that is kept.
 */
keepFailed?: boolean, };
export type Life = { restart: Restart, health: Health | null, logLimits: LogLimits, 
/**
 * The input of the first caller is the process's: its end closes it. Else the input stays open for others.
 */
stdinOnce: boolean, 
/**
 * What events say of the container beside its id: `image`, `name`, labels.
 */
attributes: { [key in string]?: string }, 
/**
 * Namespaces of another container that this one lives in.
 */
joins: Array<Join>, };
export type Restart = { policy: RestartPolicy, 
/**
 * With `on-failure`: how often at most; 0 is no bound.
 */
maxRetries: number, };
export type RestartPolicy = "no" | "on-failure" | "always" | "unless-stopped";
export type Health = { args: Array<string>, interval: number, timeout: number, startPeriod: number, 
/**
 * Between checks in the start period, as long as none has succeeded.
 */
startInterval: number, 
/**
 * Failures in a row that make the container unhealthy.
 */
retries: number, };
export type LogLimits = { 
/**
 * Bytes of one file.
 */
maxSize: number, 
/**
 * Files, the newest one included.
 */
maxFiles: number, };
export type Join = { 
/**
 * `ipc` (with its `/dev/shm`), `network` (with its `/etc/hosts` and `/etc/resolv.conf`) or `pid`.
 */
namespace: string, container: string, };
export type ProcessId = { pid: number, 
/**
 * Field 22 of `/proc/<pid>/stat`.
 */
startTime: number, };
export type BoundFile = { destination: string, content: string, mode: number, };
export type BuildMount = { 
/**
 * Absolute path in the container.
 */
destination: string, readonly: boolean, source: BuildSource, };
export type BuildSource = { "kind": "snapshots", snapshots: Array<string>, upper: string | null, path: string, } | { "kind": "cache", name: string, path: string, initial: string | null, 
/**
 * Mode and owner of the folder when it is made.
 */
mode: number | null, owner: Owner | null, } | { "kind": "tmpfs", size: number | null, } | { "kind": "secret", id: string, mode: number, owner: Owner, } | { "kind": "socket", name: string, mode: number, owner: Owner, } | { "kind": "file", content: string, mode: number, };
export type SecretVariable = { name: string, 
/**
 * Id of a `Secret` frame.
 */
secret: string, };
export type Network = { "mode": "host" } | { "mode": "none" } | { "mode": "joined" } | { "mode": "private", address: string, ports: Array<PublishedPort>, 
/**
 * Only in a user namespace.
 */
wayOut?: WayOut, } | { "mode": "bridge", endpoints: Array<Endpoint>, ports: Array<PublishedPort>, dns: Resolver, } | { "mode": "step", network: BridgeNetwork, dns: Resolver, };
export type WayOut = { 
/**
 * Absolute path of passt's `pasta`.
 */
pasta: string, dns: Resolver, };
export type WaysOut = { ipv4: string | null, ipv6: string | null, };
export type BridgeSubnet = { 
/**
 * As `fd00:1::/64`.
 */
subnet: string, 
/**
 * The bridge's address, in the subnet.
 */
gateway: string, };
export type BridgeTrait = "noMasquerade" | "noNeighbours" | "noHost";
export type EndpointIpv6 = { 
/**
 * In the subnet.
 */
address: string, 
/**
 * The way out of the container for IPv6 leads over this one.
 */
defaultRoute: boolean, };
export type Link = { alias: string, 
/**
 * Any name by which others find it.
 */
name: string, };
export type BridgeNetwork = { 
/**
 * 64 hex digits; the folder below `networks/`. Bridge and rules are named by it.
 */
id: string, name: string, 
/**
 * IPv4, as `172.24.0.0/20`.
 */
subnet: string, 
/**
 * The bridge's address, in the subnet.
 */
gateway: string, 
/**
 * Nothing of it is forwarded to other networks.
 */
internal: boolean, mtu: number, 
/**
 * Where its containers have addresses of IPv6 as well.
 */
ipv6?: BridgeSubnet, 
/**
 * Name of the bridge; made of the id when it is left out.
 */
bridge?: string, 
/**
 * What sets it apart from a usual network.
 */
traits?: Array<BridgeTrait>, 
/**
 * The part of the subnet from which steps of builds get their addresses, as `172.24.12.0/22`. Steps do not reach each other.
 */
steps?: string, };
export type Endpoint = { network: BridgeNetwork, 
/**
 * IPv4, in the subnet.
 */
address: string, 
/**
 * `02:42:ac:18:00:02`.
 */
mac: string, 
/**
 * `eth0`, `eth1` …
 */
interface: string, 
/**
 * By which others on the network find it; empty on a network without names.
 */
names: Array<string>, 
/**
 * The way out of the container leads over this one.
 */
defaultRoute: boolean, 
/**
 * On a network with IPv6.
 */
ipv6?: EndpointIpv6, 
/**
 * Further addresses: of 169.254.0.0/16 or fe80::/10.
 */
linkLocal?: Array<string>, 
/**
 * Names by which this container alone finds others on the network.
 */
links?: Array<Link>, 
/**
 * Parameters of the interface, which stands as `IFNAME` in their names: `net.ipv4.conf.IFNAME.forwarding`.
 */
sysctls?: { [key in string]?: string }, };
export type Resolver = { 
/**
 * IP addresses of the resolvers that are asked for all other names, from the host's namespace.
 */
upstreams: Array<string>, };
export type NetworkArgs = { "act": "connect", container: string, endpoint: Endpoint, } | { "act": "disconnect", container: string, network: string, 
/**
 * What leads out from now on; the first network that does when it is left out.
 */
waysOut?: WaysOut, } | { "act": "names", container: string, network: string, names: Array<string>, } | { "act": "sweep" } | { "act": "retire" };
export type PublishedPort = { 
/**
 * An IP address; empty listens on `0.0.0.0` and, where there is IPv6, on `::`.
 */
hostAddress: string, 
/**
 * 0 lets the kernel choose; the event `Listening` tells which.
 */
hostPort: number, 
/**
 * Any free port from `host_port` to this one.
 */
hostPortLast?: number, containerPort: number, protocol: Protocol, };
export type Protocol = "tcp" | "udp";
export type ExecArgs = { container: string, process: Process, 
/**
 * The filter of the container, as in its configuration.
 */
seccomp: Seccomp | null, stdin: boolean, detach: boolean, };
export type StateArgs = { containers: Array<string>, };
export type KillArgs = { container: string, 
/**
 * `SIGTERM`, `TERM` or a number; empty only waits.
 */
signal: string, waitSeconds: number | null, 
/**
 * The container is meant to end: it is thawed, and its restart policy no longer counts.
 */
last: boolean, };
export type LogsArgs = { container: string, follow: boolean, };
export type ResumeArgs = { container: string, 
/**
 * Output goes to the engine, as with an attached `Start`; else the reply comes when the process runs.
 */
attach: boolean, owner: ProcessId | null, };
export type AttachArgs = { container: string, };
export type PauseArgs = { container: string, frozen: boolean, };
export type UpdateArgs = { container: string, 
/**
 * All limits, those that stay as they were included.
 */
resources: Resources | null, restart: Restart | null, record: string | null, attributes: { [key in string]?: string } | null, 
/**
 * All bound files, in their order. A running container sees new lines at once; what its processes have written there stays.
 */
files: Array<BoundFile> | null, 
/**
 * The word of the event that tells of it: `update` or `rename`.
 */
event: string | null, };
export type StatsArgs = { containers: Array<string>, };
export type ProcessesArgs = { container: string, };
export type EventsArgs = { follow: boolean, };
export type AnnounceArgs = { 
/**
 * `container`, `image`, `volume`, `network`.
 */
kind: string, action: string, id: string, attributes: { [key in string]?: string }, };
export type KeyringAct = "store" | "read" | "erase";
export type KeyringArgs = { act: KeyringAct, 
/**
 * What the key is for; `berth:` stands before it in the keyring.
 */
name: string, };
export type Control = { "control": "acquire", name: string, exclusive: boolean, wait: boolean, } | { "control": "release", name: string, } | { "control": "signal", signal: string, } | { "control": "stop", signal: string, seconds: number, } | { "control": "resize", rows: number, columns: number, } | { "control": "closeStdin" } | { "control": "detach" };
export type Code = "request" | "not-found" | "conflict" | "not-permitted" | "unsupported" | "invalid" | "attack" | "no-space" | "command-not-found" | "command-not-executable" | "cancelled" | "system";
export type Failure = { code: Code, 
/**
 * The step that failed, in the words of the man page: `mount overlay`, `openat2`.
 */
step: string, 
/**
 * The name of the error number, such as `EPERM`.
 */
errno?: string, 
/**
 * The path, entry, snapshot or container that it happened to; control characters escaped.
 */
subject?: string, 
/**
 * What to do next, as a sentence.
 */
hint?: string, 
/**
 * The state that stood in the way: `parent is a symbolic link`.
 */
message: string, };
export type Event = { "type": "progress", current: number, total: number | null, } | { "type": "warning", message: string, } | { "type": "locked", name: string, } | { "type": "busy", name: string, } | { "type": "released", name: string, } | { "type": "started", pid: number, } | { "type": "listening", hostAddress: string, hostPort: number, containerPort: number, protocol: Protocol, };
export type Line = { "event": Event } | { "reply": Reply } | { "failure": Failure };
export type Reply = { "op": "probe", "result": ProbeReply } | { "op": "lock" } | { "op": "apply", "result": ApplyReply } | { "op": "prepare" } | { "op": "copy", "result": CopyReply } | { "op": "copy-layer", "result": DiffReply } | { "op": "diff", "result": DiffReply } | { "op": "checksum", "result": ChecksumReply } | { "op": "contents" } | { "op": "read-file" } | { "op": "read-files", "result": ReadFilesReply } | { "op": "look", "result": LookReply } | { "op": "unpack", "result": UnpackReply } | { "op": "remove", "result": RemoveReply } | { "op": "usage", "result": UsageReply } | { "op": "export", "result": ExportReply } | { "op": "changes" } | { "op": "extract", "result": ExtractReply } | { "op": "volume", "result": Volumes } | { "op": "copy-out", "result": CopyReply } | { "op": "copy-in", "result": CopyReply } | { "op": "start", "result": Ended } | { "op": "exec", "result": Ended } | { "op": "state", "result": States } | { "op": "kill", "result": KillReply } | { "op": "logs" } | { "op": "network" } | { "op": "create" } | { "op": "resume", "result": Ended } | { "op": "attach", "result": Ended } | { "op": "pause" } | { "op": "update", "result": UpdateReply } | { "op": "stats", "result": StatsReply } | { "op": "processes", "result": ProcessesReply } | { "op": "events" } | { "op": "announce" } | { "op": "keyring", "result": KeyringReply };
export type KeyringReply = { found: boolean, };
export type ProbeReply = { protocol: number, kernel: string, uid: number, rungs: Array<Rung>, cgroup: Cgroup, seccomp: boolean, 
/**
 * File system of the store root: `ext4`, `overlay`, `tmpfs` …
 */
fileSystem: string, network: NetworkProbe, 
/**
 * Containers in a user namespace have a /proc of their own. Else they see that of this machine: where a part of it is hidden, as in a pod,
 * the kernel lets nobody mount another.
 */
ownProc: boolean, };
export type NetworkProbe = { 
/**
 * Bridges, veth pairs and packet rules can be made, and packets are forwarded.
 */
bridge: boolean, 
/**
 * What stood in the way.
 */
reason: string | null, hint: string | null, };
export type Rung = { name: RungName, possible: boolean, 
/**
 * What stood in the way: the step and the error number.
 */
reason: string | null, 
/**
 * The switch that would help.
 */
hint: string | null, idMap: IdMap | null, 
/**
 * All of it would be possible, but that the kernel takes no device rules of containers.
 */
lacksDeviceRules: boolean, };
export type RungName = "root" | "userns-full" | "userns" | "userns-single" | "chroot";
export type Cgroup = { 
/**
 * `v2`, `v1`, `hybrid` or `none`.
 */
mode: string, 
/**
 * Controllers in which this user can make groups.
 */
controllers: Array<string>, 
/**
 * What keeps containers of rung `root` to their devices. Left out where that rung is not possible.
 */
devices?: DeviceKeeper, };
export type DeviceKeeper = "rules" | "nodes";
export type ApplyReply = { 
/**
 * The name that the snapshot got.
 */
snapshot: string, selfContained: boolean, size: number, entries: number, };
export type CopyReply = { entries: number, bytes: number, };
export type DiffReply = { diffId: string, 
/**
 * Bytes of the plain tar.
 */
plainSize: number, entries: number, 
/**
 * The blob, when there was an `output`.
 */
blob: Blob | null, 
/**
 * The name that the snapshot has now.
 */
snapshot: string, 
/**
 * Where forbidden values were found; then there is no blob, and the snapshot is not finished.
 */
found: Array<Found>, };
export type Blob = { digest: string, size: number, codec: Codec, };
export type Found = { 
/**
 * Absolute path in the image; control characters escaped.
 */
path: string, 
/**
 * Id of the secret.
 */
secret: string, };
export type ChecksumReply = { 
/**
 * `blake3:…`, one for each pattern, in their order; `None` where a pattern matched nothing.
 */
digests: Array<string | null>, };
export type ReadFilesReply = { sizes: Array<number | null>, };
export type LookReply = { found: Array<Looked | null>, };
export type Looked = { 
/**
 * Absolute, with the links on the way resolved.
 */
path: string, kind: LookedKind, 
/**
 * Permission bits with set-id and sticky bits.
 */
mode: number, uid: number, gid: number, size: number, 
/**
 * Of a link.
 */
target: string | null, 
/**
 * Of a directory, where they were asked for; sorted by their bytes.
 */
names: Array<string> | null, };
export type LookedKind = "file" | "directory" | "link" | "character-device" | "block-device" | "fifo" | "socket";
export type UnpackReply = { 
/**
 * False when the file is no archive, and nothing was done.
 */
isArchive: boolean, entries: number, };
export type RemoveReply = { 
/**
 * Names of what was removed.
 */
removed: Array<string>, 
/**
 * What could not be removed, as sentences; never fatal.
 */
warnings: Array<string>, };
export type UsageReply = { snapshots: Array<SnapshotUsage>, };
export type SnapshotUsage = { name: string, 
/**
 * On disk, directories included.
 */
bytes: number, inodes: number, 
/**
 * Lengths of all that is no directory.
 */
content: number, };
export type ExportReply = { entries: number, };
export type ExtractReply = { entries: number, };
export type Volumes = { volumes: Array<VolumeState>, 
/**
 * What could not be removed, as sentences; never fatal.
 */
warnings: Array<string>, };
export type VolumeState = { name: string, 
/**
 * What the engine gave when it was made.
 */
record: string, 
/**
 * Absolute path of its content on the host.
 */
data: string, 
/**
 * Bytes on disk, when they were asked for.
 */
bytes: number | null, };
export type Ended = { 
/**
 * The exit code, 128 + n for signal n; `None` while it runs.
 */
exitCode: number | null, signal: string | null, oomKilled: boolean, 
/**
 * Peak memory of the container in bytes: of its cgroup where there is one, else of its largest process.
 */
memoryPeak: number | null, 
/**
 * `cgroup` or `rusage`.
 */
memorySource: string | null, cpuMicroseconds: number | null, };
export type States = { containers: Array<ContainerState>, };
export type ContainerState = { id: string, 
/**
 * `created`, `running`, `paused`, `restarting`, `exited` or `dead` (the monitor vanished).
 */
status: string, process: ProcessId | null, monitor: ProcessId | null, 
/**
 * RFC 3339, UTC, nanoseconds.
 */
createdAt: string, startedAt: string | null, finishedAt: string | null, ended: Ended | null, ports: Array<PublishedPort>, 
/**
 * How often the monitor has started the process again.
 */
restarts: number, 
/**
 * Why the last start failed.
 */
error?: string, 
/**
 * Where there is a health check.
 */
health?: HealthState, 
/**
 * What the engine gave as `record`.
 */
record: string, };
export type HealthState = { 
/**
 * `starting`, `healthy` or `unhealthy`.
 */
status: string, failingStreak: number, 
/**
 * The last five results, oldest first.
 */
log: Array<HealthResult>, };
export type HealthResult = { 
/**
 * RFC 3339.
 */
start: string, end: string, 
/**
 * -1 when it could not run, or did not end in time.
 */
exitCode: number, 
/**
 * Its output, cut after 4096 bytes.
 */
output: string, };
export type UpdateReply = { 
/**
 * What could not be done to the running container, as sentences.
 */
warnings: Array<string>, };
export type StatsReply = { 
/**
 * Processor time of the whole machine so far, in microseconds.
 */
systemMicroseconds: number, processors: number, 
/**
 * Bytes of memory of the machine.
 */
memoryTotal: number, containers: Array<ContainerStats>, };
export type ContainerStats = { id: string, cpuMicroseconds: number, 
/**
 * Without what the kernel could drop at once.
 */
memory: number, memoryLimit: number | null, processes: number, 
/**
 * Bytes received and sent; `None` on the host's network.
 */
network: [number, number] | null, 
/**
 * Bytes read and written.
 */
block: [number, number] | null, };
export type ProcessesReply = { pids: Array<number>, };
export type KillReply = { 
/**
 * The end of the container, when it was waited for.
 */
ended: Ended | null, 
/**
 * SIGKILL was needed.
 */
forced: boolean, };
export type Spec = { ociVersion: string, process: Process, root: Root, hostname?: string, mounts: Array<Mount>, linux: Linux, annotations: { [key in string]?: string }, };
export type Root = { 
/**
 * Ignored for our own containers (the recipe is mounted); a path for `oci` commands.
 */
path: string, readonly: boolean, };
export type Process = { terminal: boolean, consoleSize?: ConsoleSize, user: User, args: Array<string>, env: Array<string>, cwd: string, capabilities?: Capabilities, rlimits: Array<Rlimit>, noNewPrivileges: boolean, oomScoreAdj?: number, apparmorProfile?: string, selinuxLabel?: string, };
export type ConsoleSize = { height: number, width: number, };
export type User = { uid: number, gid: number, umask?: number, additionalGids: Array<number>, };
export type Capabilities = { bounding: Array<string>, effective: Array<string>, inheritable: Array<string>, permitted: Array<string>, ambient: Array<string>, };
export type Rlimit = { type: string, soft: number, hard: number, };
export type Mount = { destination: string, type?: string, source?: string, options: Array<string>, };
export type Linux = { namespaces: Array<Namespace>, devices: Array<Device>, cgroupsPath?: string, resources?: Resources, seccomp?: Seccomp, maskedPaths: Array<string>, readonlyPaths: Array<string>, mountLabel?: string, rootfsPropagation?: string, sysctl: { [key in string]?: string }, };
export type Namespace = { 
/**
 * `mount`, `pid`, `ipc`, `uts`, `cgroup`, `network`, `user`, `time`.
 */
type: string, path?: string, };
export type Device = { path: string, 
/**
 * `c`, `b`, `u` or `p`.
 */
type: string, major: number, minor: number, fileMode?: number, uid?: number, gid?: number, };
export type Resources = { 
/**
 * Which devices may be used; `None` leaves all to the nodes that there are.
 */
devices?: Array<DeviceRule>, pids?: Pids, memory?: Memory, cpu?: Cpu, blockIO?: BlockIo, };
export type DeviceRule = { allow: boolean, 
/**
 * `a`, `c` or `b`; all when left out.
 */
type?: string, major?: number, minor?: number, 
/**
 * Some of `r`, `w`, `m`; all when left out.
 */
access?: string, };
export type Pids = { limit: number, };
export type Memory = { limit?: number, swap?: number, 
/**
 * What is left when memory of the machine is short.
 */
reservation?: number, 
/**
 * 0 to 100; cgroup v1 alone has it.
 */
swappiness?: number, disableOOMKiller?: boolean, };
export type Cpu = { shares?: number, quota?: number, period?: number, 
/**
 * Processors, as `0-2,4`.
 */
cpus?: string, 
/**
 * Memory nodes.
 */
mems?: string, };
export type BlockIo = { 
/**
 * 10 to 1000.
 */
weight?: number, weightDevice: Array<WeightDevice>, throttleReadBpsDevice: Array<ThrottleDevice>, throttleWriteBpsDevice: Array<ThrottleDevice>, throttleReadIOPSDevice: Array<ThrottleDevice>, throttleWriteIOPSDevice: Array<ThrottleDevice>, };
export type WeightDevice = { major: number, minor: number, weight: number, };
export type ThrottleDevice = { major: number, minor: number, rate: number, };
export type Seccomp = { defaultAction: string, defaultErrnoRet?: number, 
/**
 * Empty means the native one only.
 */
architectures: Array<string>, flags: Array<string>, syscalls: Array<SyscallRule>, };
export type SyscallRule = { names: Array<string>, action: string, errnoRet?: number, args: Array<SyscallArgument>, };
export type SyscallArgument = { index: number, 
/**
 * In our own profiles below 2^53; a larger one must be sent as a raw number.
 */
value: number, valueTwo: number, op: string, };
// prettier-ignore-end
