//! The responder for names at 127.0.0.11, as Docker's: it answers for the containers of the networks that its container is on, and asks the
//! host's resolvers for everything else.
//!
//! It listens in the namespace of its container and asks from the host's, so that a resolver on the host's loopback (systemd-resolved's
//! 127.0.0.53) is within reach and the container's way out need not lead there.

use crate::connection::Connection;
use crate::fail::failed;
use crate::polling;
use crate::proxy::{take, turn};
use crate::{book, dns, firewall, udp};
use berth_wire::Failure;
use rustix::event::PollFlags;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{self, Errno};
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

/// Where containers ask; Docker's.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
const DNS: u16 = 53;
/// How long one resolver is waited for.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long a client by tcp may take to say what it wants.
const SPEECH: Duration = Duration::from_secs(10);
/// Questions by udp, and connections, under way at a time.
const MAX_QUERIES: usize = 512;
const MAX_TALKS: usize = 128;
const DATAGRAM: usize = 65_536;

/// Resolvers to ask, in their order.
pub type Upstreams = Vec<SocketAddr>;

/// The sockets on which a container asks.
#[derive(Debug)]
pub struct Responder {
    udp: OwnedFd,
    tcp: OwnedFd,
}

impl Responder {
    /// Listens in the namespace of this thread, which has loopback up and is a container's. The container's own port 53 stays free for a server of
    /// its own, where the kernel can redirect.
    ///
    /// # Errors
    /// The step that failed.
    pub fn open() -> Result<Self, Failure> {
        let hidden = Self::bind(0).map_err(failed("bind responder"))?;
        let [udp, tcp] = [port(&hidden.udp), port(&hidden.tcp)].map(|port| port.map_err(failed("getsockname")));
        match firewall::redirect_names(ADDRESS, udp?, tcp?) {
            Ok(()) => Ok(hidden),
            Err(_) => Self::bind(DNS).map_err(failed("bind responder")),
        }
    }

    fn bind(port: u16) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let address = SocketAddr::new(ADDRESS.into(), port);
        let udp = net::socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None)?;
        net::bind(&udp, &address)?;
        let tcp = net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        sockopt::set_socket_reuseaddr(&tcp, true)?;
        net::bind(&tcp, &address)?;
        net::listen(&tcp, 16)?;
        Ok(Self { udp, tcp })
    }

    /// One that was opened by another process, from its [`Self::descriptors`].
    #[must_use]
    pub fn of([udp, tcp]: [OwnedFd; 2]) -> Self {
        Self { udp, tcp }
    }

    /// Both sockets.
    #[must_use]
    pub fn descriptors(&self) -> [BorrowedFd<'_>; 2] {
        [self.udp.as_fd(), self.tcp.as_fd()]
    }

    /// Answers until `life` is readable or closed. `book` is the store's folder of networks, and who asks; without one there are no names of
    /// neighbours, and every question is handed on.
    ///
    /// # Errors
    /// Only when waiting itself fails.
    pub fn serve(&self, book: Option<(BorrowedFd<'_>, &str)>, upstreams: &Upstreams, life: impl AsFd) -> Result<(), Failure> {
        let mut round = Round {
            responder: self,
            book,
            upstreams,
            queries: Vec::new(),
            talks: Vec::new(),
            connections: Vec::new(),
            buffer: vec![0; DATAGRAM],
        };
        while round.turn(life.as_fd())? {}
        Ok(())
    }
}

fn port(socket: &OwnedFd) -> io::Result<u16> {
    SocketAddr::try_from(net::getsockname(socket)?).map(|address| address.port())
}

/// A question that was handed on.
#[derive(Debug)]
struct Query {
    client: SocketAddr,
    message: Vec<u8>,
    /// Each question goes out from a port of its own, which nobody outside can guess.
    socket: OwnedFd,
    /// Which of the resolvers is asked.
    attempt: usize,
    due: Instant,
}

/// A client by tcp that has not asked yet.
#[derive(Debug)]
struct Talk {
    stream: OwnedFd,
    heard: Vec<u8>,
    due: Instant,
}

struct Round<'a> {
    responder: &'a Responder,
    book: Option<(BorrowedFd<'a>, &'a str)>,
    upstreams: &'a Upstreams,
    queries: Vec<Query>,
    talks: Vec<Talk>,
    connections: Vec<Connection>,
    buffer: Vec<u8>,
}

