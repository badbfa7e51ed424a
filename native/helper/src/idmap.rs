//! Entering a user namespace. Maps of subordinate ids are written by newuidmap and newgidmap, as they alone may; one of the ids that we have
//! already by us, where we are root in the user namespace around.

use crate::channel;
use crate::fail::{failed, failed_on};
use berth_sys::process::{self, Child, Forked, Namespaces, Status};
use berth_sys::procfs;
use berth_wire::request::IdMap;
use berth_wire::{Code, Failure};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::pipe::PipeFlags;
use rustix::process::{DumpableBehavior, Gid, Pid, Signal, Uid};
use std::ffi::{CStr, CString};

/// The most that is kept of what newuidmap prints.
const MAX_MESSAGE: usize = 4096;

/// In the worker: a new user namespace, with `announce` told when it is there.
pub(crate) fn enter(announce: OwnedFd) -> Result<(), Failure> {
    // newuidmap wants the files below /proc/<pid> to belong to the caller.
    rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable).map_err(failed("prctl PR_SET_DUMPABLE"))?;
    process::unshare(Namespaces::USER).map_err(|error| failed("unshare user namespace")(error).hint(hint()))?;
    rustix::io::write(&announce, &[1])
        .map(drop)
        .map_err(failed("announce user namespace"))
}

/// In the worker, when the maps are written: root of the namespace, with no group of the caller.
pub(crate) fn become_root() -> Result<(), Failure> {
    rustix::thread::set_thread_groups(&[]).map_err(failed("setgroups"))?;
    rustix::thread::set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).map_err(failed("setresgid"))?;
    rustix::thread::set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).map_err(failed("setresuid"))
}

/// In the supervisor: waits until the worker has its namespace, then writes both maps.
pub(crate) fn map_when_ready(worker: &Child, id_map: &IdMap, ready: OwnedFd) -> Result<(), Failure> {
    if !id_map.has_user_namespace() {
        return Ok(());
    }
    let told = rustix::io::retry_on_intr(|| rustix::io::read(&ready, &mut [0_u8; 1])).map_err(failed("wait for user namespace"))?;
    if told == 0 {
        // The worker could not make one, and says so itself.
        return Ok(());
    }
    match id_map {
        IdMap::Root => Ok(()),
        IdMap::Sub {
            first_uid,
            uid_count,
            first_gid,
            gid_count,
            newuidmap,
            newgidmap,
        } => {
            let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
            map(newuidmap, worker.pid, [uid, *first_uid, *uid_count])?;
            map(newgidmap, worker.pid, [gid, *first_gid, *gid_count])
        }
        IdMap::Full { uid_count, gid_count } => {
            let own = Own::read()?;
            if (own.uids.count(), own.gids.count()) != (*uid_count, *gid_count) {
                let message = format!(
                    "this user namespace has {} users and {} groups, and not {uid_count} and {gid_count}",
                    own.uids.count(),
                    own.gids.count()
                );
                return Err(Failure::new(Code::NotPermitted, "map ids", message));
            }
            own.gids.write(worker.pid, "gid_map")?;
            own.uids.write(worker.pid, "uid_map")
        }
    }
}

/// The ids that the user namespace of this process has.
pub(crate) struct Own {
    pub(crate) uids: Ids,
    pub(crate) gids: Ids,
}

impl Own {
    pub(crate) fn read() -> Result<Self, Failure> {
        let ids = |path: &CStr| {
            let unreadable = || Failure::new(Code::System, "map ids", "the map of this process cannot be read");
            read_small(path)
                .as_deref()
                .and_then(Ids::parse)
                .ok_or_else(|| unreadable().subject(path.to_string_lossy()))
        };
        Ok(Self {
            uids: ids(c"/proc/self/uid_map")?,
            gids: ids(c"/proc/self/gid_map")?,
        })
    }
}

/// Ranges of ids, each as its first and its length, in order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ids(Vec<(u32, u32)>);

