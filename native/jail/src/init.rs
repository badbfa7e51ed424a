//! A minimal process 1: it starts the real process, hands signals on to it, and reaps what is left behind.

use crate::fail::failed;
use berth_sys::process::{self, Forked, Namespaces, Status};
use berth_sys::signal::SignalFd;
use berth_wire::Failure;
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Mode, OFlags};
use rustix::process::{DumpableBehavior, Pid, Signal};

/// The code of a process 1 that cannot go on: it takes the container with it.
const LOST: i32 = 125;

/// Signals that process 1 hands on. SIGCHLD is its own; SIGKILL and SIGSTOP cannot be caught.
const HANDED_ON: [Signal; 13] = [
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    Signal::USR1,
    Signal::USR2,
    Signal::TERM,
    Signal::PIPE,
    Signal::ALARM,
    Signal::CONT,
    Signal::TSTP,
    Signal::WINCH,
    Signal::POWER,
    Signal::URG,
];

/// Forks. The child returns and goes on to become the real process; process 1 stays here and ends with the child's code. Its rights are those of
/// the process already.
pub(crate) fn interpose(user_namespace: bool) -> Result<(), Failure> {
    let signals = handled();
    SignalFd::block(&signals).map_err(failed("signalfd"))?;
    // In a pid namespace that is not its own it is not process 1, to which orphans come.
    if !rustix::process::getpid().is_init() {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid())).map_err(failed("prctl PR_SET_CHILD_SUBREAPER"))?;
    }
    match process::fork(Namespaces::NONE).map_err(failed("fork"))? {
        Forked::Child => {
            rustix::process::setsid().map_err(failed("setsid"))?;
            berth_sys::signal::reset().map_err(failed("reset signals"))
        }
        Forked::Parent(child) => attend(child.pid, &signals, user_namespace),
    }
}

fn handled() -> Vec<Signal> {
    HANDED_ON.iter().copied().chain([Signal::CHILD]).collect()
}

fn attend(child: Pid, signals: &[Signal], user_namespace: bool) -> ! {
    if user_namespace {
        // Its memory was set up outside the user namespace: only like this may `exec` and the port proxy, which have rights inside it alone, join
        // the namespaces of this process. Whoever could look into it in the container has the same rights as it has.
        let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable);
    }
    detach();
    let _ = rustix::thread::set_name(c"berth-init");
    // The signals are blocked since before the fork: none is lost.
    let Ok(signals) = SignalFd::block(signals) else {
        process::exit_now(LOST)
    };
    loop {
        let mut polled = [PollFd::new(&signals, PollFlags::IN)];
        let _ = rustix::event::poll(&mut polled, None);
        while let Ok(Some(number)) = signals.next() {
            hand_on(child, number);
        }
        if let Some(status) = reap(child) {
            process::exit_now(status.shell_code());
        }
    }
}

/// Lets go of every descriptor: the container's output ends with the real process, and the parent must see that exec worked.
fn detach() {
    if let Ok(null) = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()) {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&null);
        let _ = rustix::stdio::dup2_stderr(&null);
    }
    // This process never returns, so no owner of a closed descriptor is ever dropped.
    if process::close_from(3).is_err() {
        process::exit_now(LOST);
    }
}

/// The child is not reaped before this process ends, so its number stays its own.
fn hand_on(child: Pid, number: i32) {
    if number == Signal::CHILD.as_raw() {
        return;
    }
    if let Some(signal) = Signal::from_named_raw(number) {
        let _ = rustix::process::kill_process(child, signal);
    }
}

/// Collects everything that has ended; the status of the real process when it is among them.
fn reap(wanted: Pid) -> Option<Status> {
    while let Ok(Some((pid, exit))) = process::reap_any(false) {
        if pid == wanted {
            return Some(exit.status);
        }
    }
    None
}
