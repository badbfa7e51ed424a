//! The engine that waits for an answer: it gets one, and then the process goes on without it.

use crate::context::Context;
use crate::fail::failed;
use berth_wire::reply::Ended;
use berth_wire::{Failure, Reply};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};

/// Who called, until it has been answered.
pub(crate) struct Caller<'a> {
    context: &'a Context,
    /// Tells the process that the engine started that the last line is written.
    tell: &'a OwnedFd,
    reply: fn(Ended) -> Reply,
    waits: bool,
}

impl<'a> Caller<'a> {
    pub(crate) fn new(context: &'a Context, tell: &'a OwnedFd, reply: fn(Ended) -> Reply) -> Self {
        Self {
            context,
            tell,
            reply,
            waits: true,
        }
    }

    pub(crate) fn waits(&self) -> bool {
        self.waits
    }

    /// Answers with an end, or with the news that the process runs; the first answer counts.
    pub(crate) fn answer(&mut self, result: Result<Ended, Failure>) {
        if !self.waits {
            return;
        }
        self.waits = false;
        let code = crate::conclude(&self.context.status, result.map(self.reply));
        let _ = rustix::io::write(self.tell, &[code]);
        // Without a null device the caller's descriptors stay open; it has gone all the same.
        let _ = leave();
    }
}

/// Lets go of the caller's descriptors and directory.
pub(crate) fn leave() -> Result<(), Failure> {
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map_err(failed("open /dev/null"))?;
    rustix::stdio::dup2_stdin(&null)
        .and_then(|()| rustix::stdio::dup2_stdout(&null))
        .and_then(|()| rustix::stdio::dup2_stderr(&null))
        .and_then(|()| rustix::process::chdir("/"))
        .map_err(failed("leave caller"))
}