impl Ids {
    /// From the text of a map (user_namespaces(7)): what its ids are in the namespace around it is of no matter here.
    fn parse(text: &str) -> Option<Self> {
        let range = |line: &str| {
            let mut numbers = line.split_whitespace().map(str::parse);
            match (numbers.next(), numbers.next(), numbers.next(), numbers.next()) {
                (Some(Ok(first)), Some(Ok(_)), Some(Ok(count)), None) => Some((first, count)),
                _ => None,
            }
        };
        let mut ranges = text.lines().map(range).collect::<Option<Vec<_>>>()?;
        ranges.sort_unstable();
        Some(Self(ranges))
    }

    /// How many there are from 0 on without a gap.
    pub(crate) fn count(&self) -> u32 {
        let next = |end: u32, (first, count): &(u32, u32)| if *first == end { end.saturating_add(*count) } else { end };
        self.0.iter().fold(0, next)
    }

    /// The map in which each of them is itself, one line for each range: one of the kernel's must lie within one of the namespace around.
    fn identity(&self) -> String {
        self.0.iter().map(|(first, count)| format!("{first} {first} {count}\n")).collect()
    }

    fn write(&self, pid: Pid, name: &str) -> Result<(), Failure> {
        let failed_to = |error| {
            failed_on("map ids", name)(error)
                .hint("Let this root have the capabilities SETUID, SETGID and SETFCAP, which a container has where none are dropped")
        };
        let file = procfs::open_to_write(&format!("{}/{name}", pid.as_raw_nonzero())).map_err(failed_to)?;
        // The kernel takes a map in one piece.
        rustix::io::write(&file, self.identity().as_bytes()).map(drop).map_err(failed_to)
    }
}

/// Runs `tool <pid> 0 <caller> 1 1 <first> <count>`.
fn map(tool: &str, pid: Pid, [caller, first, count]: [u32; 3]) -> Result<(), Failure> {
    if !tool.starts_with('/') {
        return Err(Failure::new(Code::Request, "map ids", "the path of the tool is not absolute").subject(tool));
    }
    let numbers = [0, caller, 1, 1, first, count].map(|number| number.to_string());
    let arguments = [tool.to_owned(), pid.as_raw_nonzero().to_string()].into_iter().chain(numbers);
    let arguments: Vec<CString> = arguments.filter_map(|text| CString::new(text).ok()).collect();
    let (status, message) = capture(&arguments, true)?;
    if status == Status::Code(0) {
        return Ok(());
    }
    let message = if message.is_empty() {
        format!("it ended with code {}", status.shell_code())
    } else {
        message
    };
    Err(Failure::new(Code::NotPermitted, "map ids", message).subject(tool).hint(
        "Check that /etc/subuid and /etc/subgid give this user the range, and that the tool is set-uid root (Debian: package uidmap); in a container without SYS_ADMIN it needs a capability of its file instead: setcap cap_setuid=ep /usr/bin/newuidmap, setcap cap_setgid=ep /usr/bin/newgidmap",
    ))
}

/// Runs a program with an empty environment; gives its end and what it printed. With `engine` it is killed when fd 0 is closed before it has ended.
pub(crate) fn capture(arguments: &[CString], engine: bool) -> Result<(Status, String), Failure> {
    let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(failed("pipe"))?;
    match process::fork(Namespaces::NONE).map_err(failed("fork"))? {
        Forked::Child => run(arguments, &writer),
        Forked::Parent(child) => {
            drop(writer);
            let text = read_some(&reader, engine);
            if text.is_err() {
                let _ = rustix::process::pidfd_send_signal(&child.pidfd, Signal::KILL);
            }
            let exit = process::wait(child.pid).map_err(failed("wait"))?;
            Ok((exit.status, String::from_utf8_lossy(&text?).trim().to_owned()))
        }
    }
}

