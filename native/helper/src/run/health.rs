//! HEALTHCHECK with Docker's semantics, in a process of its own beside the monitor: it joins the container again and again, and writes down what it
//! finds. It ends with the container or the monitor, whichever is first.

use crate::cmd::exec::{self, Ends, Target};
use crate::cmd::start::Order;
use crate::container::folder::HEALTH;
use crate::container::{self, Folder};
use crate::context::Context;
use crate::fail::failed;
use crate::journal::{self, Joined};
use crate::run::caller;
use crate::run::launch::{self, Launched};
use crate::run::pipes;
use crate::run::spawn;
use berth_jail::plan::Filter;
use berth_jail::report;
use berth_monitor::{clock, process_id};
use berth_sys::process::{self, Child, Forked, Namespaces};
use berth_wire::Failure;
use berth_wire::oci::Process;
use berth_wire::reply::{HealthResult, HealthState};
use berth_wire::request::Health;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use rustix::process::Signal;
use std::time::{Duration, Instant};

const STARTING: &str = "starting";
const HEALTHY: &str = "healthy";
const UNHEALTHY: &str = "unhealthy";
/// Results that are kept.
const MAX_RESULTS: usize = 5;
/// The exit code of a check whose time was over.
const KILLED: i32 = 137;
/// Bytes of output that are kept of a check.
const MAX_OUTPUT: usize = 4096;

/// Before the first check.
pub(crate) fn starting() -> HealthState {
    HealthState {
        status: STARTING.to_owned(),
        failing_streak: 0,
        log: Vec::new(),
    }
}

/// The process that checks; dropped, it ends.
#[derive(Debug)]
pub(crate) struct Checker {
    child: Child,
}

impl Drop for Checker {
    fn drop(&mut self) {
        let _ = rustix::process::pidfd_send_signal(&self.child.pidfd, Signal::KILL);
        let _ = process::wait(self.child.pid);
    }
}

impl Checker {
    /// Starts checking the container behind `pidfd`, where its order says so.
    pub(crate) fn start(
        context: &Context,
        order: &Order<'_>,
        folder: &Folder,
        pidfd: &OwnedFd,
        notice: &OwnedFd,
    ) -> Result<Option<Self>, Failure> {
        let Some(health) = order.args.life.as_ref().and_then(|life| life.health.as_ref()) else {
            return Ok(None);
        };
        match process::fork(Namespaces::NONE).map_err(failed("fork health check"))? {
            Forked::Child => {
                let code = check(context, order, folder, pidfd, notice, health);
                process::exit_now(i32::from(code.is_err()))
            }
            Forked::Parent(child) => Ok(Some(Self { child })),
        }
    }
}

fn check(context: &Context, order: &Order<'_>, folder: &Folder, pidfd: &OwnedFd, notice: &OwnedFd, health: &Health) -> Result<(), Failure> {
    let kept = [context.store.as_fd(), folder.fd.as_fd(), pidfd.as_fd(), notice.as_fd()];
    process::close_all_but(0, &kept).map_err(failed("close_range"))?;
    // Its own standard descriptors belong to the engine's conversation, in which it has no part.
    caller::leave()?;
    process::die_with_parent().map_err(failed("prctl PR_SET_PDEATHSIG"))?;
    let target = Target {
        pidfd: rustix::io::fcntl_dupfd_cloexec(pidfd, 3).map_err(failed("dup"))?,
        namespaces: order.namespaces.and(spawn::shared(order.args.life.as_ref())?),
        enters_user_namespace: false,
        cgroup: order.cgroup(context)?,
        spec: order.args.config.clone(),
        filter: order.filter.as_ref().map(|filter| Filter {
            instructions: filter.instructions.clone(),
            log: filter.log,
        }),
        user_namespace: order.user_namespace,
        nodes_only: folder.is_nodes_only(),
    };
    let process = Process {
        args: health.args.clone(),
        terminal: false,
        ..order.args.config.process.clone()
    };
    let began = Instant::now();
    let mut state = starting();
    loop {
        let in_start = began.elapsed() < Duration::from_millis(health.start_period);
        let pause = if in_start && state.status == STARTING {
            health.start_interval
        } else {
            health.interval
        };
        if !sleep(&[pidfd, notice], Duration::from_millis(pause)) {
            return Ok(());
        }
        if container::group(context, folder).is_ok_and(|group| group.is_frozen()) {
            continue;
        }
        let in_start = began.elapsed() < Duration::from_millis(health.start_period);
        let joined = Joined::new(folder, &process.args);
        let result = probe((context, joined.as_ref()), &process, &target, health.timeout);
        if process_id::has_ended(pidfd) {
            return Ok(());
        }
        let before = state.status.clone();
        judge(&mut state, result, in_start, health.retries);
        folder.note(HEALTH, &state)?;
        if state.status != before {
            journal::of_container(context, folder, &format!("health_status: {}", state.status), &[]);
        }
    }
}