impl Round<'_> {
    fn turn(&mut self, life: BorrowedFd<'_>) -> Result<bool, Failure> {
        let ready = self.wait(life)?;
        let mut rest = ready.as_slice();
        let mut first = take(&mut rest, 3).iter().map(|ready| !ready.is_empty());
        if first.next() == Some(true) {
            return Ok(false);
        }
        let [asked, called] = [first.next() == Some(true), first.next() == Some(true)];
        let queries = take(&mut rest, self.queries.len());
        let talks = take(&mut rest, self.talks.len());
        self.connections.retain_mut(|connection| turn(connection, take(&mut rest, 2)));
        self.answered(queries);
        self.heard(talks);
        if asked {
            self.asked();
        }
        if called {
            self.called();
        }
        Ok(true)
    }

    fn wait(&self, life: BorrowedFd<'_>) -> Result<Vec<PollFlags>, Failure> {
        let wants = |room: bool| if room { PollFlags::IN } else { PollFlags::empty() };
        let asking = wants(self.queries.len() < MAX_QUERIES);
        let calling = wants(self.talks.len().saturating_add(self.connections.len()) < MAX_TALKS);
        let mut wanted = vec![
            (life, PollFlags::IN),
            (self.responder.udp.as_fd(), asking),
            (self.responder.tcp.as_fd(), calling),
        ];
        wanted.extend(self.queries.iter().map(|query| (query.socket.as_fd(), PollFlags::IN)));
        wanted.extend(self.talks.iter().map(|talk| (talk.stream.as_fd(), PollFlags::IN)));
        wanted.extend(self.connections.iter().flat_map(Connection::interests));
        let dues = self
            .queries
            .iter()
            .map(|query| query.due)
            .chain(self.talks.iter().map(|talk| talk.due));
        let timeout = dues.min().map(|due| due.saturating_duration_since(Instant::now()));
        polling::wait(&wanted, timeout)
    }

    /// What this responder knows itself.
    fn own_answer(&self, message: &[u8]) -> Option<Vec<u8>> {
        let (networks, container) = self.book?;
        let asked = dns::question(message)?;
        if asked.kind == dns::TYPE_POINTER {
            let name = book::look_back(networks, container, dns::reverse(&asked.name)?)?;
            return Some(dns::pointer(message, &asked, &name));
        }
        let found = book::look_up(networks, container, &asked.name)?;
        Some(dns::addresses(message, &asked, &found))
    }

    /// Nobody outside is asked for a container that has no way there itself.
    fn leads_out(&self) -> bool {
        self.book.is_none_or(|(networks, container)| book::leads_out(networks, container))
    }

    /// Takes questions by udp.
    fn asked(&mut self) {
        while self.queries.len() < MAX_QUERIES {
            let Ok((_, length, Some(from))) = net::recvfrom(&self.responder.udp, self.buffer.as_mut_slice(), RecvFlags::DONTWAIT) else {
                return;
            };
            let (Ok(client), Some(message)) = (SocketAddr::try_from(from), self.buffer.get(..length)) else {
                continue;
            };
            let message = message.to_vec();
            match self.own_answer(&message) {
                Some(answer) => self.send(client, &answer),
                None if self.leads_out() => self.hand_on(client, message, 0),
                None => self.send(client, &dns::failure(&message)),
            }
        }
    }

    fn send(&self, client: SocketAddr, answer: &[u8]) {
        // A client that has gone needs no answer.
        let _ = net::sendto(&self.responder.udp, answer, SendFlags::DONTWAIT, &client);
    }

    /// Asks the resolver `attempt`, or the next one that can be reached.
    fn hand_on(&mut self, client: SocketAddr, message: Vec<u8>, attempt: usize) {
        for (attempt, upstream) in self.upstreams.iter().enumerate().skip(attempt) {
            let sent = udp::connect(*upstream).and_then(|socket| net::send(&socket, &message, SendFlags::DONTWAIT).map(|_| socket));
            if let Ok(socket) = sent {
                self.queries.push(Query {
                    client,
                    message,
                    socket,
                    attempt,
                    due: Instant::now() + PATIENCE,
                });
                return;
            }
        }
        self.send(client, &dns::failure(&message));
    }

    /// Passes answers back, and asks the next resolver where one was silent.
    fn answered(&mut self, ready: &[PollFlags]) {
        let now = Instant::now();
        let queries = std::mem::take(&mut self.queries);
        let none = PollFlags::empty();
        for (at, query) in queries.into_iter().enumerate() {
            let ready = ready.get(at).copied().unwrap_or(none);
            let got = if ready.is_empty() {
                Err(Errno::AGAIN)
            } else {
                net::recv(&query.socket, self.buffer.as_mut_slice(), RecvFlags::DONTWAIT).map(|(length, _)| length)
            };
            match got {
                // The number tells that it is an answer to this question.
                Ok(length) if length >= 12 && self.buffer.get(..2) == query.message.get(..2) => {
                    self.send(query.client, self.buffer.get(..length).unwrap_or_default());
                }
                Ok(_) | Err(Errno::AGAIN | Errno::INTR) if query.due > now => self.queries.push(query),
                _ => self.hand_on(query.client, query.message, query.attempt.saturating_add(1)),
            }
        }
    }

    /// Takes clients by tcp.
    fn called(&mut self) {
        while self.talks.len() < MAX_TALKS {
            let Ok(stream) = net::accept_with(&self.responder.tcp, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) else {
                return;
            };
            self.talks.push(Talk {
                stream,
                heard: Vec::new(),
                due: Instant::now() + SPEECH,
            });
        }
    }

    /// Listens to clients by tcp until each has asked.
    fn heard(&mut self, ready: &[PollFlags]) {
        let now = Instant::now();
        for (at, mut talk) in std::mem::take(&mut self.talks).into_iter().enumerate() {
            let ready = ready.get(at).is_some_and(|ready| !ready.is_empty());
            let got = if ready { talk.listen(&mut self.buffer) } else { Ok(true) };
            if got != Ok(true) || talk.due <= now {
                continue;
            }
            let Some(message) = talk.message() else {
                self.talks.push(talk);
                continue;
            };
            match self.own_answer(&message) {
                Some(answer) => talk.answer(&answer),
                None if self.leads_out() => self.connect(talk, &message),
                None => talk.answer(&dns::failure(&message)),
            }
        }
    }

    /// Leaves a client by tcp to the first resolver that can be reached.
    fn connect(&mut self, talk: Talk, message: &[u8]) {
        match self.upstreams.first() {
            Some(upstream) => self.connections.extend(Connection::open_after(talk.stream, *upstream, talk.heard)),
            None => talk.answer(&dns::failure(message)),
        }
    }
}