fn run(arguments: &[CString], writer: &OwnedFd) -> ! {
    let null = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let ready = null
        .and_then(rustix::stdio::dup2_stdin)
        .and_then(|()| rustix::stdio::dup2_stdout(writer))
        .and_then(|()| rustix::stdio::dup2_stderr(writer))
        .and_then(|()| process::close_on_exec_from(3))
        // Ours are blocked, and SIGPIPE ignored, which programs do not expect.
        .and_then(|()| berth_sys::signal::reset());
    if ready.is_ok() {
        let error = process::execve(arguments.first().map_or(c"", CString::as_c_str), arguments, &[]);
        let _ = rustix::io::write(writer, berth_sys::errno::text(error).as_bytes());
    }
    process::exit_now(127)
}

fn read_some(reader: &OwnedFd, engine: bool) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    let mut chunk = [0_u8; 1024];
    loop {
        if engine {
            channel::await_readable(reader.as_fd())?;
        }
        let Ok(length @ 1..) = rustix::io::retry_on_intr(|| rustix::io::read(reader, &mut chunk)) else {
            return Ok(text);
        };
        if text.len() < MAX_MESSAGE {
            text.extend_from_slice(chunk.get(..length).unwrap_or_default());
        }
    }
}

/// Which switch forbids user namespaces here, as a sentence.
pub(crate) fn hint() -> &'static str {
    let is = |path: &CStr, value: &str| read_small(path).is_some_and(|text| text.trim() == value);
    if is(c"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        "Set the sysctl kernel.apparmor_restrict_unprivileged_userns to 0, or install an AppArmor profile that allows user namespaces to the helper"
    } else if is(c"/proc/sys/user/max_user_namespaces", "0") {
        "Set the sysctl user.max_user_namespaces to a number above 0"
    } else if is(c"/proc/sys/kernel/unprivileged_userns_clone", "0") {
        "Set the sysctl kernel.unprivileged_userns_clone to 1"
    } else {
        "Allow user namespaces: run the container around with a seccomp profile that permits unshare (Kubernetes: securityContext.seccompProfile.type Unconfined; Docker: --security-opt seccomp=unconfined)"
    }
}

/// What forbids mounts where a user namespace could be made, as a sentence.
pub(crate) fn mount_hint() -> &'static str {
    "Allow mounts in user namespaces: run the container around without an AppArmor profile (Kubernetes: securityContext.appArmorProfile.type Unconfined; Docker: --security-opt apparmor=unconfined) and with a seccomp profile that permits mount"
}

/// A small file of /proc or /sys as text.
pub(crate) fn read_small(path: &CStr) -> Option<String> {
    let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut text = vec![0_u8; 64 * 1024];
    let length = rustix::io::retry_on_intr(|| rustix::io::read(&fd, &mut text)).ok()?;
    text.truncate(length);
    String::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_read_and_written_as_the_identity_of_its_ids() {
        for (text, count, identity) in [
            ("         0          0 4294967295\n", u32::MAX, "0 0 4294967295\n"),
            // A pod with a user namespace of its own.
            ("0 3000000000 65536\n", 65_536, "0 0 65536\n"),
            // Inside a rootless engine: each line of ours lies within one of the map around.
            ("1 100000 65536\n0 1000 1\n", 65_537, "0 0 1\n1 1 65536\n"),
            // Ids beyond a gap are kept, and not counted.
            ("0 0 10\n100 100 5\n", 10, "0 0 10\n100 100 5\n"),
            ("5 5 10\n", 0, "5 5 10\n"),
            ("", 0, ""),
        ] {
            let ids = Ids::parse(text).unwrap();
            assert_eq!((ids.count(), ids.identity().as_str()), (count, identity), "{text}");
        }
    }

    #[test]
    fn what_is_no_map_is_none() {
        for text in ["0 0\n", "0 0 1 1\n", "0 0 x\n", "0 0 4294967296\n", "\n"] {
            assert_eq!(Ids::parse(text), None, "{text:?}");
        }
    }
}
