//! One proxied connection: two sockets, a bounded buffer each way, and half-closes passed on.

use rustix::event::PollFlags;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{self, Errno};
use rustix::net::{self, AddressFamily, SendFlags, Shutdown, SocketFlags, SocketType, sockopt};
use std::net::SocketAddr;

/// Bytes that wait in one direction; beyond them the sender is not read, which holds it back.
const BUFFER: usize = 64 * 1024;

/// Bytes on their way from one socket to the other.
#[derive(Debug, Default)]
struct Flow {
    buffer: Vec<u8>,
    sent: usize,
    /// The source has no more.
    ended: bool,
    /// The end was passed on.
    closed: bool,
}

impl Flow {
    fn pending(&self) -> &[u8] {
        self.buffer.get(self.sent..).unwrap_or_default()
    }

    fn wants_read(&self) -> bool {
        !self.ended && self.pending().is_empty()
    }

    fn wants_write(&self) -> bool {
        !self.pending().is_empty() || (self.ended && !self.closed)
    }

    fn read(&mut self, source: impl AsFd) -> io::Result<()> {
        self.buffer.resize(BUFFER, 0);
        self.sent = 0;
        let got = io::read(source, &mut self.buffer);
        self.buffer.truncate(*got.as_ref().unwrap_or(&0));
        match got {
            Ok(0) => self.ended = true,
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn write(&mut self, target: impl AsFd) -> io::Result<()> {
        if !self.pending().is_empty() {
            match net::send(&target, self.pending(), SendFlags::NOSIGNAL) {
                Ok(sent) => self.sent = self.sent.saturating_add(sent),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        if self.ended && self.pending().is_empty() && !self.closed {
            self.closed = true;
            net::shutdown(target, Shutdown::Write)?;
        }
        Ok(())
    }
}

/// A client of the host and the container's server.
#[derive(Debug)]
pub(crate) struct Connection {
    client: OwnedFd,
    server: OwnedFd,
    connected: bool,
    /// Client to server.
    inward: Flow,
    /// Server to client.
    outward: Flow,
}

impl Connection {
    /// Starts to connect `client` with `target`, in the namespace of this process.
    pub(crate) fn open(client: OwnedFd, target: SocketAddr) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let family = if target.is_ipv4() {
            AddressFamily::INET
        } else {
            AddressFamily::INET6
        };
        let server = net::socket_with(family, SocketType::STREAM, flags, None)?;
        for socket in [&client, &server] {
            sockopt::set_tcp_nodelay(socket, true)?;
        }
        let connected = match net::connect(&server, &target) {
            Ok(()) => true,
            Err(Errno::INPROGRESS) => false,
            Err(error) => return Err(error),
        };
        Ok(Self {
            client,
            server,
            connected,
            inward: Flow::default(),
            outward: Flow::default(),
        })
    }

    /// As [`Self::open`], for a client of which `already` was read.
    pub(crate) fn open_after(client: OwnedFd, target: SocketAddr, already: Vec<u8>) -> io::Result<Self> {
        let mut connection = Self::open(client, target)?;
        connection.inward.buffer = already;
        Ok(connection)
    }

    /// Both sockets, with what to wait for on each.
    pub(crate) fn interests(&self) -> [(BorrowedFd<'_>, PollFlags); 2] {
        let flags = |read: bool, write: bool| {
            let read = if read { PollFlags::IN } else { PollFlags::empty() };
            let write = if write { PollFlags::OUT } else { PollFlags::empty() };
            read | write
        };
        let client = flags(self.connected && self.inward.wants_read(), self.outward.wants_write());
        let server = flags(self.outward.wants_read(), !self.connected || self.inward.wants_write());
        [(self.client.as_fd(), client), (self.server.as_fd(), server)]
    }

    /// Moves what can be moved. `Ok(false)`: both directions are over.
    pub(crate) fn turn(&mut self, client: PollFlags, server: PollFlags) -> io::Result<bool> {
        let broken = PollFlags::ERR | PollFlags::HUP;
        if !self.connected && server.intersects(PollFlags::OUT | broken) {
            sockopt::socket_error(&self.server)??;
            self.connected = true;
        }
        if client.intersects(PollFlags::IN | broken) && self.connected && self.inward.wants_read() {
            self.inward.read(&self.client)?;
        }
        if server.intersects(PollFlags::IN | broken) && self.connected && self.outward.wants_read() {
            self.outward.read(&self.server)?;
        }
        if self.connected {
            self.inward.write(&self.server)?;
            self.outward.write(&self.client)?;
        }
        Ok(!(self.inward.closed && self.outward.closed))
    }
}
