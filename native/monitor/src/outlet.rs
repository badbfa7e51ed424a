//! Frames on their way to the engine. What it does not take stops the process that writes: memory stays bounded.

use crate::streams::Source;
use berth_wire::frame::{self, Kind};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::OFlags;
use rustix::io::Errno;

/// Bytes that may wait before nothing more is read from the process.
const FULL: usize = 256 * 1024;

/// fd 1 while the engine listens, or the socket of a client.
#[derive(Debug)]
pub(crate) struct Outlet<F> {
    fd: Option<F>,
    pending: Vec<u8>,
    sent: usize,
}

impl<F: AsFd> Outlet<F> {
    pub(crate) fn new(fd: Option<F>) -> Self {
        if let Some(fd) = &fd {
            // A descriptor that stays blocking only delays the answer to other events.
            let _ = rustix::fs::fcntl_getfl(fd).and_then(|flags| rustix::fs::fcntl_setfl(fd, flags | OFlags::NONBLOCK));
        }
        Self {
            fd,
            pending: Vec::new(),
            sent: 0,
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.pending.len().saturating_sub(self.sent) >= FULL
    }

    /// The descriptor to poll for writing, while something waits.
    pub(crate) fn waiting(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().filter(|_| self.sent < self.pending.len()).map(AsFd::as_fd)
    }

    /// The descriptor, while somebody listens.
    pub(crate) fn open(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(AsFd::as_fd)
    }

    pub(crate) fn push(&mut self, source: Source, bytes: &[u8]) {
        self.frame(if source == Source::Error { Kind::ErrorData } else { Kind::Data }, bytes);
    }

    pub(crate) fn frame(&mut self, kind: Kind, bytes: &[u8]) {
        let Ok(length) = u32::try_from(bytes.len()) else { return };
        if self.fd.is_some() {
            self.pending.extend_from_slice(&frame::head(kind, length));
            self.pending.extend_from_slice(bytes);
        }
    }

    /// Writes what the engine takes. False when it has gone.
    pub(crate) fn flush(&mut self) -> bool {
        while let Some(fd) = self.waiting() {
            match rustix::io::write(fd, self.pending.get(self.sent..).unwrap_or_default()) {
                Ok(done) => self.sent = self.sent.saturating_add(done),
                Err(Errno::AGAIN) => return true,
                Err(Errno::INTR) => {}
                Err(_) => {
                    self.abandon();
                    return false;
                }
            }
        }
        self.pending.clear();
        self.sent = 0;
        true
    }

    /// Forgets what waits, and takes nothing more.
    pub(crate) fn abandon(&mut self) {
        self.fd = None;
        self.pending.clear();
        self.sent = 0;
    }
}
