//! Waiting for something to change in a container's folder.

use crate::fail::failed;
use berth_wire::Failure;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use std::time::Duration;

/// A folder that is watched from its creation on: what happens between a look and [`Watch::wait`] is not missed.
#[derive(Debug)]
pub(crate) struct Watch {
    inotify: OwnedFd,
}

impl Watch {
    pub(crate) fn new(folder: &OwnedFd) -> Result<Self, Failure> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(failed("inotify_init"))?;
        let flags = WatchFlags::MODIFY
            | WatchFlags::MOVED_TO
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF;
        let path = format!("/proc/self/fd/{}", folder.as_raw_fd());
        inotify::add_watch(&inotify, path, flags).map_err(failed("inotify_add_watch"))?;
        Ok(Self { inotify })
    }

    /// Waits until something has changed, `also` is readable, or the time is over.
    pub(crate) fn wait(&self, also: Option<BorrowedFd<'_>>, timeout: Option<Duration>) -> Result<(), Failure> {
        let mut polled = vec![PollFd::new(&self.inotify, PollFlags::IN)];
        polled.extend(also.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        let timeout = timeout.map(|time| Timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(time.subsec_nanos()),
        });
        rustix::io::retry_on_intr(|| rustix::event::poll(&mut polled, timeout.as_ref())).map_err(failed("poll"))?;
        let mut events = [0_u8; 4096];
        while matches!(rustix::io::retry_on_intr(|| rustix::io::read(&self.inotify, &mut events)), Ok(1..)) {}
        Ok(())
    }
}
