//! The three standard descriptors: frames in on 0, frames out on 1, JSON lines on 2.

use crate::fail::{cancelled, failed};
use crate::secrets::{self, Secrets};
use berth_sys::lock;
use berth_wire::event::Line;
use berth_wire::frame::{self, Kind};
use berth_wire::{Code, Event, Failure, Reply};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::OFlags;
use rustix::io::Errno;

/// The largest request in bytes.
const MAX_REQUEST: usize = 8 * 1024 * 1024;
/// The largest list of paths, and all secrets together, in bytes.
const MAX_LIST: usize = 512 * 1024 * 1024;
/// How much is read from fd 0 at once.
const CHUNK: usize = 64 * 1024;

/// How long an engine that has closed fd 0 may leave what is said to it unread before it counts as gone.
const LAST_WORDS: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
/// Time between two tries of a lock.
const RETRY: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 10_000_000,
};

/// A frame that the engine sent.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    pub(crate) payload: Vec<u8>,
}

/// What fd 0 has to say after a read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    More,
    Closed,
}

/// Frames from fd 0, put together from whatever pieces arrive.
#[derive(Debug)]
pub(crate) struct Input {
    fd: BorrowedFd<'static>,
    buffer: Vec<u8>,
    start: usize,
    /// One request follows another.
    series: bool,
}

impl Input {
    pub(crate) fn new() -> Result<Self, Failure> {
        let fd = berth_sys::process::inherited(0).map_err(failed("open fd 0"))?;
        Ok(Self {
            fd,
            buffer: Vec::new(),
            start: 0,
            series: false,
        })
    }

    /// Lets a further request come when one has been answered.
    pub(crate) fn take_series(&mut self) {
        self.series = true;
    }

    /// Whether the next frame is a further request: the engine may have its answer before the worker has ended.
    pub(crate) fn holds_request(&self) -> bool {
        self.series && self.buffer.get(self.start) == Some(&(Kind::Request as u8))
    }

    /// The first frame, which must be the request.
    pub(crate) fn request(&mut self) -> Result<Vec<u8>, Failure> {
        let frame = self.wait_frame()?;
        Self::request_of(frame)
    }

    /// The request after one that has been answered, whose end frame may still be here; `None` when the engine closed its end in between.
    pub(crate) fn next_request(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        loop {
            match self.next()? {
                Some(Frame { kind: Kind::End, .. }) => {}
                Some(frame) => return Self::request_of(frame).map(Some),
                None => {
                    wait_for(self.fd, PollFlags::IN)?;
                    if self.fill()? == Fill::Closed {
                        return if self.start == self.buffer.len() {
                            Ok(None)
                        } else {
                            Err(cancelled())
                        };
                    }
                }
            }
        }
    }

    fn request_of(frame: Frame) -> Result<Vec<u8>, Failure> {
        match frame.kind {
            Kind::Request if frame.payload.len() <= MAX_REQUEST => Ok(frame.payload),
            Kind::Request => Err(protocol(format!(
                "a request of {} bytes is over the limit of {MAX_REQUEST}",
                frame.payload.len()
            ))),
            other => Err(protocol(format!("the first frame is {other:?}, not Request"))),
        }
    }

