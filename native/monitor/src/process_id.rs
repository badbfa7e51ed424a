//! Processes by number and start time, which together are never used twice.

use berth_wire::request::ProcessId;
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags};

/// The identity of a process that runs now.
#[must_use]
pub fn of(pid: Pid) -> Option<ProcessId> {
    let number = pid.as_raw_nonzero().get();
    let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
    Some(ProcessId {
        pid: number,
        start_time: start_time(&stat)?,
    })
}

/// A descriptor of the process, when it is still the same one.
#[must_use]
pub fn open(id: ProcessId) -> Option<OwnedFd> {
    let pid = Pid::from_raw(id.pid)?;
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok()?;
    // Looked at after the open: a process that took the number in between shows its own start time.
    (of(pid) == Some(id) && !has_ended(&pidfd)).then_some(pidfd)
}

/// Whether the process behind a descriptor has ended; one that was not waited for yet counts as ended.
#[must_use]
pub fn has_ended(pidfd: &OwnedFd) -> bool {
    let mut polled = [rustix::event::PollFd::new(pidfd, rustix::event::PollFlags::IN)];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(rustix::io::retry_on_intr(|| rustix::event::poll(&mut polled, Some(&now))), Ok(1..))
}

/// Field 22 of a `stat` file. The name of the program, in brackets, may itself hold brackets and blanks.
fn start_time(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_start_time_behind_a_hostile_name() {
        let fields = (3..=22).map(|number| number.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(start_time(&format!("7 (a) b 1 2) {fields} 23")), Some(22));
        assert_eq!(start_time("7 no brackets"), None);
    }

    #[test]
    fn opens_this_process_and_no_later_one_with_its_number() {
        let me = of(rustix::process::getpid()).unwrap();
        assert!(open(me).is_some());
        assert!(
            open(ProcessId {
                start_time: me.start_time + 1,
                ..me
            })
            .is_none()
        );
    }
}
