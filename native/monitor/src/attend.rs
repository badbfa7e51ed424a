//! The loop. It ends when the process has ended and all that it wrote is on its way; nobody who still holds its output open can delay that.

use crate::clients::{Clients, Door};
use crate::fail::failed;
use crate::log::Log;
use crate::outlet::Outlet;
use crate::streams::{self, Got, Source, Streams};
use berth_sys::process::{self, Child, Exit};
use berth_sys::signal::SignalFd;
use berth_wire::Failure;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// Bytes of input that may wait for the process before nothing more is read from the engine.
const MAX_INPUT: usize = 1024 * 1024;
/// Bytes read from the process at once.
const CHUNK: usize = 64 * 1024;
/// How long a process has between the stop signal and SIGKILL when this monitor itself is told to stop.
const GRACE: Duration = Duration::from_secs(3);
/// How long a terminal may take to hand over the last output of a process that has ended.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How long those who joined may leave the output of a process that has ended unread: until then the end is not told to anybody.
const SLOW_CLIENT: Duration = Duration::from_secs(2);

/// What the engine says while the process runs.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    Input(Vec<u8>),
    CloseInput,
    Signal(Signal),
    Stop {
        signal: Signal,
        seconds: u32,
    },
    Resize {
        rows: u16,
        columns: u16,
    },
    /// Nothing more will be said. A pipe ends with it; a terminal stays.
    End,
    /// The process goes on without the engine.
    Detach,
    /// The engine has gone: the process must not outlive it.
    Gone,
}

/// The engine's end.
pub trait Engine {
    /// The descriptor to poll.
    fn input(&self) -> BorrowedFd<'_>;
    /// What was said; called when the descriptor is readable or hung up.
    ///
    /// # Errors
    /// When it was no frame of the protocol.
    fn read(&mut self) -> Result<Vec<Command>, Failure>;
}

/// All that the loop attends.
pub struct Attendance<'a> {
    pub child: &'a Child,
    pub streams: Streams,
    pub engine: Option<&'a mut dyn Engine>,
    /// fd 1, where output goes as frames.
    pub output: Option<BorrowedFd<'a>>,
    /// Others who join and leave.
    pub clients: Option<&'a mut Clients>,
    /// Their end of input is the process's too.
    pub clients_close: bool,
    /// Lets go of the engine when it detaches; without it that is not possible.
    pub let_go: Option<&'a mut dyn FnMut()>,
    pub log: Option<Log>,
    /// Its end is the end of the process.
    pub owner: Option<OwnedFd>,
    /// Signals that tell this monitor to stop.
    pub signals: &'a SignalFd,
    pub stop_signal: Signal,
    /// What was said before the loop began.
    pub commands: Vec<Command>,
    /// Lets a process that was made to stand still go on: otherwise no signal ends it.
    pub thaw: &'a dyn Fn(),
    /// Hears of new sizes of the terminal: rows and columns.
    pub resized: &'a dyn Fn(u16, u16),
    pub warn: &'a dyn Fn(String),
}

impl std::fmt::Debug for Attendance<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attendance")
            .field("child", &self.child)
            .field("streams", &self.streams)
            .finish_non_exhaustive()
    }
}

/// How it ended.
#[derive(Debug, Clone, Copy)]
pub struct Ending {
    pub exit: Exit,
    /// The process was killed because the engine or the owner had gone.
    pub abandoned: bool,
    /// This monitor was told to stop.
    pub told: bool,
}

/// Attends the process to its end.
///
/// # Errors
/// When the loop itself fails, or the engine sends what is no frame; the process is dead then as well.
pub fn attend(mut attendance: Attendance<'_>) -> Result<Ending, Failure> {
    let commands = std::mem::take(&mut attendance.commands);
    let outlet = Outlet::new(attendance.output);
    let mut round = Round {
        attendance,
        outlet,
        exit: None,
        deadline: None,
        abandoned: false,
        told: false,
        last_words: None,
        slow_clients: None,
    };
    let result = round.run(commands);
    if round.exit.is_none() {
        round.signal(Signal::KILL);
        round.exit = process::wait(round.attendance.child.pid).ok();
    }
    if let Some(log) = &mut round.attendance.log {
        log.finish();
    }
    result?;
    let exit = round.exit.ok_or_else(|| failed("wait for process")(rustix::io::Errno::CHILD))?;
    Ok(Ending {
        exit,
        abandoned: round.abandoned,
        told: round.told,
    })
}

struct Round<'a> {
    attendance: Attendance<'a>,
    outlet: Outlet<BorrowedFd<'a>>,
    exit: Option<Exit>,
    /// When SIGKILL is due.
    deadline: Option<Instant>,
    abandoned: bool,
    told: bool,
    last_words: Option<Instant>,
    /// When those who joined and read nothing are let go of.
    slow_clients: Option<Instant>,
}

