//! `kill`: a signal, and the wait for the end.

use crate::container::watch::Watch;
use crate::container::{self, Folder, life};
use crate::context::Context;
use crate::fail::failed;
use crate::journal;
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
    let folder = Folder::open(context, &args.container)?;
    let state = life::look(context, &folder)?.ok_or_else(|| missing(&args.container))?;
    let Some(signal) = signal else {
        return answer(recorded(context, &folder, &Watch::new(&folder.fd)?, None)?, false);
    };
    if !life::runs(&state) {
        return over(state, args.wait_seconds.is_some());
    }
    life::check_reach(&folder, &state)?;
    if args.last {
        folder.mark_stopped(true)?;
    }
    let forced = match state.process.and_then(process_id::open) {
        Some(process) => strike(context, &folder, args, &process, signal)?,
        None if args.last => dismiss(&state)?,
        None => return over(state, false),
    };
    if args.wait_seconds.is_none() {
        return answer(None, false);
    }
    let due = Instant::now() + RECORDING;
    let ended = recorded(context, &folder, &Watch::soon(&folder.fd)?, Some(due))?;
    journal::of_container(context, &folder, "stop", &[]);
    answer(ended, forced)
}

fn answer(ended: Option<Ended>, forced: bool) -> Result<Reply, Failure> {
    Ok(Reply::Kill(reply::Kill { ended, forced }))
}

/// Sends the signal and, where it is to be waited for, SIGKILL when the time is over; true when that was needed.
fn strike(context: &Context, folder: &Folder, args: &Kill, process: &OwnedFd, signal: Signal) -> Result<bool, Failure> {
    send(process, signal, &args.container)?;
    journal::of_container(context, folder, "kill", &[("signal", &signal.as_raw().to_string())]);
    let thaw = || container::group(context, folder).map(|group| group.thaw()).unwrap_or_default();
    // A frozen process takes no signal before it goes on.
    if args.last {
        thaw();
    }
    let Some(seconds) = args.wait_seconds else { return Ok(false) };
    if ends_within(process, Some(Duration::from_secs(seconds.into())))? {
        return Ok(false);
    }
    journal::of_container(context, folder, "kill", &[("signal", "9")]);
    thaw();
    life::end(process)?;
    Ok(true)
}

/// Tells a monitor that waits to start the process again that it need not.
fn dismiss(state: &ContainerState) -> Result<bool, Failure> {
    if let Some(monitor) = state.monitor.and_then(process_id::open) {
        send(&monitor, Signal::TERM, &state.id)?;
    }
    Ok(false)
}

fn missing(id: &str) -> Failure {
    Failure::new(Code::NotFound, "open container", "there is no such container").subject(id)
}

/// There is no process to send anything to.
fn over(state: ContainerState, waits: bool) -> Result<Reply, Failure> {
    if waits {
        return answer(state.ended, false);
    }
    Err(Failure::new(Code::Conflict, "kill container", "the container is not running").subject(state.id))
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
fn recorded(context: &Context, folder: &Folder, watch: &Watch, due: Option<Instant>) -> Result<Option<Ended>, Failure> {
    loop {
        match life::look(context, folder)? {
            Some(state) if life::runs(&state) && due.is_none_or(|due| Instant::now() < due) => drop(watch.wait(None, Some(LOOK))?),
            Some(state) => return Ok(state.ended),
            None => return Ok(None),
        }
    }
}
