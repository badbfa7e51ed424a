//! `series --locks`: who starts a series gets the locks of the store from the same start of a program, at the other end of a socket on fd 3.
//!
//! They are kept by a process of their own, that of the word `lock`: it serves while the series is busy, outlives it, and ends with its socket.

use crate::channel::Status;
use crate::cmd;
use crate::fail::failed;
use berth_sys::process::{self, Forked, Namespaces};
use rustix::fd::{AsFd as _, BorrowedFd, RawFd};
use rustix::fs::{Mode, OFlags};
use std::ffi::OsString;

/// The word after that of the series.
const WORD: &str = "--locks";
/// The word of who keeps locks.
const LOCK: &str = "lock";
const SOCKET: RawFd = 3;

/// Takes [`WORD`] off the words of this program; where it is there, returns in a second process too, as if that had been started for `lock`.
/// Call it before descriptors are closed and before the program is started anew.
pub(crate) fn part(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let asked = arguments.get(1).is_some_and(|word| word == cmd::SERIES) && arguments.get(2).is_some_and(|word| word == WORD);
    if !asked {
        return arguments;
    }
    arguments.remove(2);
    let Ok(socket) = process::inherited(SOCKET) else {
        return arguments;
    };
    match process::fork(Namespaces::NONE) {
        Ok(Forked::Child) => match take(socket) {
            Ok(()) => arguments.into_iter().take(1).chain([LOCK.into()]).collect(),
            Err(_) => process::exit_now(1),
        },
        Ok(Forked::Parent(_)) => arguments,
        Err(error) => {
            Status::at(socket).failure(failed("fork keeper of locks")(error));
            arguments
        }
    }
}

/// Makes the socket what fd 0 and fd 2 are to an operation; nothing comes on fd 1.
fn take(socket: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let null = rustix::fs::open("/dev/null", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(socket)?;
    rustix::stdio::dup2_stdout(null.as_fd())?;
    rustix::stdio::dup2_stderr(socket)
}
