//! Brings up the network of the namespace that this process is in.

use crate::fail::failed;
use crate::link::LOOPBACK;
use crate::netlink::Socket;
use berth_wire::Failure;
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
