//! Brings up the network of the namespace that this process is in.

use crate::fail::failed;
use crate::firewall;
use crate::link::LOOPBACK;
use crate::netlink::Socket;
use berth_wire::Failure;
use rustix::io::Errno;
use std::net::Ipv4Addr;

/// Sets loopback up and gives it `address`/32 beside 127.0.0.1.
///
/// # Errors
/// The step of rtnetlink that failed.
pub fn bring_up(address: Option<Ipv4Addr>) -> Result<(), Failure> {
    let socket = Socket::route().map_err(failed("socket AF_NETLINK"))?;
    socket.set_up(LOOPBACK).map_err(failed("set loopback up"))?;
    if let Some(address) = address {
        let subject = format!("{address}/32");
        let named = |failure: Failure| failure.subject(subject);
        socket
            .add_address(LOOPBACK, address.into(), 32)
            .map_err(failed("add address"))
            .map_err(named)?;
    }
    Ok(())
}

/// Keeps the namespace that this process is in from the services of the machine's own cloud, where a program like `pasta` leads out, which asks them
/// as the machine itself.
///
/// # Errors
/// The step of rtnetlink that failed.
pub fn forbid_cloud() -> Result<(), Failure> {
    let socket = Socket::route().map_err(failed("socket AF_NETLINK"))?;
    for subnet in firewall::cloud_subnets() {
        match socket.forbid(subnet) {
            // A kernel without IPv6 reaches none of its addresses.
            Err(Errno::AFNOSUPPORT | Errno::OPNOTSUPP) if subnet.0.is_ipv6() => {}
            other => other.map_err(failed("add rule of routing"))?,
        }
    }
    Ok(())
}