impl Talk {
    /// Reads what came; false at the end.
    fn listen(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        match rustix::io::read(&self.stream, &mut *buffer) {
            Ok(0) => Ok(false),
            Ok(length) => {
                self.heard.extend(buffer.get(..length).unwrap_or_default());
                Ok(true)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The first message, once it is whole: two bytes of length go before it.
    fn message(&self) -> Option<Vec<u8>> {
        let length = u16::from_be_bytes(self.heard.get(..2)?.try_into().ok()?);
        Some(self.heard.get(2..usize::from(length).checked_add(2)?)?.to_vec())
    }

    /// Answers and hangs up.
    fn answer(&self, answer: &[u8]) {
        let length = u16::try_from(answer.len()).unwrap_or_default().to_be_bytes();
        // It is small, and the first that is sent: it fits into the socket's buffer, or the client has gone.
        let _ = net::send(&self.stream, &[&length, answer].concat(), SendFlags::NOSIGNAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::tests::{book, entry};
    use crate::dns::tests::ask;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::thread;

    /// Asks a responder whose container is `c1`, while `resolver` answers in the host's place.
    fn responding(resolver: impl FnOnce(UdpSocket, TcpListener) + Send, act: impl FnOnce(SocketAddr, SocketAddr)) {
        let (_place, folder) = book(&[('a', "c1", entry(2, "mine", &["db"])), ('a', "c2", entry(3, "mine", &["api"]))]);
        let responder = Responder::bind(0).unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let upstream = tcp.local_addr().unwrap();
        let udp = UdpSocket::bind(upstream).unwrap();
        // The first one is not there: its port is closed.
        let upstreams = vec![SocketAddr::from(([127, 0, 0, 1], 1)), upstream];
        let [by_udp, by_tcp] = [&responder.udp, &responder.tcp].map(|socket| SocketAddr::new(ADDRESS.into(), port(socket).unwrap()));
        let (life, end) = rustix::pipe::pipe().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| responder.serve(Some((folder.as_fd(), "c1")), &upstreams, &life).unwrap());
            scope.spawn(|| resolver(udp, tcp));
            act(by_udp, by_tcp);
            drop(end);
        });
    }

    fn exchange(to: SocketAddr, message: &[u8]) -> Vec<u8> {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket.send_to(message, to).unwrap();
        let mut answer = vec![0; 600];
        let length = socket.recv(&mut answer).unwrap();
        answer.truncate(length);
        answer
    }

    #[test]
    fn answers_for_neighbours_and_asks_the_next_resolver_for_all_else() {
        responding(
            |udp, _tcp| {
                let mut buffer = [0; 600];
                let (length, from) = udp.recv_from(&mut buffer).unwrap();
                let asked = dns::question(&buffer[..length]).unwrap();
                assert_eq!(asked.name, "example.org");
                let answer = dns::addresses(&buffer[..length], &asked, &[Ipv4Addr::new(192, 0, 2, 7).into()]);
                udp.send_to(&answer, from).unwrap();
            },
            |by_udp, _| {
                let own = exchange(by_udp, &ask(9, "api", dns::TYPE_ADDRESS));
                assert!(own.ends_with(&[10, 0, 0, 3]));
                let other = exchange(by_udp, &ask(10, "example.org", dns::TYPE_ADDRESS));
                assert_eq!(other[..2], [0, 10]);
                assert!(other.ends_with(&[192, 0, 2, 7]));
            },
        );
    }

    #[test]
    fn answers_by_tcp_as_well() {
        responding(
            |_udp, _tcp| {},
            |_, by_tcp| {
                let message = ask(9, "api.mine", dns::TYPE_ADDRESS);
                let mut stream = TcpStream::connect(by_tcp).unwrap();
                let length = u16::try_from(message.len()).unwrap().to_be_bytes();
                // In two parts.
                stream.write_all(&length).unwrap();
                stream.write_all(&message).unwrap();
                let mut answer = Vec::new();
                stream.read_to_end(&mut answer).unwrap();
                assert!(answer.ends_with(&[10, 0, 0, 3]));
            },
        );
    }
}
