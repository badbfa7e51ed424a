//! What is possible here: each rung is tried in a child that is thrown away, on the store's own file system.

use crate::context::Context;
use crate::fail::{failed, failed_on};
use crate::idmap;
use berth_jail::overlay::{self, Layers, Upper};
use berth_sys::process::{self, Forked, Namespaces};
use berth_wire::reply::{Cgroup, DeviceKeeper, Rung, RungName};
use berth_wire::request::{IdMap, Probe};
use berth_wire::{Code, Failure, Reply, reply};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::mount::MountPropagationFlags;
use rustix::pipe::PipeFlags;

pub(crate) fn run(context: &Context, args: &Probe) -> Result<Reply, Failure> {
    let layout = berth_cgroup::Layout::detect();
    let devices = berth_cgroup::device::rehearse(&layout);
    let (rungs, own_proc) = rungs(context, args, devices.as_ref().err());
    let network = network(&rungs);
    let devices = devices.ok().filter(|_| has_root(&rungs)).map(keeper);
    Ok(Reply::Probe(reply::Probe {
        protocol: berth_wire::PROTOCOL_VERSION,
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        uid: rustix::process::geteuid().as_raw(),
        rungs,
        cgroup: Cgroup {
            mode: layout.mode().name().to_owned(),
            controllers: layout.writable(),
            devices,
        },
        seccomp: berth_sys::seccomp::available(),
        file_system: file_system(context)?,
        network,
        own_proc,
    }))
}

/// All rungs, and whether containers on those with a user namespace have a /proc of their own. `devices`: why no container of root could be kept
/// to its devices.
fn rungs(context: &Context, args: &Probe, devices: Option<&Failure>) -> (Vec<Rung>, bool) {
    let tried = root(context);
    let lacks_device_rules = tried.is_ok() && devices.is_some();
    let root = tried.and_then(|found| devices.cloned().map_or(Ok(found), Err));
    let full = full(context);
    let userns = userns(context, args.sub.as_ref());
    let own_proc = [&full, &userns].into_iter().flatten().all(|found| found.own_proc);
    let rungs = vec![
        Rung {
            lacks_device_rules,
            ..rung(RungName::Root, root)
        },
        rung(RungName::UsernsFull, full),
        rung(RungName::Userns, userns),
        rung(RungName::UsernsSingle, Err(not_built("a user namespace with a single id"))),
        rung(RungName::Chroot, Err(not_built("chroot"))),
    ];
    (rungs, own_proc)
}

/// What a trial that went well found.
#[derive(Clone)]
struct Found {
    id_map: IdMap,
    own_proc: bool,
}

fn keeper(rules: bool) -> DeviceKeeper {
    if rules { DeviceKeeper::Rules } else { DeviceKeeper::Nodes }
}

fn has_root(rungs: &[Rung]) -> bool {
    rungs.iter().any(|rung| matches!(rung.name, RungName::Root) && rung.possible)
}

/// Whether containers can have bridges, with all that belongs to them tried in a namespace that is thrown away.
fn network(rungs: &[Rung]) -> reply::NetworkProbe {
    let tried = if has_root(rungs) {
        berth_net::bridge::look_at_host().and_then(|()| rehearse())
    } else {
        Err(Failure::new(Code::NotPermitted, "make bridge", "only rung root can"))
    };
    let failure = tried.err();
    reply::NetworkProbe {
        bridge: failure.is_none(),
        reason: failure.as_ref().map(ToString::to_string),
        hint: failure.and_then(|failure| failure.hint),
    }
}

fn rehearse() -> Result<(), Failure> {
    let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(failed("pipe"))?;
    match process::fork(Namespaces::NETWORK).map_err(failed("clone"))? {
        Forked::Child => {
            drop(reader);
            if let Err(failure) = berth_net::bridge::rehearse() {
                let _ = rustix::io::write(&writer, &serde_json::to_vec(&failure).unwrap_or_default());
            }
            process::exit_now(0)
        }
        Forked::Parent(child) => {
            drop(writer);
            let told = read_failure(&reader);
            process::wait(child.pid).map_err(failed("wait"))?;
            told
        }
    }
}

fn rung(name: RungName, tried: Result<Found, Failure>) -> Rung {
    match tried {
        Ok(Found { id_map, .. }) => Rung {
            name,
            possible: true,
            reason: None,
            hint: None,
            id_map: Some(id_map),
            lacks_device_rules: false,
        },
        Err(failure) => Rung {
            name,
            possible: false,
            reason: Some(failure.to_string()),
            hint: failure.hint,
            id_map: None,
            lacks_device_rules: false,
        },
    }
}

fn not_built(what: &str) -> Failure {
    Failure::new(Code::Unsupported, "isolate", format!("{what} is not built yet"))
}

