//! Listeners on the host, opened before the container starts, so that a port in use is a clear failure and not a server that nobody reaches.

use crate::fail::failed_on;
use berth_wire::request::{Protocol, PublishedPort};
use berth_wire::{Code, Failure};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::net::{IpAddr, SocketAddr};

/// Connections that wait to be taken.
const BACKLOG: i32 = 511;

/// A listener and where it leads.
#[derive(Debug)]
pub struct Listener {
    pub socket: OwnedFd,
    /// As asked for, with the port that the kernel gave.
    pub port: PublishedPort,
}

/// Opens the listener of a published port.
///
/// # Errors
/// `Conflict` naming address and port when somebody else has it.
pub fn open(port: &PublishedPort) -> Result<Listener, Failure> {
    let shown = format!("{}:{}", port.host_address, port.host_port);
    if port.protocol == Protocol::Udp {
        let message = format!("port {}/udp: udp is not built yet", port.container_port);
        return Err(Failure::new(Code::Request, "publish port", message).hint("Publish tcp ports only"));
    }
    let Ok(address) = port.host_address.parse::<IpAddr>() else {
        return Err(Failure::new(Code::Request, "publish port", "the host address is no IP address").subject(port.host_address.clone()));
    };
    let socket = bind(SocketAddr::new(address, port.host_port)).map_err(|error| explain(error, &shown))?;
    let local = rustix::net::getsockname(&socket).map_err(failed_on("getsockname", &shown))?;
    let local = SocketAddr::try_from(local).map_err(failed_on("getsockname", &shown))?;
    Ok(Listener {
        socket,
        port: PublishedPort {
            host_port: local.port(),
            ..port.clone()
        },
    })
}

fn bind(address: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let socket = rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    rustix::net::sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        // 0.0.0.0 and :: are published each for itself.
        rustix::net::sockopt::set_ipv6_v6only(&socket, true)?;
    }
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

fn explain(error: Errno, shown: &str) -> Failure {
    let failure = failed_on("publish port", shown)(error);
    match error {
        Errno::ADDRINUSE => Failure {
            code: Code::Conflict,
            message: format!("{shown} is in use"),
            ..failure
        }
        .hint("Choose another host port, or stop what listens there"),
        Errno::ACCESS => failure.hint("Ports below net.ipv4.ip_unprivileged_port_start need root: choose a higher host port"),
        Errno::ADDRNOTAVAIL => failure.hint("This machine has no such address"),
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(host_port: u16, protocol: Protocol) -> PublishedPort {
        PublishedPort {
            host_address: "127.0.0.1".into(),
            host_port,
            container_port: 80,
            protocol,
        }
    }

    #[test]
    fn the_kernel_chooses_port_zero_and_a_second_listener_conflicts() {
        let first = open(&port(0, Protocol::Tcp)).unwrap();
        assert_ne!(first.port.host_port, 0);
        let failure = open(&port(first.port.host_port, Protocol::Tcp)).unwrap_err();
        assert_eq!(failure.code, Code::Conflict);
        assert!(failure.message.contains(&first.port.host_port.to_string()));
    }

    #[test]
    fn udp_is_refused_by_name() {
        assert!(open(&port(0, Protocol::Udp)).unwrap_err().message.contains("udp"));
    }
}
