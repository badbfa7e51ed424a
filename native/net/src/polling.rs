//! Waiting for many descriptors at once.

use crate::fail::failed;
use berth_wire::Failure;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use std::time::Duration;

/// Waits until something wanted is there or the time is over; gives what is ready, in the order of what was wanted.
pub(crate) fn wait(wanted: &[(BorrowedFd<'_>, PollFlags)], timeout: Option<Duration>) -> Result<Vec<PollFlags>, Failure> {
    // A descriptor that nothing is wanted of is left out: a hang-up is reported unasked, and would keep the loop spinning.
    let mut fds: Vec<PollFd<'_>> = wanted
        .iter()
        .filter(|(_, flags)| !flags.is_empty())
        .map(|(fd, flags)| PollFd::from_borrowed_fd(*fd, *flags))
        .collect();
    let timeout = timeout.map(|time| Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(time.subsec_nanos()),
    });
    loop {
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) => break,
            Err(Errno::INTR) => {}
            Err(error) => return Err(failed("poll")(error)),
        }
    }
    let none = PollFlags::empty();
    let mut ready = fds.iter().map(PollFd::revents);
    let each = wanted
        .iter()
        .map(|(_, flags)| if flags.is_empty() { none } else { ready.next().unwrap_or(none) });
    Ok(each.collect())
}
