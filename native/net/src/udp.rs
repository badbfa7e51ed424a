//! A published udp port: each client has a socket of its own to the container, so that answers find their way back.

use crate::listener::Listener;
use rustix::event::PollFlags;
use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::io;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Clients at a time; the one that has been silent for the longest makes room.
const MAX_CLIENTS: usize = 1024;
/// A client that is silent for so long is forgotten, as Docker's proxy does.
const PATIENCE: Duration = Duration::from_secs(90);
/// The largest datagram.
const DATAGRAM: usize = 65_536;
/// Datagrams of one socket in one turn, so that the others get theirs.
const TURN: usize = 64;

/// One listener and its clients.
#[derive(Debug)]
pub(crate) struct Relay<'a> {
    listener: &'a Listener,
    target: SocketAddr,
    clients: Vec<Client>,
}

#[derive(Debug)]
struct Client {
    address: SocketAddr,
    socket: OwnedFd,
    used: Instant,
}

impl<'a> Relay<'a> {
    pub(crate) fn new(listener: &'a Listener, target: SocketAddr) -> Self {
        Self {
            listener,
            target,
            clients: Vec::new(),
        }
    }

    /// Leads clients somewhere else from now on.
    pub(crate) fn lead(&mut self, target: impl FnOnce(&Listener) -> SocketAddr) {
        self.target = target(self.listener);
        self.clients.clear();
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.clients.is_empty()
    }

    /// The listener and each client's socket.
    pub(crate) fn interests(&self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        let mut all = vec![(self.listener.as_fd(), PollFlags::IN)];
        all.extend(self.clients.iter().map(|client| (client.socket.as_fd(), PollFlags::IN)));
        all
    }

    /// Moves what came. `ready` is in the order of [`Self::interests`].
    pub(crate) fn turn(&mut self, ready: &[PollFlags], buffer: &mut Vec<u8>) {
        buffer.resize(DATAGRAM, 0);
        let now = Instant::now();
        let clients = self.clients.iter_mut().zip(ready.iter().skip(1));
        for (client, _) in clients.filter(|(_, ready)| !ready.is_empty()) {
            back(self.listener, client, buffer, now);
        }
        if ready.first().is_some_and(|ready| !ready.is_empty()) {
            self.forth(buffer, now);
        }
        self.clients.retain(|client| now.duration_since(client.used) < PATIENCE);
    }

    /// From clients to the container. What cannot be sent is lost, as datagrams are.
    fn forth(&mut self, buffer: &mut [u8], now: Instant) {
        for _ in 0..TURN {
            let Ok((_, length, Some(from))) = net::recvfrom(self.listener, &mut *buffer, RecvFlags::TRUNC) else {
                return;
            };
            let (Ok(from), Some(bytes)) = (SocketAddr::try_from(from), buffer.get(..length)) else {
                continue;
            };
            if let Ok(client) = self.client(from, now) {
                let _ = net::send(&client.socket, bytes, SendFlags::DONTWAIT);
            }
        }
    }

    fn client(&mut self, address: SocketAddr, now: Instant) -> io::Result<&Client> {
        let at = match self.clients.iter().position(|client| client.address == address) {
            Some(at) => at,
            None => {
                if self.clients.len() >= MAX_CLIENTS {
                    let oldest = self.clients.iter().enumerate().min_by_key(|(_, client)| client.used);
                    let oldest = oldest.map(|(at, _)| at);
                    oldest.map(|at| self.clients.swap_remove(at));
                }
                self.clients.push(Client {
                    address,
                    socket: connect(self.target)?,
                    used: now,
                });
                self.clients.len().saturating_sub(1)
            }
        };
        let client = self.clients.get_mut(at).ok_or(io::Errno::NOENT)?;
        client.used = now;
        Ok(client)
    }
}

/// From the container to one client.
fn back(listener: &Listener, client: &mut Client, buffer: &mut [u8], now: Instant) {
    for _ in 0..TURN {
        // An error is the container's refusal of an earlier datagram: the next one may be taken.
        let Ok((length, _)) = net::recv(&client.socket, &mut *buffer, RecvFlags::DONTWAIT) else {
            return;
        };
        client.used = now;
        let _ = net::sendto(
            listener,
            buffer.get(..length).unwrap_or_default(),
            SendFlags::DONTWAIT,
            &client.address,
        );
    }
}

/// A socket that sends to `target` and takes from nobody else.
pub(crate) fn connect(target: SocketAddr) -> io::Result<OwnedFd> {
    let family = if target.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = net::socket_with(family, SocketType::DGRAM, flags, None)?;
    net::connect(&socket, &target)?;
    Ok(socket)
}
