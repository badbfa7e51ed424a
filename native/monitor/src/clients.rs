//! Others who join the streams of a running container, over a socket in its folder. They speak the engine's frames.

use crate::attend::Command;
use crate::fail::failed;
use crate::outlet::Outlet;
use crate::process_id;
use crate::streams::Source;
use berth_wire::Failure;
use berth_wire::frame::{self, Kind};
use berth_wire::request::ProcessId;
use rustix::event::PollFlags;
use rustix::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use rustix::fs::AtFlags;
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use std::time::{Duration, Instant};

/// The socket's name in the container's folder.
pub const SOCKET: &str = "attach.sock";
/// Clients at once.
const MAX_CLIENTS: usize = 64;
/// Bytes read from a client at once, and the most of an unfinished frame.
const CHUNK: usize = 64 * 1024;
const MAX_INBOX: usize = 1024 * 1024;
/// How long a client may take to read the last output.
const FAREWELL: Duration = Duration::from_secs(2);

/// Reads a frame as a command; the words belong to the protocol of the engine.
pub type Parse = fn(Kind, Vec<u8>) -> Result<Option<Command>, Failure>;

/// The listening socket and who came.
#[derive(Debug)]
pub struct Clients {
    listener: OwnedFd,
    parse: Parse,
    /// Uids that may join.
    allowed: Vec<u32>,
    joined: Vec<Client>,
}

#[derive(Debug)]
struct Client {
    outlet: Outlet<OwnedFd>,
    inbox: Vec<u8>,
}

/// What a polled descriptor of this module stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    Listener,
    Client(usize),
}

impl Clients {
    /// Listens in `folder`, where only its owner may enter; a socket that an earlier monitor left is replaced.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn listen(folder: &OwnedFd, allowed: Vec<u32>, parse: Parse) -> Result<Self, Failure> {
        match rustix::fs::unlinkat(folder, SOCKET, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(failed("unlink socket")(error)),
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let listener = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).map_err(failed("socket"))?;
        net::bind(&listener, &address(folder)?).map_err(failed("bind socket"))?;
        net::listen(&listener, 16).map_err(failed("listen"))?;
        Ok(Self {
            listener,
            parse,
            allowed,
            joined: Vec::new(),
        })
    }

    /// Those who joined are only heard while the process can `take` more: what it does not take waits with them.
    pub(crate) fn interests(&self, take: bool) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags, Door)> {
        let listener = (self.joined.len() < MAX_CLIENTS).then(|| (self.listener.as_fd(), PollFlags::IN, Door::Listener));
        let clients = self.joined.iter().enumerate().filter_map(move |(at, client)| {
            let fd = client.outlet.open()?;
            let room = if client.outlet.waiting().is_some() {
                PollFlags::OUT
            } else {
                PollFlags::empty()
            };
            let said = if take { PollFlags::IN } else { PollFlags::empty() };
            Some((fd, said | room, Door::Client(at)))
        });
        listener.into_iter().chain(clients)
    }

    /// A client that takes nothing holds the process back, as with Docker.
    pub(crate) fn is_full(&self) -> bool {
        self.joined.iter().any(|client| client.outlet.is_full())
    }

    /// Lets go of those who take nothing.
    pub(crate) fn drop_full(&mut self) {
        self.joined.retain(|client| !client.outlet.is_full());
    }

    /// Takes who comes and what they say.
    pub(crate) fn attend(&mut self, doors: &[Door]) -> Vec<Command> {
        let mut commands = Vec::new();
        for door in doors {
            match door {
                Door::Listener => self.accept(),
                Door::Client(at) => commands.extend(self.joined.get_mut(*at).map(|client| client.read(self.parse)).unwrap_or_default()),
            }
        }
        self.flush();
        commands
    }

    pub(crate) fn push(&mut self, source: Source, bytes: &[u8]) {
        for client in &mut self.joined {
            client.outlet.push(source, bytes);
        }
        self.flush();
    }

    /// Writes what they take, and forgets who has gone.
    pub(crate) fn flush(&mut self) {
        for client in &mut self.joined {
            client.outlet.flush();
        }
        self.joined.retain(|client| client.outlet.open().is_some());
    }

    /// Tells all that the process has ended, and lets go of them when they have taken everything.
    pub fn farewell(&mut self, last: &[u8]) {
        for client in &mut self.joined {
            client.outlet.frame(Kind::Control, last);
        }
        let due = Instant::now() + FAREWELL;
        self.flush();
        while self.joined.iter().any(|client| client.outlet.waiting().is_some()) && Instant::now() < due {
            let mut polled: Vec<_> = self
                .joined
                .iter()
                .filter_map(|client| client.outlet.waiting())
                .map(|fd| rustix::event::PollFd::from_borrowed_fd(fd, PollFlags::OUT))
                .collect();
            let step = rustix::event::Timespec {
                tv_sec: 0,
                tv_nsec: 100_000_000,
            };
            if rustix::event::poll(&mut polled, Some(&step)).is_err() {
                break;
            }
            self.flush();
        }
        self.joined.clear();
    }

    fn accept(&mut self) {
        while let Ok(socket) = net::accept_with(&self.listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            let known = sockopt::socket_peercred(&socket).is_ok_and(|peer| self.allowed.contains(&peer.uid.as_raw()));
            if known && self.joined.len() < MAX_CLIENTS {
                self.joined.push(Client {
                    outlet: Outlet::new(Some(socket)),
                    inbox: Vec::new(),
                });
            }
        }
    }
}

