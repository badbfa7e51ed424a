//! The terminal of a container: handed to whoever listens at the console socket, or attended by this process while it stays.

use crate::channel::write_all;
use crate::fail::{failed, failed_on};
use crate::oci::create::Order;
use berth_sys::signal::SignalFd;
use berth_wire::{Code, Failure};
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::io::{Errno, IoSlice};
use rustix::net::{AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType};
use rustix::termios::{OptionalActions, Termios};
use std::mem::MaybeUninit;

/// What goes with the descriptor: the name that its receivers expect one to have.
const NAME: &[u8] = b"/dev/ptmx";
const BUFFER: usize = 16 * 1024;

/// Refuses a terminal that nobody would attend, and a socket for none.
pub(crate) fn check(terminal: bool, order: &Order) -> Result<(), Failure> {
    let bad = |message: &str, hint: &str| {
        Err(Failure::new(Code::Request, "open terminal", message)
            .subject("process.terminal")
            .hint(hint))
    };
    match (terminal, order.console_socket.is_some()) {
        (true, false) if !order.keeps_terminal => bad(
            "nobody would attend the terminal when this command has ended",
            "Give --console-socket, or `run` without --detach",
        ),
        (false, true) => bad(
            "there is a console socket, and the process has no terminal",
            "Leave --console-socket out",
        ),
        _ => Ok(()),
    }
}

/// Connects to a console socket.
pub(crate) fn connect(path: &str) -> Result<OwnedFd, Failure> {
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).map_err(failed("socket"))?;
    let address = SocketAddrUnix::new(path).map_err(failed_on("connect to console socket", path))?;
    rustix::net::connect(&socket, &address).map_err(failed_on("connect to console socket", path))?;
    Ok(socket)
}

/// Hands a terminal over.
pub(crate) fn send(socket: &OwnedFd, master: &OwnedFd) -> Result<(), Failure> {
    let descriptors = [master.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    rustix::net::sendmsg(socket, &[IoSlice::new(NAME)], &mut control, SendFlags::NOSIGNAL)
        .map(drop)
        .map_err(failed("send terminal"))
}

/// Carries bytes between this process's terminal and the container's, until `child` has ended and all is written.
pub(crate) fn attend(master: &OwnedFd, child: &OwnedFd, signals: &SignalFd, mut on_signal: impl FnMut(i32)) -> Result<(), Failure> {
    let _raw = Raw::set();
    resize(master);
    let (mut input, mut ended) = (true, false);
    loop {
        let stdin = rustix::stdio::stdin();
        let mut polled = vec![PollFd::new(master, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
        if !ended {
            polled.push(PollFd::new(child, PollFlags::IN));
        }
        if input {
            polled.push(PollFd::from_borrowed_fd(stdin, PollFlags::IN));
        }
        // What is written before the end is read after it, but nothing is waited for any more.
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        let ready = rustix::io::retry_on_intr(|| rustix::event::poll(&mut polled, ended.then_some(&now))).map_err(failed("poll"))?;
        let is = |at: usize| polled.get(at).is_some_and(|one| !one.revents().is_empty());
        let (output, signalled, over) = (is(0), is(1), !ended && is(2));
        let typed = input && is(if ended { 2 } else { 3 });
        drop(polled);
        if signalled {
            while let Ok(Some(number)) = signals.next() {
                if number == rustix::process::Signal::WINCH.as_raw() {
                    resize(master);
                } else {
                    on_signal(number);
                }
            }
        }
        if output && !pass(master.as_fd(), rustix::stdio::stdout()) {
            return Ok(());
        }
        if typed {
            input = pass(stdin, master.as_fd());
        }
        if ended && ready == 0 {
            return Ok(());
        }
        ended |= over;
    }
}

/// Carries what there is; false at the end.
fn pass(from: rustix::fd::BorrowedFd<'_>, to: rustix::fd::BorrowedFd<'_>) -> bool {
    let mut buffer = [0; BUFFER];
    match rustix::io::retry_on_intr(|| rustix::io::read(from, &mut buffer)) {
        Ok(length @ 1..) => write_all(to, buffer.get(..length).unwrap_or_default()).is_ok(),
        Err(Errno::AGAIN) => true,
        // A terminal whose last user has gone answers EIO.
        Ok(0) | Err(_) => false,
    }
}

fn resize(master: &OwnedFd) {
    if let Ok(size) = rustix::termios::tcgetwinsize(rustix::stdio::stdin()) {
        let _ = rustix::termios::tcsetwinsize(master, size);
    }
}

/// This process's terminal without a mind of its own; as it was when this value goes.
struct Raw(Option<Termios>);

impl Raw {
    fn set() -> Self {
        let stdin = rustix::stdio::stdin();
        let Ok(before) = rustix::termios::tcgetattr(stdin) else {
            return Self(None);
        };
        let mut raw = before.clone();
        raw.make_raw();
        let set = rustix::termios::tcsetattr(stdin, OptionalActions::Now, &raw);
        Self(set.ok().map(|()| before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = rustix::termios::tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, before);
        }
    }
}
