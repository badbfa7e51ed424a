//! The proxy of published ports: one poll loop that takes connections on the host and makes them in the container's namespace.
//!
//! The process that runs it has entered that namespace; listeners keep the namespace in which they were opened.

use crate::listen::Listener;
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType, sockopt};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

/// Connections at a time; further ones wait in the backlog.
const MAX_CONNECTIONS: usize = 1024;
/// Bytes on their way in one direction.
const BUFFER: usize = 64 * 1024;
/// How long nothing is taken after descriptors ran out.
const RETRY: Duration = Duration::from_millis(100);

/// Serves `listeners` until the process is killed. Connections go to `address`.
pub fn serve(listeners: &[Listener], address: Ipv4Addr) -> Errno {
    let mut connections: Vec<Connection> = Vec::new();
    let mut paused: Option<Instant> = None;
    loop {
        if paused.is_some_and(|until| until <= Instant::now()) {
            paused = None;
        }
        let taking = paused.is_none() && connections.len() < MAX_CONNECTIONS;
        let ready = match wait(listeners, &connections, taking, paused.is_some()) {
            Ok(ready) => ready,
            Err(Errno::INTR) => continue,
            Err(error) => return error,
        };
        for (connection, (outer, inner)) in connections.iter_mut().zip(&ready.connections) {
            connection.advance(*outer, *inner);
        }
        connections.retain(|connection| !connection.done());
        for (listener, ready) in listeners.iter().zip(&ready.listeners) {
            if *ready && take(listener, address, &mut connections).is_err() {
                paused = Some(Instant::now() + RETRY);
            }
        }
    }
}

struct Ready {
    listeners: Vec<bool>,
    /// What happened at the outer and at the inner end of each connection.
    connections: Vec<(PollFlags, PollFlags)>,
}

fn wait(listeners: &[Listener], connections: &[Connection], taking: bool, paused: bool) -> Result<Ready, Errno> {
    let accept = if taking { PollFlags::IN } else { PollFlags::empty() };
    let mut polled: Vec<PollFd<'_>> = listeners.iter().map(|listener| PollFd::new(&listener.socket, accept)).collect();
    // An end that nothing is wanted of is left out: its hang-up would be reported again and again.
    let mut places = Vec::with_capacity(connections.len());
    for connection in connections {
        let (outer, inner) = connection.interest();
        let mut add = |socket, flags: PollFlags| {
            (!flags.is_empty()).then(|| {
                polled.push(PollFd::new(socket, flags));
                polled.len() - 1
            })
        };
        places.push((add(&connection.outer, outer), add(&connection.inner, inner)));
    }
    let timeout = paused.then_some(rustix::event::Timespec {
        tv_sec: 0,
        tv_nsec: 100_000_000,
    });
    rustix::event::poll(&mut polled, timeout.as_ref())?;
    let happened = |place: Option<usize>| place.and_then(|at| polled.get(at)).map_or(PollFlags::empty(), PollFd::revents);
    Ok(Ready {
        listeners: polled
            .iter()
            .take(listeners.len())
            .map(|one| taking && !one.revents().is_empty())
            .collect(),
        connections: places.iter().map(|(outer, inner)| (happened(*outer), happened(*inner))).collect(),
    })
}

/// Takes what waits. An error means that descriptors ran out.
fn take(listener: &Listener, address: Ipv4Addr, connections: &mut Vec<Connection>) -> Result<(), Errno> {
    while connections.len() < MAX_CONNECTIONS {
        let outer = match rustix::net::accept_with(&listener.socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            Ok(outer) => outer,
            Err(Errno::AGAIN) => return Ok(()),
            Err(error @ (Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)) => return Err(error),
            // The peer is gone already.
            Err(_) => continue,
        };
        match connect(SocketAddrV4::new(address, listener.port.container_port)) {
            Ok(inner) => connections.push(Connection::new(outer, inner)),
            Err(error @ (Errno::MFILE | Errno::NFILE)) => return Err(error),
            Err(_) => reset(&outer),
        }
    }
    Ok(())
}

