//! The proxy of published ports: one loop over all listeners and connections of a container.

use crate::connection::Connection;
use crate::listener::Listener;
use crate::netlink::Socket;
use crate::polling;
use crate::udp::Relay;
use berth_wire::Failure;
use berth_wire::request::Protocol;
use rustix::event::PollFlags;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::net::{self, SocketFlags};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// Connections at a time; further ones wait in the backlog of the kernel.
const MAX_CONNECTIONS: usize = 4096;
/// How often silent clients of udp ports are looked for.
const LOOK: Duration = Duration::from_secs(10);

/// Where published ports lead: the addresses that a container has for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    pub address: Ipv4Addr,
    /// For clients that come by IPv6, where the container has it.
    pub address6: Option<Ipv6Addr>,
}

/// Passes connections and datagrams of `listeners` on to `target`, until `life` is readable or closed. Where the container loses that address, its
/// next one takes its place, until it is back.
///
/// The caller is in the network namespace of the container; the listeners were opened in the host's. A connection that the container refuses is
/// closed, as Docker's proxy does.
///
/// # Errors
/// Only when waiting itself fails.
pub fn serve(listeners: &[Listener], target: Target, life: impl AsFd) -> Result<(), Failure> {
    let mut place = Place::watch(target);
    let (streams, datagrams): (Vec<_>, Vec<_>) = listeners.iter().partition(|listener| listener.port.protocol == Protocol::Tcp);
    let mut relays: Vec<Relay<'_>> = datagrams
        .into_iter()
        .map(|listener| Relay::new(listener, place.target(listener)))
        .collect();
    let mut connections: Vec<Connection> = Vec::new();
    let mut buffer = Vec::new();
    loop {
        let ready = wait((&streams, &relays, &connections), life.as_fd(), &place)?;
        let mut rest = ready.as_slice();
        if take(&mut rest, 1).iter().any(|life| !life.is_empty()) {
            return Ok(());
        }
        if take(&mut rest, place.interests().count()).iter().any(|told| !told.is_empty()) && place.look() {
            for relay in &mut relays {
                relay.lead(|listener| place.target(listener));
            }
            // What was ready has another number now.
            continue;
        }
        let readable = take(&mut rest, streams.len());
        for relay in &mut relays {
            let length = relay.interests().len();
            relay.turn(take(&mut rest, length), &mut buffer);
        }
        connections.retain_mut(|connection| turn(connection, take(&mut rest, 2)));
        for (listener, _) in streams.iter().zip(readable).filter(|(_, ready)| !ready.is_empty()) {
            accept(listener, place.target(listener), &mut connections);
        }
    }
}

/// Takes the next `length` of what is ready.
pub(crate) fn take<'r>(ready: &mut &'r [PollFlags], length: usize) -> &'r [PollFlags] {
    let (head, tail) = ready.split_at_checked(length).unwrap_or((ready, &[]));
    *ready = tail;
    head
}

/// Where the container is reached.
struct Place {
    wanted: Target,
    now: Target,
    /// A kernel that tells nothing of addresses lets them stay as they were.
    watch: Option<Socket>,
}

impl Place {
    fn watch(wanted: Target) -> Self {
        let mut place = Self {
            wanted,
            now: wanted,
            watch: Socket::watch_addresses().ok(),
        };
        place.look();
        place
    }

    fn target(&self, listener: &Listener) -> SocketAddr {
        let by_six = listener.port.host_address.parse().is_ok_and(|address: IpAddr| address.is_ipv6());
        let six = self.now.address6.filter(|_| by_six).map(IpAddr::V6);
        SocketAddr::new(six.unwrap_or(self.now.address.into()), listener.port.container_port)
    }

    fn interests(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        self.watch.iter().map(|watch| (watch.as_fd(), PollFlags::IN))
    }

    /// Looks which addresses there are; true when another one is to be taken.
    fn look(&mut self) -> bool {
        let Some(watch) = &self.watch else { return false };
        watch.drain();
        let found = Socket::route().and_then(|socket| socket.addresses()).unwrap_or_default();
        let found6 = Socket::route().and_then(|socket| socket.addresses6()).unwrap_or_default();
        let outward = found.iter().find(|address| !address.is_loopback());
        let address = match (found.contains(&self.wanted.address), outward) {
            (false, Some(other)) => *other,
            _ => self.wanted.address,
        };
        let next = Target {
            address,
            address6: self.wanted.address6.filter(|six| found6.contains(six)),
        };
        std::mem::replace(&mut self.now, next) != next
    }
}

type Served<'a, 'l> = (&'a [&'l Listener], &'a [Relay<'l>], &'a [Connection]);

/// Waits for anything; gives what is ready of life, addresses, listeners, relays and each connection's client and server, in this order.
fn wait((streams, relays, connections): Served<'_, '_>, life: BorrowedFd<'_>, place: &Place) -> Result<Vec<PollFlags>, Failure> {
    let accepting = connections.len() < MAX_CONNECTIONS;
    let listening = if accepting { PollFlags::IN } else { PollFlags::empty() };
    let mut wanted = vec![(life, PollFlags::IN)];
    wanted.extend(place.interests());
    wanted.extend(streams.iter().map(|listener| (listener.as_fd(), listening)));
    wanted.extend(relays.iter().flat_map(Relay::interests));
    wanted.extend(connections.iter().flat_map(Connection::interests));
    let timeout = (!relays.iter().all(Relay::is_idle)).then_some(LOOK);
    polling::wait(&wanted, timeout)
}

