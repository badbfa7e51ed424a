//! Waiting for something to change in a container's folder.

use crate::fail::failed;
use berth_wire::Failure;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use std::cell::{Cell, OnceCell};
use std::time::Duration;

/// How often one looks, a moment apart, before the kernel is asked to watch: giving a watch back takes it longer than most ends of a container.
const LOOKS: u32 = 50;
const MOMENT: Duration = Duration::from_millis(1);

/// A folder that is watched: what happens between a look and [`Watch::wait`] is not missed.
#[derive(Debug)]
pub(crate) struct Watch {
    folder: OwnedFd,
    inotify: OnceCell<OwnedFd>,
    /// How many waits are still but a moment long.
    moments: Cell<u32>,
}

impl Watch {
    /// For what may be long in coming.
    pub(crate) fn new(folder: &OwnedFd) -> Result<Self, Failure> {
        let watch = Self::soon(folder)?;
        watch.moments.set(0);
        watch.begin()?;
        Ok(watch)
    }

    /// For what is about to happen.
    pub(crate) fn soon(folder: &OwnedFd) -> Result<Self, Failure> {
        Ok(Self {
            folder: rustix::io::fcntl_dupfd_cloexec(folder, 3).map_err(failed("dup"))?,
            inotify: OnceCell::new(),
            moments: Cell::new(LOOKS),
        })
    }

    fn begin(&self) -> Result<(), Failure> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(failed("inotify_init"))?;
        let flags = WatchFlags::MODIFY
            | WatchFlags::MOVED_TO
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF;
        let path = format!("/proc/self/fd/{}", self.folder.as_raw_fd());
        inotify::add_watch(&inotify, path, flags).map_err(failed("inotify_add_watch"))?;
        let _ = self.inotify.set(inotify);
        Ok(())
    }

    /// Waits until something may have changed, `also` is readable, or the time is over: only then false.
    pub(crate) fn wait(&self, also: Option<BorrowedFd<'_>>, timeout: Option<Duration>) -> Result<bool, Failure> {
        let moments = self.moments.get();
        self.moments.set(moments.saturating_sub(1));
        let timeout = if moments > 0 {
            Some(timeout.map_or(MOMENT, |time| time.min(MOMENT)))
        } else {
            timeout
        };
        let inotify = self.inotify.get();
        if moments == 0 && inotify.is_none() {
            // What has happened up to now, the next look sees.
            return self.begin().map(|()| true);
        }
        let mut polled: Vec<PollFd<'_>> = inotify.map(|inotify| PollFd::new(inotify, PollFlags::IN)).into_iter().collect();
        polled.extend(also.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        let timeout = timeout.map(|time| Timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(time.subsec_nanos()),
        });
        let ready = rustix::io::retry_on_intr(|| rustix::event::poll(&mut polled, timeout.as_ref())).map_err(failed("poll"))?;
        let mut events = [0_u8; 4096];
        if let Some(inotify) = inotify {
            while matches!(rustix::io::retry_on_intr(|| rustix::io::read(inotify, &mut events)), Ok(1..)) {}
        }
        Ok(ready > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Option<Duration> = Some(Duration::from_secs(20));

    fn opened(place: &tempfile::TempDir) -> OwnedFd {
        std::fs::File::open(place.path()).unwrap().into()
    }

    #[test]
    fn what_is_about_to_happen_is_looked_for_a_while_and_then_watched() {
        let place = tempfile::tempdir().unwrap();
        let watch = Watch::soon(&opened(&place)).unwrap();
        for _ in 0..LOOKS {
            assert!(!watch.wait(None, LONG).unwrap());
            assert!(watch.inotify.get().is_none());
        }
        // It begins to watch, and the caller looks once more.
        assert!(watch.wait(None, LONG).unwrap());
        assert!(watch.inotify.get().is_some());
        std::fs::write(place.path().join("state"), "").unwrap();
        assert!(watch.wait(None, LONG).unwrap(), "the file was not seen");
    }

    #[test]
    fn a_change_before_the_wait_ends_it_and_the_time_does() {
        let place = tempfile::tempdir().unwrap();
        let watch = Watch::new(&opened(&place)).unwrap();
        std::fs::write(place.path().join("state"), "").unwrap();
        assert!(watch.wait(None, LONG).unwrap(), "the file was not seen");
        assert!(
            !watch.wait(None, Some(Duration::from_millis(20))).unwrap(),
            "nothing has changed since"
        );
    }
}
