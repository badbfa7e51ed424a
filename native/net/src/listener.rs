//! Sockets that listen on the host for published ports, opened before the container starts, so that a taken port is an error of the start.

use crate::fail::failed;
use berth_wire::request::{Protocol, PublishedPort};
use berth_wire::{Code, Failure};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const BACKLOG: i32 = 1024;
/// How often the kernel is asked for a number that is free for IPv4 and IPv6 alike.
const TRIES: u32 = 16;

/// A published port that listens.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    /// With the host port that the kernel chose, where 0 was asked for.
    pub port: PublishedPort,
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Listens for every one of `ports`.
///
/// # Errors
/// `Conflict` naming a port that is taken, `NotPermitted` for one that needs a privilege, `Request` for a malformed address.
pub fn listen(ports: &[PublishedPort]) -> Result<Vec<Listener>, Failure> {
    let opened: Result<Vec<Vec<Listener>>, Failure> = ports.iter().map(open).collect();
    Ok(opened?.into_iter().flatten().collect())
}

/// The first of the port's numbers that is free.
fn open(port: &PublishedPort) -> Result<Vec<Listener>, Failure> {
    let address = match port.host_address.as_str() {
        "" => None,
        text => Some(text.parse().map_err(|_| {
            let message = "the host address is not an IP address";
            Failure::new(Code::Request, "publish port", message).subject(format!("{text}:{}", port.host_port))
        })?),
    };
    let last = port.host_port_last.unwrap_or(port.host_port).max(port.host_port);
    let mut result = Ok(Vec::new());
    for number in port.host_port..=last {
        result = open_at(port, address, number);
        match &result {
            Err(failure) if failure.code == Code::Conflict => {}
            _ => return result,
        }
    }
    result.map_err(|failure: Failure| {
        if last == port.host_port {
            return failure;
        }
        let message = "all ports of the range are allocated";
        Failure::new(Code::Conflict, "bind published port", message).subject(format!("{}-{last}", port.host_port))
    })
}

fn open_at(port: &PublishedPort, address: Option<IpAddr>, number: u16) -> Result<Vec<Listener>, Failure> {
    let Some(address) = address else {
        return open_everywhere(port, number);
    };
    let socket = bound(SocketAddr::new(address, number), port.protocol).map_err(|error| explain(error, port, address, number))?;
    Ok(vec![listener(socket, port, address)?])
}

