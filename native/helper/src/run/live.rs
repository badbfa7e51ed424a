//! The life of a container in its monitor: run, end, perhaps a pause and another run (`docker run --restart`).

use crate::container::{self, Folder};
use crate::fail::cancelled;
use crate::journal;
use crate::run::caller::Caller;
use crate::run::container::{Over, Running, record};
use crate::run::ended;
use crate::run::engine::Listener;
use berth_monitor::Clients;
use berth_sys::signal::SignalFd;
use berth_wire::reply::{ContainerState, Ended};
use berth_wire::request::{Restart, RestartPolicy, Start};
use rustix::event::{PollFd, PollFlags, Timespec};
use std::time::{Duration, Instant};

/// The first pause before a restart; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A run that lasted so long was a good one: the next pause is short again.
const GOOD_RUN: Duration = Duration::from_secs(10);

/// Attends a container until it has ended for good. The caller hears of the end of the first run, or of none when it has left before.
pub(crate) fn live(mut running: Running<'_>, mut engine: Option<&mut Listener<'_>>, caller: &mut Caller<'_>) {
    let mut pause = Duration::ZERO;
    loop {
        let began = Instant::now();
        let attached = if caller.waits() { engine.as_deref_mut() } else { None };
        let over = running.attend(attached, Some(&mut *caller));
        let clients = running.farewell(&over.ended);
        if !wants_restart(&running.folder, &over, running.state.restarts) {
            let ended = over.ended.clone();
            running.record(&ended);
            return caller.answer(match over.failure {
                Some(failure) => Err(failure),
                None if over.abandoned => Err(cancelled()),
                None => Ok(ended),
            });
        }
        caller.answer(Ok(over.ended.clone()));
        pause = next_pause(pause, began.elapsed());
        match restart(running, over.ended, clients, pause) {
            Some(next) => running = next,
            None => return,
        }
    }
}

/// As Docker: a failed run is one that did not end with 0; who stopped the container wants it stopped. The policy may have been changed meanwhile.
fn wants_restart(folder: &Folder, over: &Over, restarts: u32) -> bool {
    if over.told || over.abandoned || folder.is_stopped() {
        return false;
    }
    let Ok(Start { life: Some(life), .. }) = folder.read(container::folder::ORDER) else {
        return false;
    };
    let Restart { policy, max_retries } = life.restart;
    match policy {
        RestartPolicy::No => false,
        RestartPolicy::Always | RestartPolicy::UnlessStopped => true,
        RestartPolicy::OnFailure => over.ended.exit_code != Some(0) && (max_retries == 0 || restarts < max_retries),
    }
}

fn next_pause(last: Duration, run: Duration) -> Duration {
    if last.is_zero() || run >= GOOD_RUN {
        FIRST_PAUSE
    } else {
        last.saturating_mul(2).min(LONGEST_PAUSE)
    }
}

/// Waits and starts again; `None` when it was stopped meanwhile, or cannot be started any more. The end is recorded then.
fn restart<'a>(running: Running<'a>, ended: Ended, clients: Option<Clients>, pause: Duration) -> Option<Running<'a>> {
    let (context, order) = (running.context, running.order);
    let (folder, signals, state) = running.into_parts();
    let state = ContainerState {
        status: container::RESTARTING.to_owned(),
        process: None,
        finished_at: Some(berth_monitor::clock::now()),
        ended: Some(ended.clone()),
        restarts: state.restarts.saturating_add(1),
        ..state
    };
    if folder.set_state(&state).is_ok() && !folder.is_stopped() && sleep(&signals, pause) && !folder.is_stopped() {
        match Running::again(context, order, state.clone(), clients) {
            Ok(next) => return Some(next),
            Err(failure) => {
                let code = ended::not_started(&failure);
                let said = ContainerState {
                    error: Some(failure.to_string()),
                    ended: Some(code),
                    ..state
                };
                exit(context, order, &folder, said);
                return None;
            }
        }
    }
    exit(context, order, &folder, state);
    None
}

fn exit(context: &crate::context::Context, order: &crate::cmd::start::Order<'_>, folder: &Folder, state: ContainerState) {
    let state = ContainerState {
        status: container::EXITED.to_owned(),
        process: None,
        restarts: state.restarts.saturating_sub(1),
        ..state
    };
    journal::of_container(context, folder, "stop", &[]);
    record(context, order, folder, &state);
}

/// False when a signal came first.
fn sleep(signals: &SignalFd, pause: Duration) -> bool {
    let mut polled = [PollFd::new(signals, PollFlags::IN)];
    let timeout = Timespec {
        tv_sec: i64::try_from(pause.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(pause.subsec_nanos()),
    };
    matches!(
        rustix::io::retry_on_intr(|| rustix::event::poll(&mut polled, Some(&timeout))),
        Ok(0)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_until_a_run_was_good() {
        let mut pause = Duration::ZERO;
        let mut seen = Vec::new();
        for _ in 0..12 {
            pause = next_pause(pause, Duration::from_secs(1));
            seen.push(pause.as_millis());
        }
        assert_eq!(&seen[..4], [100, 200, 400, 800]);
        assert_eq!(seen[11], 60_000);
        assert_eq!(next_pause(pause, GOOD_RUN), FIRST_PAUSE);
    }
}
