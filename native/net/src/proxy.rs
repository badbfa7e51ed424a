//! The proxy of published ports: one loop over all listeners and connections of a container.

use crate::connection::Connection;
use crate::fail::failed;
use crate::listener::Listener;
use berth_wire::Failure;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Errno;
use rustix::net::{self, SocketFlags};
use std::net::{Ipv4Addr, SocketAddr};

/// Connections at a time; further ones wait in the backlog of the kernel.
const MAX_CONNECTIONS: usize = 4096;

/// Passes connections of `listeners` on to `address`, until `life` is readable or closed.
///
/// The caller is in the network namespace of the container; the listeners were opened in the host's. A connection that the container refuses is
/// closed, as Docker's proxy does.
///
/// # Errors
/// Only when waiting itself fails.
pub fn serve(listeners: &[Listener], address: Ipv4Addr, life: impl AsFd) -> Result<(), Failure> {
    let mut connections: Vec<Connection> = Vec::new();
    loop {
        let accepting = connections.len() < MAX_CONNECTIONS;
        let ready = wait(listeners, &connections, life.as_fd(), accepting)?;
        let mut flags = ready.into_iter();
        if flags.next().is_some_and(|life| !life.is_empty()) {
            return Ok(());
        }
        let readable: Vec<bool> = flags.by_ref().take(listeners.len()).map(|ready| !ready.is_empty()).collect();
        connections.retain_mut(|connection| turn(connection, &mut flags));
        for (listener, _) in listeners.iter().zip(readable).filter(|(_, readable)| *readable) {
            accept(listener, address, &mut connections);
        }
    }
}

/// Waits for anything; gives what is ready of life, listeners and each connection's client and server, in this order.
fn wait(listeners: &[Listener], connections: &[Connection], life: BorrowedFd<'_>, accepting: bool) -> Result<Vec<PollFlags>, Failure> {
    let listening = if accepting { PollFlags::IN } else { PollFlags::empty() };
    let mut fds = vec![PollFd::from_borrowed_fd(life, PollFlags::IN)];
    fds.extend(
        listeners
            .iter()
            .map(|listener| PollFd::from_borrowed_fd(listener.as_fd(), listening)),
    );
    let interests: Vec<_> = connections.iter().flat_map(Connection::interests).collect();
    // A socket that nothing is wanted of is left out: a hang-up is reported unasked, and would keep the loop spinning.
    let wanted = interests.iter().filter(|(_, flags)| !flags.is_empty());
    fds.extend(wanted.map(|(fd, flags)| PollFd::from_borrowed_fd(*fd, *flags)));
    loop {
        match poll(&mut fds, None) {
            Ok(_) => break,
            Err(Errno::INTR) => {}
            Err(error) => return Err(failed("poll")(error)),
        }
    }
    let mut ready = fds.iter().map(PollFd::revents);
    let mut all: Vec<PollFlags> = ready.by_ref().take(listeners.len().saturating_add(1)).collect();
    let none = PollFlags::empty();
    all.extend(
        interests
            .iter()
            .map(|(_, flags)| if flags.is_empty() { none } else { ready.next().unwrap_or(none) }),
    );
    Ok(all)
}

/// Moves one connection on; false when it is over. A broken connection ends alone.
fn turn(connection: &mut Connection, flags: &mut impl Iterator<Item = PollFlags>) -> bool {
    let client = flags.next().unwrap_or(PollFlags::empty());
    let server = flags.next().unwrap_or(PollFlags::empty());
    if client.is_empty() && server.is_empty() {
        return true;
    }
    connection.turn(client, server).unwrap_or(false)
}

fn accept(listener: &Listener, address: Ipv4Addr, connections: &mut Vec<Connection>) {
    let target = SocketAddr::new(address.into(), listener.port.container_port);
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
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::thread;

    /// A proxy to a server that `answer`s, as it is while `act` runs.
    fn proxied(answer: impl FnOnce(TcpStream) + Send, act: impl FnOnce(TcpStream)) {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let container_port = server.local_addr().unwrap().port();
        let port = PublishedPort {
            host_address: "127.0.0.1".to_owned(),
            host_port: 0,
            container_port,
            protocol: Protocol::Tcp,
        };
        let listeners = listen(&[port]).unwrap();
        let client = ("127.0.0.1", listeners[0].port.host_port);
        let (life, end) = rustix::pipe::pipe().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| serve(&listeners, Ipv4Addr::LOCALHOST, &life).unwrap());
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
    fn closes_a_connection_that_nobody_takes() {
        let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let port = PublishedPort {
            host_address: "127.0.0.1".to_owned(),
            host_port: 0,
            container_port: unused,
            protocol: Protocol::Tcp,
        };
        let listeners = listen(&[port]).unwrap();
        let (life, end) = rustix::pipe::pipe().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| serve(&listeners, Ipv4Addr::LOCALHOST, &life).unwrap());
            let mut client = TcpStream::connect(("127.0.0.1", listeners[0].port.host_port)).unwrap();
            let mut got = Vec::new();
            assert!(client.read_to_end(&mut got).map_or(true, |length| length == 0));
            drop(end);
        });
    }
}