/// On every address of IPv4 and, where there is IPv6, of that under the same number.
fn open_everywhere(port: &PublishedPort, number: u16) -> Result<Vec<Listener>, Failure> {
    let (v4, v6) = (IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    let mut tries = if number == 0 { TRIES } else { 1 };
    loop {
        let first = open_at(port, Some(v4), number)?;
        let chosen = first.first().map_or(number, |listener| listener.port.host_port);
        match bound(SocketAddr::new(v6, chosen), port.protocol) {
            Ok(socket) => return Ok(first.into_iter().chain([listener(socket, port, v6)?]).collect()),
            Err(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL) => return Ok(first),
            // The number is free for IPv4 alone.
            Err(Errno::ADDRINUSE) if tries > 1 => tries -= 1,
            Err(error) => return Err(explain(error, port, v6, chosen)),
        }
    }
}

fn listener(socket: OwnedFd, port: &PublishedPort, address: IpAddr) -> Result<Listener, Failure> {
    let port = PublishedPort {
        host_address: address.to_string(),
        host_port: port_of(&socket)?,
        host_port_last: None,
        ..port.clone()
    };
    Ok(Listener { socket, port })
}

fn bound(address: SocketAddr, protocol: Protocol) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let kind = match protocol {
        Protocol::Tcp => SocketType::STREAM,
        Protocol::Udp => SocketType::DGRAM,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = net::socket_with(family, kind, flags, None)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if protocol == Protocol::Udp {
        net::bind(&socket, &address)?;
        return Ok(socket);
    }
    // For udp it would let two containers share a port.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    net::bind(&socket, &address)?;
    net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

fn port_of(socket: &OwnedFd) -> Result<u16, Failure> {
    let address = net::getsockname(socket).map_err(failed("getsockname"))?;
    SocketAddr::try_from(address)
        .map(|address| address.port())
        .map_err(failed("getsockname"))
}

fn explain(error: Errno, port: &PublishedPort, address: IpAddr, number: u16) -> Failure {
    let failure = failed("bind published port")(error).subject(SocketAddr::new(address, number).to_string());
    match error {
        Errno::ADDRINUSE => Failure {
            code: Code::Conflict,
            // Docker's words.
            message: format!("Bind for {} failed: port is already allocated", SocketAddr::new(address, number)),
            ..failure
        }
        .hint(format!(
            "Publish another host port, as in -p {}:{}, or stop what listens there",
            number.checked_add(1).unwrap_or(1024),
            port.container_port
        )),
        Errno::ACCESS | Errno::PERM => Failure {
            code: Code::NotPermitted,
            ..failure
        }
        .hint("Publish a host port from 1024 upwards"),
        Errno::ADDRNOTAVAIL => failure.hint("Publish on an address of this machine, such as 127.0.0.1"),
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(host_address: &str, host_port: u16) -> PublishedPort {
        PublishedPort {
            host_address: host_address.to_owned(),
            host_port,
            host_port_last: None,
            container_port: 80,
            protocol: Protocol::Tcp,
        }
    }

    #[test]
    fn tells_the_port_that_the_kernel_chose() {
        let listeners = listen(&[port("127.0.0.1", 0)]).unwrap();
        assert_ne!(listeners[0].port.host_port, 0);
    }

    #[test]
    fn names_a_port_that_is_taken() {
        let first = listen(&[port("127.0.0.1", 0)]).unwrap();
        let failure = listen(&[first[0].port.clone()]).unwrap_err();
        assert_eq!(failure.code, Code::Conflict);
        assert_eq!(failure.subject.unwrap(), format!("127.0.0.1:{}", first[0].port.host_port));
    }

    #[test]
    fn a_udp_port_is_no_tcp_port_and_is_taken_once_as_well() {
        let first = listen(&[port("127.0.0.1", 0)]).unwrap();
        let udp = PublishedPort {
            protocol: Protocol::Udp,
            ..first[0].port.clone()
        };
        let held = listen(std::slice::from_ref(&udp)).unwrap();
        assert_eq!(held[0].port.host_port, first[0].port.host_port);
        assert_eq!(listen(&[udp]).unwrap_err().code, Code::Conflict);
    }

    #[test]
    fn takes_the_first_free_port_of_a_range_and_says_when_there_is_none() {
        let held = listen(&[port("127.0.0.1", 0)]).unwrap();
        let taken = held[0].port.host_port;
        let range = |last| PublishedPort {
            host_port_last: Some(last),
            ..port("127.0.0.1", taken)
        };
        let failure = listen(&[range(taken)]).unwrap_err();
        assert_eq!(failure.code, Code::Conflict);
        let found = listen(&[range(taken.saturating_add(50))]).unwrap();
        assert_ne!(found[0].port.host_port, taken);
    }

    #[test]
    fn every_address_is_both_families_under_one_number() {
        let listeners = listen(&[port("", 0)]).unwrap();
        let numbers: Vec<u16> = listeners.iter().map(|listener| listener.port.host_port).collect();
        assert!(numbers.iter().all(|number| *number == numbers[0] && *number != 0));
        assert_eq!(listeners[0].port.host_address, "0.0.0.0");
        assert!(listeners.get(1).is_none_or(|second| second.port.host_address == "::"));
    }

    #[test]
    fn refuses_a_name_for_an_address() {
        assert_eq!(listen(&[port("localhost", 0)]).unwrap_err().code, Code::Request);
    }
}
