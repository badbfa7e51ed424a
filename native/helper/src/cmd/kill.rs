//! `kill`: a signal, and the wait for the end.

use crate::container::watch::Watch;
use crate::container::{Folder, life};
use crate::context::Context;
use crate::fail::failed;
use crate::run::engine::parse_signal;
use berth_monitor::process_id;
use berth_wire::reply::{self, ContainerState, Ended};
use berth_wire::request::Kill;
use berth_wire::{Code, Failure, Reply};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::io::Errno;
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// How long the record of the end may follow the end itself.
const RECORDING: Duration = Duration::from_secs(10);
/// The container's monitor is asked for at least this often: it may vanish without a change in the folder.
const LOOK: Duration = Duration::from_secs(1);

pub(crate) fn run(context: &Context, args: &Kill) -> Result<Reply, Failure> {
    let signal = if args.signal.is_empty() {
        None
    } else {
        Some(parse_signal(&args.signal)?)
    };
    let waits = signal.is_none() || args.wait_seconds.is_some();
    let folder = Folder::open(context, &args.container)?;
    let watch = Watch::new(&folder.fd)?;
    let state = life::look(context, &folder)?.ok_or_else(|| missing(&args.container))?;
    let process = state.process.filter(|_| life::runs(&state)).and_then(process_id::open);
    let Some(process) = process else {
        return over(context, &folder, &watch, state, waits);
    };
    if let Some(signal) = signal {
        send(&process, signal, &args.container)?;
    }
    if !waits {
        return Ok(Reply::Kill(reply::Kill {
            ended: None,
            forced: false,
        }));
    }
    let patience = args.wait_seconds.map(|seconds| Duration::from_secs(seconds.into()));
    let forced = !ends_within(&process, patience)?;
    if forced {
        life::end(&process)?;
    }
    Ok(Reply::Kill(reply::Kill {
        ended: recorded(context, &folder, &watch)?,
        forced,
    }))
}

fn missing(id: &str) -> Failure {
    Failure::new(Code::NotFound, "open container", "there is no such container").subject(id)
}

/// There is no process to send anything to.
fn over(context: &Context, folder: &Folder, watch: &Watch, state: ContainerState, waits: bool) -> Result<Reply, Failure> {
    if !waits {
        return Err(Failure::new(Code::Conflict, "kill container", "the container is not running").subject(state.id));
    }
    let ended = if life::runs(&state) {
        recorded(context, folder, watch)?
    } else {
        state.ended
    };
    Ok(Reply::Kill(reply::Kill { ended, forced: false }))
}

fn send(process: &OwnedFd, signal: Signal, id: &str) -> Result<(), Failure> {
    match rustix::process::pidfd_send_signal(process, signal) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(failed("kill")(error).subject(id)),
    }
}

/// Waits for the end of a process; false when the time was over first.
fn ends_within(process: &OwnedFd, patience: Option<Duration>) -> Result<bool, Failure> {
    let timeout = patience.map(|time| rustix::event::Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: 0,
    });
    let mut polled = [rustix::event::PollFd::from_borrowed_fd(
        process.as_fd(),
        rustix::event::PollFlags::IN,
    )];
    let ready = rustix::io::retry_on_intr(|| rustix::event::poll(&mut polled, timeout.as_ref())).map_err(failed("poll"))?;
    Ok(ready > 0)
}

/// The end as the monitor records it. A container that nobody keeps leaves no record.
fn recorded(context: &Context, folder: &Folder, watch: &Watch) -> Result<Option<Ended>, Failure> {
    let due = Instant::now() + RECORDING;
    loop {
        match life::look(context, folder)? {
            Some(state) if life::runs(&state) && Instant::now() < due => watch.wait(None, Some(LOOK))?,
            Some(state) => return Ok(state.ended),
            None => return Ok(None),
        }
    }
}
