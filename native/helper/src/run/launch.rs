//! From a fork to exec: the parent's part.

use crate::channel::{self, Status};
use crate::container::stubs;
use crate::fail::{cancelled, failed};
use crate::run::engine::Listener;
use berth_jail::report::{Packet, Receiver};
use berth_jail::{Message, Stub};
use berth_monitor::{Command, Engine as _};
use berth_sys::process::{self, Child};
use berth_wire::Failure;
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::process::Signal;

/// What a process told on its way to exec.
#[derive(Debug, Default)]
pub(crate) struct Launched {
    pub(crate) stubs: Vec<Stub>,
    pub(crate) terminal: Option<OwnedFd>,
    /// What the engine said meanwhile.
    pub(crate) commands: Vec<Command>,
}

/// Follows `child` until it has become its program. On a failure it is dead and waited for; stubs are told through `launched` all the same.
pub(crate) fn follow(
    child: &Child,
    receiver: &Receiver,
    engine: Option<&mut Listener<'_>>,
    status: &Status,
    launched: &mut Launched,
) -> Result<(), Failure> {
    let result = converse(receiver, engine, status, launched);
    if result.is_err() {
        let _ = rustix::process::pidfd_send_signal(&child.pidfd, Signal::KILL);
        let _ = process::wait(child.pid);
    }
    result
}

fn converse(receiver: &Receiver, mut engine: Option<&mut Listener<'_>>, status: &Status, launched: &mut Launched) -> Result<(), Failure> {
    loop {
        match engine.as_mut() {
            Some(engine) => listen_until_report(receiver, engine, launched)?,
            None => channel::await_readable(receiver.socket.as_fd())?,
        }
        let Some(Packet { message, descriptor }) = receiver.next()? else {
            return Ok(());
        };
        match message {
            Message::Stub(stub) => launched.stubs.push(stub),
            Message::Warning(sentence) => status.warning(sentence),
            Message::Terminal => launched.terminal = descriptor,
            // Said to the OCI command line alone.
            Message::Prepared | Message::Ready => {}
            Message::Failure(failure) => return Err(failure),
        }
    }
}

/// Waits for the next report, with an ear on the engine.
fn listen_until_report(receiver: &Receiver, engine: &mut Listener<'_>, launched: &mut Launched) -> Result<(), Failure> {
    loop {
        let input = engine.input();
        let mut polled = [
            PollFd::new(&receiver.socket, PollFlags::IN),
            PollFd::from_borrowed_fd(input, PollFlags::IN),
        ];
        rustix::io::retry_on_intr(|| rustix::event::poll(&mut polled, None)).map_err(failed("poll"))?;
        let [report, said] = polled.map(|one| !one.revents().is_empty());
        if report {
            return Ok(());
        }
        if said {
            let commands = engine.read()?;
            if commands.contains(&Command::Gone) {
                return Err(cancelled());
            }
            launched.commands.extend(commands);
        }
    }
}

/// Removes the mount targets that were made for the process; call it when nothing of the container is mounted any more.
pub(crate) fn tidy(upper: &OwnedFd, launched: &[Stub]) {
    stubs::remove(upper.as_fd(), launched);
}