    /// The payloads of the `Data` frames that come next, `length` bytes in all.
    pub(crate) fn list(&mut self, length: u64) -> Result<Vec<u8>, Failure> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > MAX_LIST {
            return Err(protocol(format!("a list of {length} bytes is over the limit of {MAX_LIST}")));
        }
        let mut list = Vec::new();
        while list.len() < length {
            let frame = self.wait_frame()?;
            if frame.kind != Kind::Data {
                return Err(protocol(format!("{:?} came in the middle of a list", frame.kind)));
            }
            list.extend_from_slice(&frame.payload);
        }
        if list.len() == length {
            Ok(list)
        } else {
            Err(protocol(format!("the list is {} bytes, {length} were announced", list.len())))
        }
    }

    /// The `Secret` frames that come next, one for each of `ids`.
    pub(crate) fn secrets(&mut self, ids: &[String]) -> Result<Secrets, Failure> {
        let mut secrets = Secrets::default();
        for _ in ids {
            let mut frame = self.wait_frame()?;
            if frame.kind != Kind::Secret {
                return Err(protocol(format!("{:?} came in place of a secret", frame.kind)));
            }
            let added = secrets.add(&frame.payload);
            secrets::wipe(&mut frame.payload);
            added?;
        }
        ids.iter().try_for_each(|id| secrets.get(id).map(drop))?;
        Ok(secrets)
    }

    /// Reads once; call it when fd 0 is readable.
    pub(crate) fn fill(&mut self) -> Result<Fill, Failure> {
        self.make_room();
        let old = self.buffer.len();
        self.buffer.resize(old.saturating_add(CHUNK), 0);
        let result = rustix::io::retry_on_intr(|| rustix::io::read(self.fd, self.buffer.get_mut(old..).unwrap_or_default()));
        self.buffer.truncate(old.saturating_add(*result.as_ref().unwrap_or(&0)));
        match result {
            Ok(0) => Ok(Fill::Closed),
            Ok(_) | Err(Errno::AGAIN) => Ok(Fill::More),
            // A socket whose other end was closed with unread bytes.
            Err(Errno::CONNRESET) => Ok(Fill::Closed),
            Err(error) => Err(failed("read fd 0")(error)),
        }
    }

    /// Moves what is pending to the front, and the whole to where a chunk fits behind it. Part of a secret may be pending: no copy stays behind.
    fn make_room(&mut self) {
        let pending = self.buffer.len().saturating_sub(self.start);
        if self.start > 0 {
            self.buffer.copy_within(self.start.., 0);
            secrets::wipe(self.buffer.get_mut(pending..).unwrap_or_default());
            self.buffer.truncate(pending);
            self.start = 0;
        }
        if self.buffer.capacity().saturating_sub(pending) < CHUNK {
            let mut larger = Vec::with_capacity(pending.saturating_mul(2).saturating_add(CHUNK));
            larger.extend_from_slice(&self.buffer);
            secrets::wipe(&mut self.buffer);
            self.buffer = larger;
        }
    }

    /// The next frame, when it is there as a whole.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, Failure> {
        let pending = self.buffer.get(self.start..).unwrap_or_default();
        let Some((head, rest)) = pending.split_first_chunk::<{ frame::HEAD }>() else {
            return Ok(None);
        };
        let (kind, length) = frame::parse_head(*head).map_err(protocol)?;
        let length = usize::try_from(length).map_err(|_| protocol("frame too long"))?;
        let Some(payload) = rest.get(..length) else { return Ok(None) };
        let payload = payload.to_vec();
        let end = self.start.saturating_add(frame::HEAD).saturating_add(length);
        if kind == Kind::Secret {
            secrets::wipe(self.buffer.get_mut(self.start..end).unwrap_or_default());
        }
        self.start = end;
        Ok(Some(Frame { kind, payload }))
    }

    /// The next frame; waits for it.
    pub(crate) fn wait_frame(&mut self) -> Result<Frame, Failure> {
        loop {
            if let Some(frame) = self.next()? {
                return Ok(frame);
            }
            wait_for(self.fd, PollFlags::IN)?;
            if self.fill()? == Fill::Closed {
                return Err(cancelled());
            }
        }
    }
}

impl AsFd for Input {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd
    }
}

fn protocol(message: impl Into<String>) -> Failure {
    Failure::new(Code::Request, "read frame", message)
}

/// Frames on fd 1. Writing waits until the engine takes them, or has gone.
#[derive(Debug)]
pub(crate) struct Output {
    fd: BorrowedFd<'static>,
}

impl Output {
    pub(crate) fn new() -> Self {
        Self {
            fd: rustix::stdio::stdout(),
        }
    }

    /// Sends `bytes` as `Data`.
    pub(crate) fn data(&self, bytes: &[u8]) -> Result<(), Failure> {
        bytes.chunks(1024 * 1024).try_for_each(|chunk| self.frame(Kind::Data, chunk))
    }

    /// Says that nothing follows.
    pub(crate) fn end(&self) -> Result<(), Failure> {
        self.frame(Kind::End, &[])
    }

    /// Sends frames that are frames already.
    pub(crate) fn pass(&self, frames: &[u8]) -> Result<(), Failure> {
        self.write(frames)
    }

    fn frame(&self, kind: Kind, payload: &[u8]) -> Result<(), Failure> {
        let length = u32::try_from(payload.len()).map_err(|_| failed("write fd 1")(Errno::TOOBIG))?;
        self.write(&frame::head(kind, length))?;
        self.write(payload)
    }

    fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        say(self.fd, bytes).map_err(|error| {
            if error == Errno::PIPE {
                cancelled()
            } else {
                failed("write fd 1")(error)
            }
        })
    }
}

/// Writes all of `bytes` to a file, or to what is no engine, also where the descriptor does not block.
pub(crate) fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(fd, bytes) {
            Ok(done) => bytes = bytes.get(done..).unwrap_or_default(),
            Err(Errno::AGAIN) => {
                rustix::event::poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::OUT)], None)?;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Makes fd 1 and fd 2 such that a write which cannot be done at once says so: only then can the end of fd 0 be seen meanwhile.
