//! Standard streams of a process: its ends and ours.

use crate::fail::failed;
use berth_jail::plan::Stdio;
use berth_monitor::Streams;
use berth_wire::Failure;
use rustix::fd::OwnedFd;
use rustix::pipe::PipeFlags;

/// Our ends, before it is known whether there is a terminal.
#[derive(Debug)]
pub(crate) struct Ours {
    input: Option<OwnedFd>,
    outputs: Option<(OwnedFd, OwnedFd)>,
}

/// Both ends. A terminal is made by the process itself, and comes later.
pub(crate) fn make(terminal: bool, stdin: bool) -> Result<(Ours, Stdio), Failure> {
    if terminal {
        return Ok((
            Ours {
                input: None,
                outputs: None,
            },
            Stdio::Terminal,
        ));
    }
    let pipe = || rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(failed("pipe"));
    let (theirs_in, ours_in) = if stdin {
        pipe().map(|(reader, writer)| (Some(reader), Some(writer)))?
    } else {
        (None, None)
    };
    let (ours_out, theirs_out) = pipe()?;
    let (ours_error, theirs_error) = pipe()?;
    let ours = Ours {
        input: ours_in,
        outputs: Some((ours_out, ours_error)),
    };
    Ok((
        ours,
        Stdio::Pipes {
            stdin: theirs_in,
            stdout: theirs_out,
            stderr: theirs_error,
        },
    ))
}

impl Ours {
    /// The reading ends alone, not blocking.
    pub(crate) fn into_outputs(self) -> Vec<OwnedFd> {
        let outputs: Vec<OwnedFd> = self.outputs.into_iter().flat_map(|(output, error)| [output, error]).collect();
        for fd in &outputs {
            // One that stays blocking has been polled before it is read.
            let _ = rustix::fs::fcntl_getfl(fd).and_then(|flags| rustix::fs::fcntl_setfl(fd, flags | rustix::fs::OFlags::NONBLOCK));
        }
        outputs
    }

    /// The streams to attend; `terminal` is what the process handed over.
    pub(crate) fn attend(self, terminal: Option<OwnedFd>) -> Result<Streams, Failure> {
        match (self.outputs, terminal) {
            (Some((output, error)), _) => Streams::pipes(self.input, output, error),
            (None, Some(master)) => Streams::terminal(master),
            (None, None) => Err(failed("open terminal")(rustix::io::Errno::BADF)),
        }
    }
}

/// No streams at all.
pub(crate) fn none() -> Ours {
    Ours {
        input: None,
        outputs: None,
    }
}
