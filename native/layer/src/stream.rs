//! Descriptors as streams of the standard library, and the messages that a child sends at its end.

use crate::error::{Error, Result};
use berth_sys::file;
use rustix::fd::{AsFd, OwnedFd};
use std::io;

/// Size of the pipes between the processes; the kernel's default of 64 KiB makes them switch too often.
const PIPE: usize = 1 << 20;
/// The longest message of a child.
const MAX_MESSAGE: usize = 4096;

/// Reads and writes a borrowed descriptor.
pub(crate) struct Stream<'a>(pub(crate) &'a OwnedFd);

impl io::Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        file::read_some(self.0, buffer).map_err(Into::into)
    }
}

/// A pipe of which no program that is executed gets an end: reading end, writing end.
pub(crate) fn pipe(large: bool) -> Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(|errno| Error::system("pipe2", errno))?;
    if large {
        // Over the user's limit it stays small, which only costs speed.
        let _ = rustix::pipe::fcntl_setpipe_size(&writer, PIPE);
    }
    Ok((reader, writer))
}

/// What a child says when it is done: its result, or the sentence why there is none.
pub(crate) type Outcome = std::result::Result<Vec<u8>, String>;

/// Send the outcome. Nobody is left to hear of a failure to do so but the parent, which takes silence for one.
pub(crate) fn send(fd: &OwnedFd, outcome: &Outcome) -> bool {
    let (tag, bytes) = match outcome {
        Ok(bytes) => (0, bytes.as_slice()),
        Err(message) => (1, message.as_bytes().get(..MAX_MESSAGE).unwrap_or(message.as_bytes())),
    };
    let mut whole = vec![tag];
    whole.extend_from_slice(bytes);
    file::write_all(fd, &whole).is_ok()
}

/// Receive the outcome; `None` when the child ended without one.
pub(crate) fn receive(fd: impl AsFd) -> Result<Option<Outcome>> {
    let mut buffer = vec![0; MAX_MESSAGE + 1];
    let length = file::read_full(fd, &mut buffer).map_err(|errno| Error::system("read", errno))?;
    buffer.truncate(length);
    Ok(match buffer.split_first() {
        None => None,
        Some((0, bytes)) => Some(Ok(bytes.to_vec())),
        Some((_, bytes)) => Some(Err(String::from_utf8_lossy(bytes).into_owned())),
    })
}