pub(crate) fn unblock() {
    for fd in [rustix::stdio::stdout(), rustix::stdio::stderr()] {
        // One that stays blocking waits for the engine alone.
        let _ = rustix::fs::fcntl_getfl(fd).and_then(|flags| rustix::fs::fcntl_setfl(fd, flags | OFlags::NONBLOCK));
    }
}

/// Writes to the engine. One that has closed fd 0 and reads no more will not take it: that is the error of a pipe without a reader.
fn say(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(fd, bytes) {
            Ok(done) => bytes = bytes.get(done..).unwrap_or_default(),
            Err(Errno::AGAIN) => await_room(fd)?,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn await_room(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    if first_of(fd, PollFlags::OUT, None)? != First::Engine {
        return Ok(());
    }
    let mut polled = [PollFd::from_borrowed_fd(fd, PollFlags::OUT)];
    match rustix::io::retry_on_intr(|| rustix::event::poll(&mut polled, Some(&LAST_WORDS)))? {
        0 => Err(Errno::PIPE),
        _ => Ok(()),
    }
}

/// What came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum First {
    /// The descriptor is as it was waited for.
    Ready,
    /// The engine has closed fd 0.
    Engine,
    Timeout,
}

/// Waits for a descriptor, and for the engine to close fd 0, of which nothing is read. Who has let go of the engine has a null device there, which
/// nobody closes.
pub(crate) fn first_of(fd: BorrowedFd<'_>, flags: PollFlags, timeout: Option<&Timespec>) -> Result<First, Errno> {
    let mut polled = [
        PollFd::from_borrowed_fd(fd, flags),
        PollFd::from_borrowed_fd(rustix::stdio::stdin(), PollFlags::RDHUP),
    ];
    rustix::io::retry_on_intr(|| rustix::event::poll(&mut polled, timeout))?;
    let [ready, engine] = polled.map(|one| !one.revents().is_empty());
    Ok(match (ready, engine) {
        (true, _) => First::Ready,
        (false, true) => First::Engine,
        (false, false) => First::Timeout,
    })
}

/// Waits until there is something to read, for as long as the engine is there.
///
/// # Errors
/// `Cancelled` when it has gone.
pub(crate) fn await_readable(fd: BorrowedFd<'_>) -> Result<(), Failure> {
    match first_of(fd, PollFlags::IN, None).map_err(failed("poll"))? {
        First::Engine => Err(cancelled()),
        First::Ready | First::Timeout => Ok(()),
    }
}

/// Takes a lock, and waits for it for as long as the engine is there: a `flock` that blocks could not see its end.
///
/// # Errors
/// `Cancelled` when it has gone.
pub(crate) fn lock(file: BorrowedFd<'_>) -> Result<(), Failure> {
    while !lock::try_lock(file, true).map_err(failed("lock"))? {
        let mut polled = [PollFd::from_borrowed_fd(rustix::stdio::stdin(), PollFlags::RDHUP)];
        if rustix::io::retry_on_intr(|| rustix::event::poll(&mut polled, Some(&RETRY))).map_err(failed("poll"))? > 0 {
            return Err(cancelled());
        }
    }
    Ok(())
}

fn wait_for(fd: BorrowedFd<'_>, flags: PollFlags) -> Result<(), Failure> {
    rustix::io::retry_on_intr(|| rustix::event::poll(&mut [PollFd::from_borrowed_fd(fd, flags)], None))
        .map(drop)
        .map_err(failed("poll fd 0"))
}

/// JSON lines on fd 2, one write each. A lost line is not an error: the engine is gone then, and fd 0 says so.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Status {
    fd: BorrowedFd<'static>,
}

impl Status {
    pub(crate) fn new() -> Self {
        Self::at(rustix::stdio::stderr())
    }

    /// The same on another descriptor.
    pub(crate) fn at(fd: BorrowedFd<'static>) -> Self {
        Self { fd }
    }

    /// Reports that something happened.
    pub(crate) fn event(&self, event: Event) {
        self.line(&Line::Event(event));
    }

    /// Reports that work goes on without something.
    pub(crate) fn warning(&self, message: impl Into<String>) {
        self.event(Event::Warning { message: message.into() });
    }

    pub(crate) fn reply(&self, reply: Reply) {
        self.line(&Line::Reply(Box::new(reply)));
    }

    pub(crate) fn failure(&self, failure: Failure) {
        self.line(&Line::Failure(failure));
    }

    fn line(&self, line: &Line) {
        if let Ok(mut text) = serde_json::to_vec(line) {
            text.push(b'\n');
            // Nobody is left to tell when this fails.
            let _ = say(self.fd, &text);
        }
    }
}
