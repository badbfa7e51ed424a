//! The ends of a process's standard streams that we hold.

use crate::fail::failed;
use berth_wire::Failure;
use rustix::fd::OwnedFd;
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::collections::VecDeque;

/// Where output comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Output,
    Error,
}

impl Source {
    /// Docker's word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Output => "stdout",
            Self::Error => "stderr",
        }
    }
}

/// Our ends. With a terminal there is one descriptor for both directions, and no standard error.
#[derive(Debug)]
pub struct Streams {
    pub(crate) input: Option<OwnedFd>,
    pub(crate) outputs: Vec<(Source, OwnedFd)>,
    pub(crate) terminal: bool,
    pub(crate) pending: VecDeque<u8>,
    pub(crate) closing: bool,
}

/// What a read gave.
pub(crate) enum Got {
    Bytes(usize),
    Nothing,
    End,
}

impl Streams {
    /// Streams over pipes.
    ///
    /// # Errors
    /// When they cannot be made non-blocking.
    pub fn pipes(input: Option<OwnedFd>, output: OwnedFd, error: OwnedFd) -> Result<Self, Failure> {
        for fd in input.iter().chain([&output, &error]) {
            unblock(fd)?;
        }
        Ok(Self {
            input,
            outputs: vec![(Source::Output, output), (Source::Error, error)],
            terminal: false,
            pending: VecDeque::new(),
            closing: false,
        })
    }

    /// Streams over a terminal.
    ///
    /// # Errors
    /// When it cannot be duplicated or made non-blocking.
    pub fn terminal(master: OwnedFd) -> Result<Self, Failure> {
        unblock(&master)?;
        let input = rustix::io::fcntl_dupfd_cloexec(&master, 3).map_err(failed("dup terminal"))?;
        Ok(Self {
            input: Some(input),
            outputs: vec![(Source::Output, master)],
            terminal: true,
            pending: VecDeque::new(),
            closing: false,
        })
    }

    /// Takes input for the process.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        if self.input.is_some() && !self.closing {
            self.pending.extend(bytes);
        }
    }

    /// Hands pending input on as far as the process takes it.
    pub(crate) fn push(&mut self) {
        while let Some(input) = &self.input {
            let (front, _) = self.pending.as_slices();
            if front.is_empty() {
                break;
            }
            match rustix::io::retry_on_intr(|| rustix::io::write(input, front)) {
                Ok(done) => drop(self.pending.drain(..done)),
                Err(Errno::AGAIN) => break,
                // The process reads no more.
                Err(_) => {
                    self.pending.clear();
                    self.input = None;
                }
            }
        }
        if self.closing && self.pending.is_empty() && !self.terminal {
            self.input = None;
        }
    }

    /// Ends a pipe when all that is pending was taken; a terminal has no end of its own.
    pub(crate) fn end(&mut self) {
        if !self.terminal {
            self.close();
        }
    }

    /// Ends the input when all that is pending was taken. On a terminal that is the character for it.
    pub(crate) fn close(&mut self) {
        const END_OF_TRANSMISSION: u8 = 4;
        if self.terminal && !self.closing {
            self.feed(&[END_OF_TRANSMISSION]);
        }
        self.closing = true;
        self.push();
    }

    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        if let (true, Some((_, terminal))) = (self.terminal, self.outputs.first()) {
            let size = rustix::termios::Winsize {
                ws_row: rows,
                ws_col: columns,
                ws_xpixel: 0,
                ws_ypixel: 0,
            };
            // The terminal of a process that has just ended has no size any more.
            let _ = rustix::termios::tcsetwinsize(terminal, size);
        }
    }
}

pub(crate) fn read(fd: &OwnedFd, buffer: &mut [u8]) -> Got {
    match rustix::io::retry_on_intr(|| rustix::io::read(fd, &mut *buffer)) {
        Ok(0) => Got::End,
        Ok(length) => Got::Bytes(length),
        Err(Errno::AGAIN) => Got::Nothing,
        // A terminal whose other end is closed reads as EIO.
        Err(_) => Got::End,
    }
}

fn unblock(fd: &OwnedFd) -> Result<(), Failure> {
    let flags = rustix::fs::fcntl_getfl(fd).map_err(failed("fcntl"))?;
    rustix::fs::fcntl_setfl(fd, flags | OFlags::NONBLOCK).map_err(failed("fcntl"))
}
