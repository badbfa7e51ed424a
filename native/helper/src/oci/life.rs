//! What happens to a container that is there: `start`, `kill`, `delete`, `pause`, `resume`, and the wait of `run`.

use crate::fail::{failed, failed_on};
use crate::oci::config::Config;
use crate::oci::container::{Container, Record, Status, group};
use crate::oci::{Runtime, console, hooks};
use berth_jail::Message;
use berth_jail::report::{Packet, Receiver};
use berth_monitor::process_id;
use berth_sys::process::{self, Child};
use berth_sys::signal::SignalFd;
use berth_wire::{Code, Failure};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::{Pid, Signal};

/// How long the kernel may take to end a killed process, in seconds.
const PATIENCE: i64 = 10;
/// Signals that a waiting `run` or `exec` hands on.
pub(crate) const HANDED_ON: [Signal; 11] = [
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    Signal::USR1,
    Signal::USR2,
    Signal::TERM,
    Signal::CONT,
    Signal::TSTP,
    Signal::WINCH,
    Signal::ALARM,
    Signal::POWER,
];

fn conflict(step: &str, container: &Container, message: String) -> Failure {
    Failure::new(Code::Conflict, step, message).subject(container.id.clone())
}

/// Lets the program of a created container run.
pub(crate) fn start(runtime: &Runtime, container: &mut Container, record: &Record, config: &Config) -> Result<(), Failure> {
    let status = container.status(record);
    if status != Status::Created {
        let message = format!("cannot start a container that is {}: only a created one can be", status.word());
        return Err(conflict("start container", container, message));
    }
    if !config.has_process {
        let message = "cannot start a container whose configuration has no process".to_owned();
        return Err(conflict("start container", container, message));
    }
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).map_err(failed("socket"))?;
    let address = SocketAddrUnix::new(container.socket()).map_err(failed("connect"))?;
    rustix::net::connect(&socket, &address).map_err(failed_on("start container", &container.id))?;
    container.forget_socket();
    // It has been started once and for all. Hooks take what time they take, and nobody has to wait for them.
    container.unlock();
    await_exec(&Receiver { socket })?;
    let state = serde_json::to_vec(&container.state(record, Status::Running)).unwrap_or_default();
    hooks::run(&config.hooks.poststart, &state).inspect_err(|_| {
        if let Err(failure) = end(container, record) {
            runtime.warn(&failure.to_string());
        }
    })
}

/// Waits until the process has become its program.
pub(crate) fn await_exec(receiver: &Receiver) -> Result<(), Failure> {
    loop {
        match receiver.next()? {
            None => return Ok(()),
            Some(Packet {
                message: Message::Failure(failure),
                ..
            }) => return Err(failure),
            Some(_) => {}
        }
    }
}

/// Sends a signal to the first process, or with `all` to every process of the container.
pub(crate) fn kill(container: &Container, record: &Record, signal: Signal, all: bool) -> Result<(), Failure> {
    let status = container.status(record);
    if all && (status.is_live() || record.shares_pids) {
        return signal_all(record, signal);
    }
    if all && status == Status::Stopped {
        // The last process of its numbers took all others with it.
        return Ok(());
    }
    let process = record.process.filter(|_| status.is_live()).and_then(process_id::open);
    let Some(process) = process else {
        return Err(conflict(
            "kill container",
            container,
            format!("container not running: it is {}", status.word()),
        ));
    };
    send(&process, signal)?;
    if signal == Signal::KILL {
        // A frozen process dies when it goes on.
        group(record).thaw();
    }
    Ok(())
}

fn send(process: &OwnedFd, signal: Signal) -> Result<(), Failure> {
    match rustix::process::pidfd_send_signal(process, signal) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(failed("kill")(error)),
    }
}

fn signal_all(record: &Record, signal: Signal) -> Result<(), Failure> {
    let group = group(record);
    if group.is_empty() {
        let message = "there is no cgroup by which the processes of the container could be found";
        return Err(Failure::new(Code::Unsupported, "kill container", message)
            .subject(record.id.clone())
            .hint("Leave --all out: process 1 takes the others with it"));
    }
    // Standing still they make no more of their kind meanwhile; one that cannot be frozen is signalled as it runs.
    let frozen = group.is_frozen();
    let _ = group.freeze();
    let own = rustix::process::getpid();
    for pid in group.processes().into_iter().filter(|pid| *pid != own) {
        let _ = rustix::process::kill_process(pid, signal);
    }
    if !frozen || signal == Signal::KILL {
        group.thaw();
    }
    Ok(())
}