/// Waits; false when one of `ends` came first.
fn sleep(ends: &[&OwnedFd], time: Duration) -> bool {
    let mut polled: Vec<_> = ends.iter().map(|fd| PollFd::new(*fd, PollFlags::IN)).collect();
    matches!(
        rustix::io::retry_on_intr(|| rustix::event::poll(&mut polled, Some(&timespec(time)))),
        Ok(0)
    )
}

fn timespec(time: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(time.subsec_nanos()),
    }
}

/// What a result means: a failure in the start period of a container that was never healthy does not count.
fn judge(state: &mut HealthState, result: HealthResult, in_start: bool, retries: u32) {
    if result.exit_code == 0 {
        state.failing_streak = 0;
        HEALTHY.clone_into(&mut state.status);
    } else if !(in_start && state.status == STARTING) {
        state.failing_streak = state.failing_streak.saturating_add(1);
        if state.failing_streak >= retries {
            UNHEALTHY.clone_into(&mut state.status);
        }
    }
    state.log.push(result);
    let surplus = state.log.len().saturating_sub(MAX_RESULTS);
    state.log.drain(..surplus);
}

/// Runs the check once.
fn probe((context, joined): (&Context, Option<&Joined>), process: &Process, target: &Target, timeout: u64) -> HealthResult {
    let start = clock::now();
    if let Some(joined) = joined {
        joined.begins(context);
    }
    let (exit_code, output) = match run(context, process, target, Duration::from_millis(timeout)) {
        Ok((Some(code), output)) => (code, output.text()),
        Ok((None, output)) => {
            let said = output.text();
            let separator = if said.is_empty() { "" } else { ": " };
            (
                -1,
                format!("Health check exceeded timeout ({}){separator}{said}", go_duration(timeout)),
            )
        }
        Err(failure) => (-1, failure.to_string()),
    };
    if let Some(joined) = joined {
        joined.ends(context, if exit_code < 0 { KILLED } else { exit_code });
    }
    HealthResult {
        start,
        end: clock::now(),
        exit_code,
        output,
    }
}

/// Milliseconds as Go prints a duration: `1m30s`, `500ms`.
fn go_duration(milliseconds: u64) -> String {
    let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
    if seconds == 0 {
        return if rest == 0 { "0s".to_owned() } else { format!("{rest}ms") };
    }
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let fraction = if rest == 0 {
        String::new()
    } else {
        format!(".{rest:03}").trim_end_matches('0').to_owned()
    };
    let tail = format!("{}{fraction}s", seconds % 60);
    match (hours, minutes) {
        (0, 0) => tail,
        (0, minutes) => format!("{minutes}m{tail}"),
        (hours, minutes) => format!("{hours}h{minutes}m{tail}"),
    }
}

/// Output as it came from both streams; what is over the limit is read and dropped.
#[derive(Default)]
struct Output {
    bytes: Vec<u8>,
    cut: bool,
}

