//! A fork through a process in between, which enters namespaces first: what it leaves behind is a child of this process all the same.

use crate::fail::{cancelled, failed};
use crate::oci::idmaps::Maps;
use berth_cgroup::{Entry, Group};
use berth_jail::child::wait;
use berth_jail::report::{self, Receiver, Reporter};
use berth_sys::process::{self, Child, Forked, Namespaces};
use berth_wire::oci::Resources;
use berth_wire::{Code, Failure};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, PidfdFlags};

/// The ends of the process in between, and of the one that comes after it.
pub(crate) struct Ends {
    pub(crate) reporter: Reporter,
    /// Each byte that arrives lets it on.
    pub(crate) gate: OwnedFd,
    tell: OwnedFd,
}

impl Ends {
    /// Says that this process is in a user namespace without ids, and waits until it has them.
    pub(crate) fn await_ids(&self) -> Result<(), Failure> {
        rustix::io::write(&self.tell, b"u").map_err(failed("announce user namespace"))?;
        wait(&self.gate)
    }
}

/// The new process.
pub(crate) struct Started {
    pub(crate) child: Child,
    pub(crate) receiver: Receiver,
    open: OwnedFd,
}

impl Started {
    /// Lets the process on.
    pub(crate) fn let_on(&self) {
        let _ = rustix::io::write(&self.open, &[1]);
    }
}

/// Forks a process that joins `group`, runs `enter`, and leaves a process that runs `become_it`. `maps` are the ids that it asks for in between.
pub(crate) fn fork(
    (group, resources): (&Group, Option<&Resources>),
    maps: Option<&Maps>,
    enter: impl FnOnce(&Ends) -> Result<(), Failure>,
    become_it: impl FnOnce(&Ends),
) -> Result<Started, Failure> {
    let (receiver, reporter) = report::channel()?;
    let (gate, open) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(failed("pipe"))?;
    let (told, tell) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(failed("pipe"))?;
    let entry = group.entry(resources);
    match entry.fork(Namespaces::NONE)? {
        Forked::Child => {
            drop((receiver, open, told));
            between(&Ends { reporter, gate, tell }, &entry, enter, become_it)
        }
        Forked::Parent(middle) => {
            drop((reporter, gate, tell));
            let pid = follow(&middle, maps, &open, &told);
            if pid.is_err() {
                drop(open);
                let _ = rustix::process::pidfd_send_signal(&middle.pidfd, rustix::process::Signal::KILL);
                process::wait(middle.pid).map_err(failed("wait"))?;
                return Err(pid.err().unwrap_or_else(cancelled));
            }
            process::wait(middle.pid).map_err(failed("wait"))?;
            let Some(pid) = pid? else { return Err(last_words(&receiver)) };
            let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).map_err(failed("pidfd_open"))?;
            Ok(Started {
                child: Child { pid, pidfd },
                receiver,
                open,
            })
        }
    }
}

fn follow(middle: &Child, maps: Option<&Maps>, open: &OwnedFd, told: &OwnedFd) -> Result<Option<Pid>, Failure> {
    let let_on = || rustix::io::write(open, &[1]).map(drop).map_err(failed("write gate"));
    let_on()?;
    if let Some(maps) = maps {
        let ready = rustix::io::retry_on_intr(|| rustix::io::read(told, &mut [0_u8; 1])).map_err(failed("wait for user namespace"))?;
        if ready == 0 {
            return Ok(None);
        }
        maps.write(middle.pid)?;
        let_on()?;
    }
    let mut number = [0_u8; 4];
    let length = berth_sys::file::read_full(told, &mut number).map_err(failed("read pid"))?;
    Ok(Pid::from_raw(i32::from_ne_bytes(number)).filter(|_| length == number.len()))
}

fn between(ends: &Ends, entry: &Entry<'_>, enter: impl FnOnce(&Ends) -> Result<(), Failure>, become_it: impl FnOnce(&Ends)) -> ! {
    let forked = wait(&ends.gate)
        // What comes after it is in the groups from its first moment on.
        .and_then(|()| entry.enter())
        .and_then(|()| enter(ends))
        .and_then(|()| process::fork_sibling().map_err(failed("clone")));
    match forked {
        Ok(Some(pid)) => {
            let _ = rustix::io::write(&ends.tell, &pid.as_raw_nonzero().get().to_ne_bytes());
            process::exit_now(0)
        }
        Ok(None) => {
            become_it(ends);
            process::exit_now(1)
        }
        Err(failure) => {
            ends.reporter.tell(&berth_jail::Message::Failure(failure));
            process::exit_now(1)
        }
    }
}

/// Why there is no process.
pub(crate) fn last_words(receiver: &Receiver) -> Failure {
    loop {
        match receiver.next() {
            Ok(Some(report::Packet {
                message: berth_jail::Message::Failure(failure),
                ..
            }))
            | Err(failure) => return failure,
            Ok(Some(_)) => {}
            Ok(None) => return Failure::new(Code::System, "start process", "it ended without a word"),
        }
    }
}

/// The descriptors that the process needs until exec, beside those of `extra`.
pub(crate) fn kept(ends: &Ends) -> [rustix::fd::BorrowedFd<'_>; 2] {
    [ends.reporter.as_fd(), ends.gate.as_fd()]
}