/// Kills a container and waits until its first process is gone.
fn end(container: &Container, record: &Record) -> Result<(), Failure> {
    let Some(process) = record.process.and_then(process_id::open) else {
        return Ok(());
    };
    send(&process, Signal::KILL)?;
    group(record).thaw();
    let patience = Timespec {
        tv_sec: PATIENCE,
        tv_nsec: 0,
    };
    let mut polled = [PollFd::new(&process, PollFlags::IN)];
    match rustix::io::retry_on_intr(|| rustix::event::poll(&mut polled, Some(&patience))).map_err(failed("poll"))? {
        0 => Err(conflict(
            "kill container",
            container,
            "its process is stuck in the kernel".to_owned(),
        )),
        _ => Ok(()),
    }
}

/// Removes what is left of a container; with `force` also one that runs.
pub(crate) fn delete(runtime: &Runtime, container: &mut Container, force: bool) -> Result<(), Failure> {
    let record = match container.record() {
        Ok(record) => record,
        // Its maker died before it had written anything.
        Err(failure) if failure.code == Code::NotFound => return container.remove(),
        Err(failure) if failure.code == Code::Invalid && force => {
            runtime.warn(&format!(
                "processes and cgroups of the container may be left, since its record is broken: {failure}"
            ));
            return container.remove();
        }
        Err(failure) if failure.code == Code::Invalid => return Err(failure.hint("Give --force to remove the record alone")),
        Err(failure) => return Err(failure),
    };
    let status = container.status(&record);
    if status != Status::Stopped {
        if !force {
            let message = format!("cannot delete container {} that is not stopped: {}", container.id, status.word());
            return Err(conflict("delete container", container, message).hint("Kill it first, or give --force"));
        }
        end(container, &record)?;
    }
    let hooks = container.config(&record.bundle).map(|config| config.hooks.poststop);
    let state = serde_json::to_vec(&container.state(&record, Status::Stopped)).unwrap_or_default();
    group(&record).remove();
    container.remove()?;
    container.unlock();
    match hooks {
        Ok(hooks) => {
            for hook in &hooks {
                // The others run all the same.
                if let Err(failure) = hooks::run(std::slice::from_ref(hook), &state) {
                    runtime.warn(&failure.to_string());
                }
            }
        }
        Err(failure) => runtime.warn(&failure.to_string()),
    }
    Ok(())
}

/// Stops every process where it stands, or lets them go on.
pub(crate) fn pause(container: &Container, record: &Record, frozen: bool) -> Result<(), Failure> {
    let status = container.status(record);
    let word = status.word();
    match (frozen, status) {
        (true, Status::Running | Status::Created) => group(record).freeze(),
        (false, Status::Paused) => {
            group(record).thaw();
            Ok(())
        }
        (true, _) => Err(conflict(
            "pause container",
            container,
            format!("cannot pause a container that is {word}"),
        )),
        (false, _) => Err(conflict(
            "resume container",
            container,
            format!("cannot resume a container that is {word}"),
        )),
    }
}

/// Hands signals on to a process of the container until it has ended; gives its code. With a terminal, carries its bytes meanwhile.
pub(crate) fn attend(child: &Child, terminal: Option<&OwnedFd>, signals: &SignalFd) -> Result<i32, Failure> {
    let hand_on = |number: i32| hand_on(child.pid, number);
    match terminal {
        Some(terminal) => console::attend(terminal, &child.pidfd, signals, hand_on)?,
        None => loop {
            let mut polled = [PollFd::new(&child.pidfd, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
            rustix::io::retry_on_intr(|| rustix::event::poll(&mut polled, None)).map_err(failed("poll"))?;
            let ended = polled.first().is_some_and(|one| !one.revents().is_empty());
            while let Ok(Some(number)) = signals.next() {
                hand_on(number);
            }
            if ended {
                break;
            }
        },
    }
    Ok(process::wait(child.pid).map_err(failed("wait"))?.status.shell_code())
}

/// The child is not waited for before this process ends, so its number stays its own.
fn hand_on(child: Pid, number: i32) {
    if let Some(signal) = Signal::from_named_raw(number) {
        let _ = rustix::process::kill_process(child, signal);
    }
}