impl Client {
    /// What was said. One who hangs up or breaks the protocol is let go of; the container goes on.
    fn read(&mut self, parse: Parse) -> Vec<Command> {
        let mut buffer = vec![0; CHUNK];
        let Some(fd) = self.outlet.open() else { return Vec::new() };
        match rustix::io::retry_on_intr(|| rustix::io::read(fd, &mut *buffer)) {
            Err(Errno::AGAIN) => return Vec::new(),
            Ok(length @ 1..) => self.inbox.extend_from_slice(buffer.get(..length).unwrap_or_default()),
            Ok(0) | Err(_) => {
                self.outlet.abandon();
                return Vec::new();
            }
        }
        match self.frames(parse) {
            Ok(commands) if self.inbox.len() <= MAX_INBOX => commands,
            _ => {
                self.outlet.abandon();
                Vec::new()
            }
        }
    }

    fn frames(&mut self, parse: Parse) -> Result<Vec<Command>, Failure> {
        let mut commands = Vec::new();
        while let Some((head, rest)) = self.inbox.split_first_chunk::<{ frame::HEAD }>() {
            let malformed = |message| Failure::new(berth_wire::Code::Request, "read frame", message);
            let (kind, length) = frame::parse_head(*head).map_err(malformed)?;
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let Some(payload) = rest.get(..length).map(<[u8]>::to_vec) else {
                break;
            };
            self.inbox.drain(..frame::HEAD.saturating_add(length));
            commands.extend(parse(kind, payload)?);
        }
        Ok(commands)
    }
}

/// Joins the monitor of the container in `folder`.
///
/// # Errors
/// `NotFound` or `ECONNREFUSED` when nobody listens there.
pub fn connect(folder: &OwnedFd) -> Result<OwnedFd, Failure> {
    let socket = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).map_err(failed("socket"))?;
    net::connect(&socket, &address(folder)?).map_err(failed("connect to monitor"))?;
    Ok(socket)
}

/// The process that listens for those who join the container in `folder`, where there is one.
#[must_use]
pub fn listener(folder: &OwnedFd) -> Option<ProcessId> {
    let socket = connect(folder).ok()?;
    process_id::of(sockopt::socket_peercred(&socket).ok()?.pid)
}

/// By the descriptor: the path of a store can be longer than the address of a socket.
fn address(folder: &OwnedFd) -> Result<SocketAddrUnix, Failure> {
    SocketAddrUnix::new(format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd())).map_err(failed("socket address"))
}
