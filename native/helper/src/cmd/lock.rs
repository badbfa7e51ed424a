//! `lock`: holds `flock`s below `locks/` until fd 0 ends, when the kernel takes them back with the process (`keeper.rs`: also beside a series).
//!
//! A lock that is waited for is tried again and again, because a blocking `flock` could not see the end of fd 0.

use crate::channel::{Fill, Input};
use crate::context::Context;
use crate::fail::{failed, failed_on};
use berth_sys::{file, lock};
use berth_wire::frame::Kind;
use berth_wire::request::Control;
use berth_wire::{Code, Event, Failure, Reply, request};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::io::Errno;
use std::collections::BTreeMap;

/// Time between two tries.
const RETRY: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 20_000_000,
};
/// The most locks, held and waited for, of one process.
const MAX_LOCKS: usize = 4096;

/// The locks of this process.
struct Locks {
    folder: OwnedFd,
    held: BTreeMap<String, OwnedFd>,
    waiting: BTreeMap<String, Waiting>,
}

struct Waiting {
    file: OwnedFd,
    exclusive: bool,
}

pub(crate) fn run(context: &Context, _args: request::Lock) -> Result<Reply, Failure> {
    let folder = context.directory(context.store.as_fd(), "locks", None)?;
    let mut locks = Locks {
        folder,
        held: BTreeMap::new(),
        waiting: BTreeMap::new(),
    };
    let mut input = context.input.borrow_mut();
    loop {
        while let Some(frame) = input.next()? {
            match frame.kind {
                Kind::Control => locks.control(context, &frame.payload)?,
                Kind::End => return Ok(Reply::Lock),
                other => return Err(refused(format!("this operation takes no {other:?} frame"))),
            }
        }
        locks.retry(context)?;
        // The end of the engine is the usual end of this operation.
        if wait(&mut input, !locks.waiting.is_empty())? == Fill::Closed {
            return Ok(Reply::Lock);
        }
    }
}

/// Waits for input, but not longer than [`RETRY`] when there are locks to try.
fn wait(input: &mut Input, retry: bool) -> Result<Fill, Failure> {
    let ready = {
        let mut polled = [PollFd::new(&*input, PollFlags::IN)];
        let timeout = retry.then_some(&RETRY);
        rustix::io::retry_on_intr(|| poll(&mut polled, timeout)).map_err(failed("poll fd 0"))?
    };
    if ready == 0 { Ok(Fill::More) } else { input.fill() }
}

impl Locks {
    fn control(&mut self, context: &Context, payload: &[u8]) -> Result<(), Failure> {
        let control: Control = serde_json::from_slice(payload).map_err(|error| refused(error.to_string()))?;
        match control {
            Control::Acquire { name, exclusive, wait } => self.acquire(context, name, exclusive, wait),
            Control::Release { name } => {
                // Closing the file gives the lock back.
                self.held.remove(&name);
                self.waiting.remove(&name);
                context.status.event(Event::Released { name });
                Ok(())
            }
            _ => Err(refused("this operation takes only acquire and release")),
        }
    }

    fn acquire(&mut self, context: &Context, name: String, exclusive: bool, wait: bool) -> Result<(), Failure> {
        check_name(&name)?;
        if self.held.contains_key(&name) || self.waiting.contains_key(&name) {
            return Err(Failure::new(Code::Conflict, "lock", "this process holds it or waits for it already").subject(name));
        }
        if self.held.len().saturating_add(self.waiting.len()) >= MAX_LOCKS {
            return Err(refused(format!("more than {MAX_LOCKS} locks")));
        }
        let file = file::open_or_create(&self.folder, name.as_bytes(), 0o600).map_err(|error| {
            let failure = failed_on("open lock", &name)(error);
            match error {
                Errno::ROFS => failure.hint("Set BERTH_ROOT to a folder on a writable file system"),
                _ => failure,
            }
        })?;
        if lock::try_lock(&file, exclusive).map_err(failed_on("flock", &name))? {
            self.held.insert(name.clone(), file);
            context.status.event(Event::Locked { name });
        } else if wait {
            self.waiting.insert(name, Waiting { file, exclusive });
        } else {
            context.status.event(Event::Busy { name });
        }
        Ok(())
    }

    fn retry(&mut self, context: &Context) -> Result<(), Failure> {
        let mut got = Vec::new();
        for (name, waiting) in &self.waiting {
            if lock::try_lock(&waiting.file, waiting.exclusive).map_err(failed_on("flock", name))? {
                got.push(name.clone());
            }
        }
        for name in got {
            if let Some(Waiting { file, .. }) = self.waiting.remove(&name) {
                self.held.insert(name.clone(), file);
                context.status.event(Event::Locked { name });
            }
        }
        Ok(())
    }
}

fn check_name(name: &str) -> Result<(), Failure> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
    if file::is_component(name.as_bytes()) && name.bytes().all(plain) {
        return Ok(());
    }
    Err(refused("the name of a lock is lower-case letters, digits, '.' and '-'").subject(crate::fail::escape(name)))
}

fn refused(message: impl Into<String>) -> Failure {
    Failure::new(Code::Request, "lock", message)
}