impl Output {
    fn take(&mut self, bytes: &[u8]) {
        let room = MAX_OUTPUT.saturating_sub(self.bytes.len());
        self.cut |= bytes.len() > room;
        self.bytes.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.bytes).into_owned();
        if self.cut { format!("{text}...") } else { text }
    }
}

/// The exit code of the check, or `None` when its time was over.
fn run(context: &Context, process: &Process, target: &Target, timeout: Duration) -> Result<(Option<i32>, Output), Failure> {
    let due = Instant::now() + timeout;
    let (receiver, reporter) = report::channel()?;
    let (notice, life) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(failed("pipe"))?;
    let (streams, stdio) = pipes::make(false, false)?;
    let ends = Ends { reporter, notice, stdio };
    let Some(child) = exec::join(process, target, ends, &life)? else {
        return Err(exec::last_words(&receiver));
    };
    let followed = launch::follow(&child, &receiver, None, &context.status, &mut Launched::default());
    followed?;
    let mut pipes = streams.into_outputs();
    let mut output = Output::default();
    loop {
        let left = due.saturating_duration_since(Instant::now());
        let mut polled = vec![PollFd::new(&child.pidfd, PollFlags::IN)];
        polled.extend(pipes.iter().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        rustix::io::retry_on_intr(|| rustix::event::poll(&mut polled, Some(&timespec(left)))).map_err(failed("poll"))?;
        let ended = polled.first().is_some_and(|one| !one.revents().is_empty());
        pipes.retain(|pipe| drain(pipe, &mut output));
        if ended {
            let exit = process::wait(child.pid).map_err(failed("wait for health check"))?;
            pipes.retain(|pipe| drain(pipe, &mut output));
            return Ok((Some(exit.status.shell_code()), output));
        }
        if Instant::now() >= due {
            let _ = rustix::process::pidfd_send_signal(&child.pidfd, Signal::KILL);
            let _ = process::wait(child.pid);
            return Ok((None, output));
        }
    }
}

/// Reads what is there; false when the other end is closed.
fn drain(pipe: &OwnedFd, output: &mut Output) -> bool {
    let mut buffer = [0_u8; 4096];
    loop {
        match rustix::io::retry_on_intr(|| rustix::io::read(pipe, &mut buffer)) {
            Ok(0) => return false,
            Ok(length) => output.take(buffer.get(..length).unwrap_or_default()),
            Err(Errno::AGAIN) => return true,
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(exit_code: i32) -> HealthResult {
        HealthResult {
            start: String::new(),
            end: String::new(),
            exit_code,
            output: String::new(),
        }
    }

    #[test]
    fn failures_count_after_the_start_period_or_the_first_success() {
        let mut state = starting();
        judge(&mut state, result(1), true, 2);
        assert_eq!((state.status.as_str(), state.failing_streak), (STARTING, 0));
        judge(&mut state, result(0), true, 2);
        judge(&mut state, result(1), true, 2);
        assert_eq!((state.status.as_str(), state.failing_streak), (HEALTHY, 1));
        judge(&mut state, result(-1), false, 2);
        assert_eq!((state.status.as_str(), state.failing_streak), (UNHEALTHY, 2));
        judge(&mut state, result(0), false, 2);
        assert_eq!((state.status.as_str(), state.failing_streak), (HEALTHY, 0));
        judge(&mut state, result(0), false, 2);
        assert_eq!(state.log.len(), MAX_RESULTS);
    }

    #[test]
    fn durations_are_written_as_go_does() {
        let cases = [
            (0, "0s"),
            (500, "500ms"),
            (1500, "1.5s"),
            (30_000, "30s"),
            (90_000, "1m30s"),
            (3_600_000, "1h0m0s"),
        ];
        for (milliseconds, text) in cases {
            assert_eq!(go_duration(milliseconds), text);
        }
    }

    #[test]
    fn long_output_is_cut_with_dots() {
        let mut output = Output::default();
        output.take(&[b'x'; MAX_OUTPUT]);
        assert_eq!(output.text().len(), MAX_OUTPUT);
        output.take(b"y");
        assert!(output.text().ends_with("x..."));
    }
}
