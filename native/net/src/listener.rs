//! Sockets that listen on the host for published ports, opened before the container starts, so that a taken port is an error of the start.

use crate::fail::failed;
use berth_wire::request::{Protocol, PublishedPort};
use berth_wire::{Code, Failure};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};
use std::net::{IpAddr, SocketAddr};

const BACKLOG: i32 = 1024;

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
/// `Conflict` naming a port that is taken, `NotPermitted` for one that needs a privilege, `Request` for a malformed address, `Unsupported` for udp.
pub fn listen(ports: &[PublishedPort]) -> Result<Vec<Listener>, Failure> {
    ports.iter().map(open).collect()
}

fn open(port: &PublishedPort) -> Result<Listener, Failure> {
    let name = format!("{}:{}", port.host_address, port.host_port);
    if port.protocol == Protocol::Udp {
        let message = "udp ports are not proxied yet";
        return Err(Failure::new(Code::Unsupported, "publish port", message).subject(name));
    }
    let address: IpAddr = port.host_address.parse().map_err(|_| {
        let message = "the host address is not an IP address";
        Failure::new(Code::Request, "publish port", message).subject(name.clone())
    })?;
    let socket = bound(SocketAddr::new(address, port.host_port)).map_err(|error| explain(error, port, name))?;
    let host_port = port_of(&socket)?;
    let port = PublishedPort { host_port, ..port.clone() };
    Ok(Listener { socket, port })
}

fn bound(address: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
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

fn explain(error: Errno, port: &PublishedPort, name: String) -> Failure {
    let failure = failed("bind published port")(error).subject(name);
    match error {
        Errno::ADDRINUSE => Failure {
            code: Code::Conflict,
            message: "port is already allocated".to_owned(),
            ..failure
        }
        .hint(format!(
            "Publish another host port, as in -p {}:{}, or stop what listens there",
            alternative(port),
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

fn alternative(port: &PublishedPort) -> u16 {
    port.host_port.checked_add(1).unwrap_or(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(host_port: u16) -> PublishedPort {
        PublishedPort {
            host_address: "127.0.0.1".to_owned(),
            host_port,
            container_port: 80,
            protocol: Protocol::Tcp,
        }
    }

    #[test]
    fn tells_the_port_that_the_kernel_chose() {
        let listeners = listen(&[port(0)]).unwrap();
        assert_ne!(listeners[0].port.host_port, 0);
    }

    #[test]
    fn names_a_port_that_is_taken() {
        let first = listen(&[port(0)]).unwrap();
        let failure = listen(&[first[0].port.clone()]).unwrap_err();
        assert_eq!(failure.code, Code::Conflict);
        assert_eq!(failure.subject.unwrap(), format!("127.0.0.1:{}", first[0].port.host_port));
    }

    #[test]
    fn refuses_udp_and_names_by_name() {
        let udp = PublishedPort {
            protocol: Protocol::Udp,
            ..port(0)
        };
        assert_eq!(listen(&[udp]).unwrap_err().code, Code::Unsupported);
        let named = PublishedPort {
            host_address: "localhost".to_owned(),
            ..port(0)
        };
        assert_eq!(listen(&[named]).unwrap_err().code, Code::Request);
    }
}