/// Which descriptors have something.
#[derive(Default)]
struct Ready {
    engine: bool,
    child: bool,
    signals: bool,
    owner: bool,
    sources: Vec<Source>,
    doors: Vec<Door>,
}

impl Round<'_> {
    fn run(&mut self, commands: Vec<Command>) -> Result<(), Failure> {
        for command in commands {
            self.obey(command);
        }
        while !self.over() {
            let ready = self.wait()?;
            self.attendance.streams.push();
            if ready.engine {
                self.listen()?;
            }
            self.hear_clients(&ready.doors);
            if ready.owner || ready.signals {
                self.interrupted(ready.owner);
            }
            if ready.child {
                self.exit = Some(process::wait(self.attendance.child.pid).map_err(failed("wait for process"))?);
                self.last_words = Some(Instant::now() + LAST_WORDS);
                self.slow_clients = Some(Instant::now() + SLOW_CLIENT);
            }
            let sources = if self.exit.is_some() { self.sources() } else { ready.sources };
            for source in sources {
                self.read(source);
            }
            if !self.outlet.flush() {
                self.abandon();
            }
            self.enforce();
        }
        Ok(())
    }

    /// The process has ended, its pipes are drained, and the engine has taken everything or has gone.
    fn over(&self) -> bool {
        self.exit.is_some() && self.attendance.streams.outputs.is_empty() && self.outlet.waiting().is_none()
    }

    fn sources(&self) -> Vec<Source> {
        self.attendance.streams.outputs.iter().map(|(source, _)| *source).collect()
    }

    fn wait(&self) -> Result<Ready, Failure> {
        let mut polled = Vec::new();
        let mut meanings = Vec::new();
        for (fd, flags, meaning) in self.interests() {
            polled.push(PollFd::from_borrowed_fd(fd, flags));
            meanings.push(meaning);
        }
        let timeout = self.timeout();
        match rustix::event::poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(failed("poll")(error)),
        }
        let mut ready = Ready::default();
        for (meaning, _) in meanings.iter().zip(&polled).filter(|(_, one)| !one.revents().is_empty()) {
            match meaning {
                Meaning::Child => ready.child = true,
                Meaning::Signals => ready.signals = true,
                Meaning::Owner => ready.owner = true,
                Meaning::Engine => ready.engine = true,
                Meaning::Output(source) => ready.sources.push(*source),
                Meaning::Door(door) => ready.doors.push(*door),
                Meaning::Room => {}
            }
        }
        Ok(ready)
    }

    fn interests(&self) -> Vec<(BorrowedFd<'_>, PollFlags, Meaning)> {
        let attendance = &self.attendance;
        let streams = &attendance.streams;
        let takes_input = streams.pending.len() < MAX_INPUT;
        let mut interests = vec![(attendance.signals.as_fd(), PollFlags::IN, Meaning::Signals)];
        if self.exit.is_none() {
            interests.push((attendance.child.pidfd.as_fd(), PollFlags::IN, Meaning::Child));
            interests.extend(
                attendance
                    .owner
                    .as_ref()
                    .map(|owner| (owner.as_fd(), PollFlags::IN, Meaning::Owner)),
            );
        }
        if let Some(engine) = attendance.engine.as_ref().filter(|_| !self.abandoned) {
            // A hang-up is reported whatever is asked for.
            let flags = if takes_input { PollFlags::IN } else { PollFlags::empty() };
            interests.push((engine.input(), flags, Meaning::Engine));
        }
        let clients = attendance.clients.iter().flat_map(|clients| clients.interests(takes_input));
        interests.extend(clients.map(|(fd, flags, door)| (fd, flags, Meaning::Door(door))));
        if !self.is_full() {
            interests.extend(
                streams
                    .outputs
                    .iter()
                    .map(|(source, fd)| (fd.as_fd(), PollFlags::IN, Meaning::Output(*source))),
            );
        }
        interests.extend(self.outlet.waiting().map(|fd| (fd, PollFlags::OUT, Meaning::Room)));
        interests.extend(
            streams
                .input
                .as_ref()
                .filter(|_| !streams.pending.is_empty())
                .map(|fd| (fd.as_fd(), PollFlags::OUT, Meaning::Room)),
        );
        interests
    }

    fn timeout(&self) -> Option<Timespec> {
        let now = Instant::now();
        let last_words = self
            .last_words
            .filter(|due| *due > now && !self.attendance.streams.outputs.is_empty());
        let left = self
            .deadline
            .into_iter()
            .chain(last_words)
            .chain(self.slow_clients)
            .min()?
            .saturating_duration_since(now);
        Some(Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        })
    }

    fn is_full(&self) -> bool {
        self.outlet.is_full() || self.attendance.clients.as_ref().is_some_and(|clients| clients.is_full())
    }

    fn listen(&mut self) -> Result<(), Failure> {
        let Some(engine) = &mut self.attendance.engine else { return Ok(()) };
        for command in engine.read()? {
            self.obey(command);
        }
        Ok(())
    }

    /// What those who joined say. They come and go; only the engine's end is the process's.
    fn hear_clients(&mut self, doors: &[Door]) {
        let Some(clients) = &mut self.attendance.clients else { return };
        for command in clients.attend(doors) {
            match command {
                Command::End | Command::Gone | Command::Detach | Command::Stop { .. } => {}
                Command::CloseInput if !self.attendance.clients_close && !self.attendance.streams.terminal => {}
                command => self.obey(command),
            }
        }
    }

    /// The engine leaves, and the process stays with this monitor.
    fn detach(&mut self) {
        let Some(let_go) = self.attendance.let_go.take() else { return };
        self.outlet.flush();
        self.outlet.abandon();
        self.attendance.engine = None;
        self.attendance.owner = None;
        let_go();
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Input(bytes) => {
                self.attendance.streams.feed(&bytes);
                self.attendance.streams.push();
            }
            Command::CloseInput => self.attendance.streams.close(),
            Command::Signal(signal) => self.signal(signal),
            Command::Stop { signal, seconds } => self.stop(signal, Duration::from_secs(seconds.into())),
            Command::Resize { rows, columns } => {
                self.attendance.streams.resize(rows, columns);
                (self.attendance.resized)(rows, columns);
            }
            Command::End => self.attendance.streams.end(),
            Command::Detach => self.detach(),
            Command::Gone => self.abandon(),
        }
    }

    /// Nobody is left to attend for.
    fn abandon(&mut self) {
        self.abandoned = true;
        self.outlet.abandon();
        self.signal(Signal::KILL);
    }

    fn interrupted(&mut self, owner: bool) {
        if owner {
            return self.abandon();
        }
        while let Ok(Some(_)) = self.attendance.signals.next() {
            self.told = true;
            let signal = self.attendance.stop_signal;
            self.stop(signal, GRACE);
        }
    }

    fn stop(&mut self, signal: Signal, patience: Duration) {
        self.signal(signal);
        let due = Instant::now().checked_add(patience);
        self.deadline = self.deadline.into_iter().chain(due).min();
    }

    fn signal(&mut self, signal: Signal) {
        if self.exit.is_none() {
            // A process that has just ended takes no signal.
            let _ = rustix::process::pidfd_send_signal(&self.attendance.child.pidfd, signal);
            if signal == Signal::KILL {
                (self.attendance.thaw)();
            }
        }
    }

    fn enforce(&mut self) {
        if self.deadline.is_some_and(|due| due <= Instant::now()) {
            self.deadline = None;
            self.signal(Signal::KILL);
        }
        if self.slow_clients.is_some_and(|due| due <= Instant::now()) {
            self.slow_clients = None;
            if let Some(clients) = &mut self.attendance.clients {
                clients.drop_full();
            }
        }
    }

    /// Reads once; after the end of the process, until nothing is left.
    fn read(&mut self, source: Source) {
        let mut buffer = vec![0; CHUNK];
        while !self.is_full() {
            let Some(at) = self.attendance.streams.outputs.iter().position(|(other, _)| *other == source) else {
                return;
            };
            let Some((_, fd)) = self.attendance.streams.outputs.get(at) else {
                return;
            };
            match streams::read(fd, &mut buffer) {
                Got::Bytes(length) => self.deliver(source, buffer.get(..length).unwrap_or_default()),
                Got::Nothing if self.exit.is_some() && !self.expects_more() => drop(self.attendance.streams.outputs.remove(at)),
                Got::Nothing => return,
                Got::End => drop(self.attendance.streams.outputs.remove(at)),
            }
            if self.exit.is_none() {
                return;
            }
        }
    }

    /// A terminal hands over what was written to it with a delay, and hangs up when it has.
    fn expects_more(&self) -> bool {
        self.attendance.streams.terminal && self.last_words.is_some_and(|due| due > Instant::now())
    }

    fn deliver(&mut self, source: Source, bytes: &[u8]) {
        self.outlet.push(source, bytes);
        if let Some(clients) = &mut self.attendance.clients {
            clients.push(source, bytes);
        }
        let written = self.attendance.log.as_mut().is_none_or(|log| log.append(source, bytes));
        if !written {
            (self.attendance.warn)("the container's log cannot be written; its output goes on".to_owned());
        }
    }
}

/// What a polled descriptor stands for.
#[derive(Debug, Clone, Copy)]
enum Meaning {
    Child,
    Signals,
    Owner,
    Engine,
    Output(Source),
    Door(Door),
    /// There is room to write; the round does so anyway.
    Room,
}