fn root(context: &Context) -> Result<Found, Failure> {
    be_root()?;
    if !owns_everything() {
        return Err(Failure::new(
            Code::NotPermitted,
            "be root",
            "this root lives in a user namespace that maps only some ids",
        )
        .hint("Run outside the user namespace"));
    }
    attempt(context, IdMap::Root)
}

fn be_root() -> Result<(), Failure> {
    let uid = rustix::process::geteuid();
    if uid.is_root() {
        return Ok(());
    }
    let message = format!("this process runs as uid {}", uid.as_raw());
    Err(Failure::new(Code::NotPermitted, "be root", message).hint("Run as root, or allow `sudo -n`"))
}

/// The most ids that images use: the last one is `nogroup`'s and `nobody`'s.
const ENOUGH_IDS: u32 = 65_535;

fn full(context: &Context) -> Result<Found, Failure> {
    be_root()?;
    let own = idmap::Own::read()?;
    let (uid_count, gid_count) = (own.uids.count(), own.gids.count());
    if uid_count.min(gid_count) < ENOUGH_IDS {
        let message = format!("this root has but {uid_count} users and {gid_count} groups");
        return Err(Failure::new(Code::NotPermitted, "map ids", message)
            .hint("Give the user namespace around 65536 users and groups, as Kubernetes does with hostUsers: false"));
    }
    attempt(context, IdMap::Full { uid_count, gid_count })
}

fn userns(context: &Context, sub: Option<&IdMap>) -> Result<Found, Failure> {
    let Some(id_map @ IdMap::Sub { newuidmap, newgidmap, .. }) = sub else {
        let message = "there is no range of subordinate ids for this user";
        let hint = "Give this user a range in /etc/subuid and /etc/subgid, and install newuidmap (Debian: package uidmap)";
        return Err(Failure::new(Code::NotPermitted, "map ids", message).hint(hint));
    };
    for tool in [newuidmap, newgidmap] {
        if rustix::fs::access(tool.as_str(), rustix::fs::Access::EXEC_OK).is_err() {
            let failure = Failure::new(Code::NotFound, "map ids", "the program is not there").subject(tool.clone());
            return Err(failure.hint("Install newuidmap and newgidmap (Debian: package uidmap)"));
        }
    }
    attempt(context, id_map.clone())
}

/// Whether the user namespace of this process maps ids widely enough for images: in the initial one, all.
pub(crate) fn owns_everything() -> bool {
    let map = idmap::read_small(c"/proc/self/uid_map").unwrap_or_default();
    let last = map
        .lines()
        .filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok())
        .max();
    last.is_some_and(|count| count > u64::from(u32::MAX) - 2)
}

/// Makes namespaces, an overlay on the store's file system and (as root) a device node, in a child. The child's failure comes back by a pipe.
fn attempt(context: &Context, id_map: IdMap) -> Result<Found, Failure> {
    let place = Place::make(context)?;
    let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(failed("pipe"))?;
    let (gate, open) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(failed("pipe"))?;
    let (ready, announce) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(failed("pipe"))?;
    match process::fork(Namespaces::NONE).map_err(failed("fork"))? {
        Forked::Child => {
            drop((reader, open, ready));
            let text = serde_json::to_vec(&trial(&place, &id_map, &gate, announce)).unwrap_or_default();
            let _ = rustix::io::write(&writer, &text);
            process::exit_now(0)
        }
        Forked::Parent(child) => {
            drop((writer, gate, announce));
            let mapped = idmap::map_when_ready(&child, &id_map, ready);
            if mapped.is_ok() {
                let _ = rustix::io::write(&open, &[1]);
            }
            drop(open);
            let told = read_told(&reader);
            process::wait(child.pid).map_err(failed("wait"))?;
            mapped?;
            let own_proc = serde_json::from_slice(&told?).unwrap_or_else(|_| Err(speechless()))?;
            Ok(Found { id_map, own_proc })
        }
    }
}

fn read_failure(reader: &OwnedFd) -> Result<(), Failure> {
    let text = read_told(reader)?;
    if text.is_empty() {
        return Ok(());
    }
    Err(serde_json::from_slice(&text).unwrap_or_else(|_| speechless()))
}

fn read_told(reader: &OwnedFd) -> Result<Vec<u8>, Failure> {
    let mut text = vec![0; 64 * 1024];
    let length = berth_sys::file::read_full(reader, &mut text).map_err(failed("read pipe"))?;
    text.truncate(length);
    Ok(text)
}

fn speechless() -> Failure {
    Failure::new(Code::System, "probe", "the trial ended without a word")
}