fn connect(address: SocketAddrV4) -> Result<OwnedFd, Errno> {
    let socket = rustix::net::socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    match rustix::net::connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error),
    }
}

/// Ends a connection the way a closed port does.
fn reset(socket: &OwnedFd) {
    let _ = sockopt::set_socket_linger(socket, Some(Duration::ZERO));
}

/// A pair of sockets: the outer end was accepted on the host, the inner one leads into the container.
struct Connection {
    outer: OwnedFd,
    inner: OwnedFd,
    connected: bool,
    inwards: Flow,
    outwards: Flow,
    broken: bool,
}

/// One direction.
#[derive(Default)]
struct Flow {
    buffer: Vec<u8>,
    sent: usize,
    /// The source has ended.
    ended: bool,
    /// The target was told so.
    closed: bool,
}

impl Connection {
    fn new(outer: OwnedFd, inner: OwnedFd) -> Self {
        let _ = sockopt::set_tcp_nodelay(&outer, true);
        Self {
            outer,
            inner,
            connected: false,
            inwards: Flow::default(),
            outwards: Flow::default(),
            broken: false,
        }
    }

    fn done(&self) -> bool {
        self.broken || (self.inwards.closed && self.outwards.closed)
    }

    fn interest(&self) -> (PollFlags, PollFlags) {
        if !self.connected {
            return (PollFlags::empty(), PollFlags::OUT);
        }
        let mut outer = PollFlags::empty();
        let mut inner = PollFlags::empty();
        outer.set(PollFlags::IN, self.inwards.wants_more());
        outer.set(PollFlags::OUT, self.outwards.pending());
        inner.set(PollFlags::IN, self.outwards.wants_more());
        inner.set(PollFlags::OUT, self.inwards.pending());
        (outer, inner)
    }

    fn advance(&mut self, outer: PollFlags, inner: PollFlags) {
        if !self.connected && !inner.is_empty() {
            match sockopt::socket_error(&self.inner) {
                Ok(Ok(())) => self.connected = true,
                _ => {
                    reset(&self.outer);
                    self.broken = true;
                    return;
                }
            }
        }
        if outer.intersects(PollFlags::ERR | PollFlags::NVAL) || inner.intersects(PollFlags::ERR | PollFlags::NVAL) {
            self.abort();
            return;
        }
        if !self.connected || (outer.is_empty() && inner.is_empty()) {
            return;
        }
        let result = self
            .inwards
            .advance(&self.outer, &self.inner)
            .and_then(|()| self.outwards.advance(&self.inner, &self.outer));
        if result.is_err() {
            self.abort();
        }
    }

    fn abort(&mut self) {
        reset(&self.outer);
        reset(&self.inner);
        self.broken = true;
    }
}

impl Flow {
    fn pending(&self) -> bool {
        self.sent < self.buffer.len()
    }

    fn wants_more(&self) -> bool {
        !self.ended && !self.pending()
    }

    /// Moves what can be moved; at the end of the source the target's writing half is closed.
    fn advance(&mut self, from: &OwnedFd, to: &OwnedFd) -> Result<(), Errno> {
        if self.wants_more() {
            self.read(from)?;
        }
        self.write(to)?;
        if self.ended && !self.pending() && !self.closed {
            self.closed = true;
            match rustix::net::shutdown(to.as_fd(), Shutdown::Write) {
                Ok(()) | Err(Errno::NOTCONN) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn read(&mut self, from: &OwnedFd) -> Result<(), Errno> {
        self.buffer.resize(BUFFER, 0);
        self.sent = 0;
        let result = rustix::io::retry_on_intr(|| rustix::io::read(from, &mut self.buffer));
        self.buffer.truncate(result.unwrap_or(0));
        match result {
            Ok(0) => self.ended = true,
            Ok(_) | Err(Errno::AGAIN) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn write(&mut self, to: &OwnedFd) -> Result<(), Errno> {
        while self.pending() {
            match rustix::net::send(
                to,
                self.buffer.get(self.sent..).unwrap_or_default(),
                rustix::net::SendFlags::NOSIGNAL,
            ) {
                Ok(done) => self.sent = self.sent.saturating_add(done),
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
