//! What the engine says on fd 0 while a process runs.

use crate::channel::{Fill, Input};
use crate::fail::escape;
use berth_monitor::{Command, Engine};
use berth_wire::frame::Kind;
use berth_wire::request::Control;
use berth_wire::{Code, Failure};
use rustix::fd::{AsFd as _, BorrowedFd};
use rustix::process::Signal;

/// The frames that follow the request, as commands of the monitor.
#[derive(Debug)]
pub(crate) struct Listener<'a>(pub(crate) &'a mut Input);

impl Listener<'_> {
    /// Frames that came together with the request.
    pub(crate) fn buffered(&mut self) -> Result<Vec<Command>, Failure> {
        let mut commands = Vec::new();
        while let Some(frame) = self.0.next()? {
            commands.extend(command(frame.kind, frame.payload)?);
        }
        Ok(commands)
    }
}

impl Engine for Listener<'_> {
    fn input(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    fn read(&mut self) -> Result<Vec<Command>, Failure> {
        let fill = self.0.fill()?;
        let mut commands = self.buffered()?;
        if fill == Fill::Closed {
            commands.push(Command::Gone);
        }
        Ok(commands)
    }
}

/// A frame as a command of the monitor.
pub(crate) fn command(kind: Kind, payload: Vec<u8>) -> Result<Option<Command>, Failure> {
    Ok(Some(match kind {
        Kind::Data if payload.is_empty() => return Ok(None),
        Kind::Data => Command::Input(payload),
        Kind::End => Command::End,
        Kind::Control => control(&payload)?,
        other => return Err(refused(format!("a running process takes no {other:?} frame"))),
    }))
}

fn control(payload: &[u8]) -> Result<Command, Failure> {
    let control: Control = serde_json::from_slice(payload).map_err(|error| refused(error.to_string()))?;
    Ok(match control {
        Control::Signal { signal } => Command::Signal(parse_signal(&signal)?),
        Control::Stop { signal, seconds } => Command::Stop {
            signal: parse_signal(&signal)?,
            seconds,
        },
        Control::Resize { rows, columns } => Command::Resize { rows, columns },
        Control::CloseStdin => Command::CloseInput,
        Control::Detach => Command::Detach,
        Control::Acquire { .. } | Control::Release { .. } => return Err(refused("a running process holds no locks of the store")),
    })
}

/// The signal with this name or number.
pub(crate) fn parse_signal(name: &str) -> Result<Signal, Failure> {
    berth_sys::signal::parse(name)
        .ok_or_else(|| Failure::new(Code::Request, "send signal", "there is no such signal").subject(escape(name)))
}

fn refused(message: impl Into<String>) -> Failure {
    Failure::new(Code::Request, "read frame", message)
}