/// Whether a fresh /proc can be mounted, where all else can be done.
fn trial(place: &Place, id_map: &IdMap, gate: &OwnedFd, announce: OwnedFd) -> Result<bool, Failure> {
    let user_namespace = id_map.has_user_namespace();
    if user_namespace {
        idmap::enter(announce)?;
        rustix::io::read(gate, &mut [0_u8; 1]).map_err(failed("read gate"))?;
        idmap::become_root()?;
    }
    let kinds = [
        Namespaces::PID,
        Namespaces::IPC,
        Namespaces::UTS,
        Namespaces::NETWORK,
        Namespaces::CGROUP,
    ];
    let kinds = kinds.into_iter().fold(Namespaces::MOUNT, Namespaces::and);
    process::unshare(kinds).map_err(|error| {
        let hint = if user_namespace {
            idmap::hint()
        } else {
            "Run with CAP_SYS_ADMIN: in Docker, --privileged or --cap-add SYS_ADMIN"
        };
        failed("unshare")(error).hint(hint)
    })?;
    let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", flags).map_err(|error| {
        let failure = failed("make mounts private")(error);
        if user_namespace {
            failure.hint(idmap::mount_hint())
        } else {
            failure
        }
    })?;
    // Opened again: an overlay takes folders of this mount namespace only.
    let [lower, upper, work, target] = place.open_all()?;
    overlay::attach(
        &Layers {
            lowers: vec![lower.as_fd()],
            upper: Some(Upper {
                tree: upper.as_fd(),
                work: work.as_fd(),
            }),
        },
        target.as_fd(),
    )?;
    berth_jail::rehearse(target.as_fd())?;
    if !user_namespace {
        let null = rustix::fs::makedev(1, 3);
        rustix::fs::mknodat(&upper, "null", FileType::CharacterDevice, Mode::RUSR, null).map_err(failed("mknod"))?;
        return Ok(true);
    }
    own_proc()
}

/// A /proc shows its mounter's pid namespace, which a process is in only when it was born there.
fn own_proc() -> Result<bool, Failure> {
    match process::fork(Namespaces::NONE).map_err(failed("fork"))? {
        Forked::Child => process::exit_now(i32::from(!berth_jail::mounts_proc())),
        Forked::Parent(child) => {
            let exit = process::wait(child.pid).map_err(failed("wait"))?;
            Ok(exit.status == process::Status::Code(0))
        }
    }
}

/// Folders to try an overlay with, below the store root; gone with this value.
struct Place {
    store: OwnedFd,
    name: String,
    path: String,
}

/// Lower, upper, work and target of the trial's overlay.
const FOLDERS: [&str; 4] = ["lower", "upper", "work", "target"];

impl Place {
    fn make(context: &Context) -> Result<Self, Failure> {
        let name = format!(".probe-{}", berth_sys::file::random_name().map_err(failed("getrandom"))?);
        let store = rustix::io::fcntl_dupfd_cloexec(&context.store, 3).map_err(failed("dup store"))?;
        rustix::fs::mkdirat(&store, &name, Mode::RWXU).map_err(failed_on("mkdir", &context.store_root))?;
        let place = Self {
            path: format!("{}/{name}", context.store_root),
            store,
            name,
        };
        for folder in FOLDERS {
            rustix::fs::mkdirat(&place.store, format!("{}/{folder}", place.name), Mode::RWXU).map_err(failed("mkdir"))?;
        }
        Ok(place)
    }

    fn open_all(&self) -> Result<[OwnedFd; 4], Failure> {
        let open = |folder: &str| {
            let path = format!("{}/{folder}", self.path);
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::open(path, flags, Mode::empty()).map_err(failed("open trial folder"))
        };
        let [lower, upper, work, target] = FOLDERS;
        Ok([open(lower)?, open(upper)?, open(work)?, open(target)?])
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What stays is an empty hidden folder; the next collection of garbage takes it.
        let _ = berth_layer::remove_tree(&self.store, self.name.as_bytes());
    }
}

/// The name of the store's file system, from the mount that holds it.
fn file_system(context: &Context) -> Result<String, Failure> {
    let device = rustix::fs::fstat(&context.store).map_err(failed("stat store"))?.st_dev;
    let wanted = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").map_err(|error| {
        failed("read mountinfo")(berth_sys::errno::of(&error)).hint("Mount a procfs on this machine: mount -t proc proc /proc")
    })?;
    let name = mounts.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        (left.split(' ').nth(2)? == wanted).then(|| right.split(' ').next().unwrap_or_default().to_owned())
    });
    match name {
        Some(name) => Ok(name),
        // btrfs gives each subvolume a device number of its own.
        None => rustix::fs::fstatfs(&context.store)
            .map(|found| format!("0x{:x}", found.f_type))
            .map_err(failed("statfs store")),
    }
}