/// Moves one connection on; false when it is over. A broken connection ends alone.
pub(crate) fn turn(connection: &mut Connection, ready: &[PollFlags]) -> bool {
    let [client, server] = [0, 1].map(|at| ready.get(at).copied().unwrap_or(PollFlags::empty()));
    if client.is_empty() && server.is_empty() {
        return true;
    }
    connection.turn(client, server).unwrap_or(false)
}

fn accept(listener: &Listener, target: SocketAddr, connections: &mut Vec<Connection>) {
    while connections.len() < MAX_CONNECTIONS {
        // Any error means that there is no connection to take now: none waits, the client is gone, or descriptors have run out.
        let Ok(client) = net::accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) else {
            return;
        };
        connections.extend(Connection::open(client, target));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listen;
    use berth_wire::request::{Protocol, PublishedPort};
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
    use std::thread;

    const LOOPBACK: Target = Target {
        address: Ipv4Addr::LOCALHOST,
        address6: None,
    };

    /// A proxy to a server that `answer`s, as it is while `act` runs.
    fn proxied(answer: impl FnOnce(TcpStream) + Send, act: impl FnOnce(TcpStream)) {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let container_port = server.local_addr().unwrap().port();
        let port = PublishedPort {
            host_address: "127.0.0.1".to_owned(),
            host_port: 0,
            host_port_last: None,
            container_port,
            protocol: Protocol::Tcp,
        };
        let listeners = listen(&[port]).unwrap();
        let client = ("127.0.0.1", listeners[0].port.host_port);
        let (life, end) = rustix::pipe::pipe().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| serve(&listeners, LOOPBACK, &life).unwrap());
            scope.spawn(|| answer(server.accept().unwrap().0));
            act(TcpStream::connect(client).unwrap());
            drop(end);
        });
    }

    #[test]
    fn carries_megabytes_both_ways_and_passes_the_end_on() {
        let sent: Vec<u8> = (0_u32..3_000_000).map(|i| i.to_le_bytes()[0]).collect();
        let echo = |mut stream: TcpStream| {
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            stream.write_all(&all).unwrap();
        };
        proxied(echo, |mut client| {
            client.write_all(&sent).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            let mut got = Vec::new();
            client.read_to_end(&mut got).unwrap();
            assert_eq!(got, sent);
        });
    }

    #[test]
    fn lets_the_server_speak_first_and_close() {
        proxied(
            |mut stream| stream.write_all(b"hello").unwrap(),
            |mut client| {
                let mut got = String::new();
                client.read_to_string(&mut got).unwrap();
                assert_eq!(got, "hello");
            },
        );
    }

    #[test]
    fn clients_of_ipv6_are_led_to_the_containers_address_of_ipv6() {
        let Ok(server) = TcpListener::bind("[::1]:0") else { return };
        let port = |host_address: &str| PublishedPort {
            host_address: host_address.to_owned(),
            host_port: 0,
            host_port_last: None,
            container_port: server.local_addr().unwrap().port(),
            protocol: Protocol::Tcp,
        };
        let listeners = listen(&[port("127.0.0.1"), port("::1")]).unwrap();
        let both = Target {
            address6: Some(Ipv6Addr::LOCALHOST),
            ..LOOPBACK
        };
        let place = Place::watch(both);
        assert!(place.target(&listeners[0]).is_ipv4());
        assert!(place.target(&listeners[1]).is_ipv6());
        assert!(Place::watch(LOOPBACK).target(&listeners[1]).is_ipv4());
    }

    #[test]
    fn closes_a_connection_that_nobody_takes() {
        let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let port = PublishedPort {
            host_address: "127.0.0.1".to_owned(),
            host_port: 0,
            host_port_last: None,
            container_port: unused,
            protocol: Protocol::Tcp,
        };
        let listeners = listen(&[port]).unwrap();
        let (life, end) = rustix::pipe::pipe().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| serve(&listeners, LOOPBACK, &life).unwrap());
            let mut client = TcpStream::connect(("127.0.0.1", listeners[0].port.host_port)).unwrap();
            let mut got = Vec::new();
            assert!(client.read_to_end(&mut got).map_or(true, |length| length == 0));
            drop(end);
        });
    }

    #[test]
    fn carries_datagrams_of_two_clients_back_to_each() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = PublishedPort {
            host_address: "127.0.0.1".to_owned(),
            host_port: 0,
            host_port_last: None,
            container_port: server.local_addr().unwrap().port(),
            protocol: Protocol::Udp,
        };
        let listeners = listen(&[port]).unwrap();
        let address = ("127.0.0.1", listeners[0].port.host_port);
        let (life, end) = rustix::pipe::pipe().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| serve(&listeners, LOOPBACK, &life).unwrap());
            scope.spawn(|| {
                let mut buffer = [0; 2000];
                for _ in 0..4 {
                    let (length, from) = server.recv_from(&mut buffer).unwrap();
                    server.send_to(&buffer[..length], from).unwrap();
                }
            });
            let clients = ["one", "two"].map(|text| (UdpSocket::bind("127.0.0.1:0").unwrap(), text));
            for _ in 0..2 {
                for (client, text) in &clients {
                    client.send_to(text.as_bytes(), address).unwrap();
                }
                for (client, text) in &clients {
                    let mut got = [0; 100];
                    let (length, from) = client.recv_from(&mut got).unwrap();
                    assert_eq!((&got[..length], from.port()), (text.as_bytes(), address.1));
                }
            }
            drop(end);
        });
    }
}
