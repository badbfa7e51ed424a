//! Processes that attend a running container: they serve its network without any privilege, and end with the process that started them.

use crate::channel::{self, First};
use crate::fail::{cancelled, failed};
use berth_sys::process::{self, Child, Forked, Namespaces};
use berth_wire::{Code, Failure};
use rustix::event::{PollFlags, Timespec};
use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::pipe::PipeFlags;
use rustix::process::{Gid, Signal, Uid};
use rustix::thread::{CapabilitySet, CapabilitySets};

/// How long an attendant may take to serve.
const PATIENCE: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };
/// What an attendant that serves writes instead of a failure.
const READY: u8 = 1;

/// A running attendant; dropped, it ends.
#[derive(Debug)]
pub(crate) struct Attendant {
    child: Child,
}

impl Drop for Attendant {
    fn drop(&mut self) {
        let _ = rustix::process::pidfd_send_signal(&self.child.pidfd, Signal::KILL);
        let _ = process::wait(self.child.pid);
    }
}

/// Where an attendant says that it serves.
#[derive(Debug)]
pub(crate) struct Announce(OwnedFd);

impl Announce {
    /// Gives up all privileges, ties this process to the life of its parent, and says that it serves.
    pub(crate) fn serve(self) -> Result<(), Failure> {
        drop_privileges().map_err(failed("drop privileges"))?;
        // Its end is seen by `life` as well, also when it came before this call.
        process::die_with_parent().map_err(failed("prctl PR_SET_PDEATHSIG"))?;
        // Each connection takes two descriptors.
        berth_sys::file::raise_file_limit();
        rustix::io::write(&self.0, &[READY]).map(drop).map_err(failed("announce"))
    }
}

/// Starts an attendant that keeps nothing but the descriptors `kept`, and waits until it serves.
pub(crate) fn start(name: &str, kept: &[BorrowedFd<'_>], body: impl FnOnce(Announce) -> Result<(), Failure>) -> Result<Attendant, Failure> {
    start_in(Namespaces::NONE, name, kept, body)
}

/// [`start`] of one in new namespaces. As the first process of a pid namespace it takes all that it has started along.
pub(crate) fn start_in(
    kinds: Namespaces,
    name: &str,
    kept: &[BorrowedFd<'_>],
    body: impl FnOnce(Announce) -> Result<(), Failure>,
) -> Result<Attendant, Failure> {
    let (ready, announce) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(failed("pipe"))?;
    match process::fork(kinds).map_err(failed("fork attendant"))? {
        Forked::Child => {
            let tell = rustix::io::fcntl_dupfd_cloexec(&announce, 3);
            let result = tell.map_err(failed("dup")).and_then(|tell| {
                let kept: Vec<_> = kept.iter().copied().chain([tell.as_fd(), announce.as_fd()]).collect();
                alone(&kept)?;
                body(Announce(tell))
            });
            if let Err(failure) = result {
                let _ = rustix::io::write(&announce, &serde_json::to_vec(&failure).unwrap_or_default());
            }
            process::exit_now(1)
        }
        Forked::Parent(child) => {
            drop(announce);
            let attendant = Attendant { child };
            told(name, &ready).map(|()| attendant)
        }
    }
}

/// Reads that it serves, or why not. It may have started a program that hangs.
fn told(name: &str, ready: &OwnedFd) -> Result<(), Failure> {
    match channel::first_of(ready.as_fd(), PollFlags::IN, Some(&PATIENCE)).map_err(failed("poll"))? {
        First::Ready => {}
        First::Engine => return Err(cancelled()),
        First::Timeout => {
            let message = format!("it does not serve after {} s", PATIENCE.tv_sec);
            return Err(Failure::new(Code::System, "start attendant", message).subject(name));
        }
    }
    let mut text = vec![0; 16 * 1024];
    let length = rustix::io::retry_on_intr(|| rustix::io::read(ready, text.as_mut_slice())).map_err(failed("wait for attendant"))?;
    text.truncate(length);
    if text == [READY] {
        return Ok(());
    }
    Err(serde_json::from_slice(&text)
        .unwrap_or_else(|_| Failure::new(Code::System, "start attendant", "it ended without a word").subject(name)))
}

/// Runs `body` in a process of its own that outlives this one, for work that nobody waits for.
pub(crate) fn behind(kept: &[BorrowedFd<'_>], body: impl FnOnce()) -> Result<(), Failure> {
    match process::fork(Namespaces::NONE).map_err(failed("fork"))? {
        Forked::Child => {
            let _ = rustix::process::setsid();
            // Nobody waits for it to leave the folder that the caller is in.
            let _ = rustix::process::chdir("/");
            // The one in between ends at once, so that nobody has to wait for the other.
            if matches!(process::fork(Namespaces::NONE), Ok(Forked::Child)) && alone(kept).is_ok() {
                body();
            }
            process::exit_now(0)
        }
        Forked::Parent(child) => process::wait(child.pid).map(drop).map_err(failed("wait")),
    }
}

/// Closes all but `kept`. The standard descriptors belong to the engine's conversation, in which this process has no part.
fn alone(kept: &[BorrowedFd<'_>]) -> Result<(), Failure> {
    process::close_all_but(0, kept).map_err(failed("close_range"))?;
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map_err(failed("open /dev/null"))?;
    rustix::stdio::dup2_stdin(&null)
        .and_then(|()| rustix::stdio::dup2_stdout(&null))
        .and_then(|()| rustix::stdio::dup2_stderr(&null))
        .map_err(failed("dup2"))
}

/// It moves bytes of strangers: it needs no identity and no capability for that.
fn drop_privileges() -> Result<(), rustix::io::Errno> {
    const NOBODY: u32 = 65_534;
    rustix::thread::set_no_new_privs(true)?;
    if rustix::process::geteuid().is_root() {
        let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        rustix::thread::set_thread_groups(&[])?;
        rustix::thread::set_thread_res_gid(gid, gid, gid)?;
        rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    }
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(
        None,
        CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        },
    )
}
