//! Entering a user namespace with subordinate ids: newuidmap and newgidmap write the maps, as they alone may.

use crate::channel;
use crate::fail::failed;
use berth_sys::process::{self, Child, Forked, Namespaces, Status};
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
    let IdMap::Sub {
        first_uid,
        uid_count,
        first_gid,
        gid_count,
        newuidmap,
        newgidmap,
    } = id_map
    else {
        return Ok(());
    };
    let told = rustix::io::retry_on_intr(|| rustix::io::read(&ready, &mut [0_u8; 1])).map_err(failed("wait for user namespace"))?;
    if told == 0 {
        // The worker could not make one, and says so itself.
        return Ok(());
    }
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    map(newuidmap, worker.pid, [uid, *first_uid, *uid_count])?;
    map(newgidmap, worker.pid, [gid, *first_gid, *gid_count])
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
        "Check that /etc/subuid and /etc/subgid give this user the range, and that the tool is set-uid root (Debian: package uidmap)",
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
        "Allow user namespaces: in a container, run it with a seccomp profile that permits unshare"
    }
}

/// A small file of /proc or /sys as text.
pub(crate) fn read_small(path: &CStr) -> Option<String> {
    let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut text = vec![0_u8; 64 * 1024];
    let length = rustix::io::retry_on_intr(|| rustix::io::read(&fd, &mut text)).ok()?;
    text.truncate(length);
    String::from_utf8(text).ok()
}
