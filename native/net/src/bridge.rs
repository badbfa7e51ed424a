//! Networks of the store on the host: a bridge each while a container is on it, and an interface for each container.

use crate::fail::failed;
use crate::firewall::{self, Wall};
use crate::link::{Link, Veth};
use crate::names;
use crate::netlink::Socket;
pub use crate::port::{Port, step_mac, step_range};
use crate::{port, sysctl};
use berth_wire::{Code, Failure};
use rustix::io::Errno;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";
/// Tables of the older packet filter that are in use; only root may read it.
const OLD_TABLES: &str = "/proc/net/ip_tables_names";
/// The bridge's address on its link; Docker's.
const BRIDGE_LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

/// Gives the namespace of `process` an interface on the network, whose bridge and rules are made where they are missing. The caller holds the
/// lock on the store's networks, and is in the host's namespace.
///
/// # Errors
/// The step that failed. What was made of the network stays: it is collected when no container is on it.
pub fn attach(port: &Port, container: &str, process: u32, warn: &dyn Fn(String)) -> Result<(), Failure> {
    let socket = Socket::route().map_err(failed("socket AF_NETLINK"))?;
    let links = socket.links().map_err(failed("list links"))?;
    let there = bridge_of(&links, &port.id);
    let index = match there {
        Some(link) => link.index,
        None => add_bridge(&socket, port)?,
    };
    if there.map_or_else(|| names::bridge(&port.id), |link| link.name.clone()) != port.bridge {
        rename(&socket, index, port)?;
    }
    furnish(&socket, index, port, warn)?;
    for wall in walls(port) {
        firewall::raise(&wall, there.is_none()).map_err(failed("make packet rules"))?;
    }
    if !port.internal {
        forward(warn)?;
        if port.six.is_some() {
            forward6(warn)?;
        }
    }
    let name = names::veth(container, &port.id);
    // One of the same container that has not quite gone yet.
    if let Some(old) = links.iter().find(|link| link.name == name) {
        socket.delete(old.index).map_err(failed("delete veth"))?;
    }
    let pair = Veth {
        name: &name,
        bridge: index,
        mtu: port.mtu,
        peer: &port.interface,
        peer_mac: port.mac,
        peer_process: process,
    };
    socket.add_veth(&pair).map_err(failed("make veth"))?;
    let ours = find(&socket, &name)?.ok_or_else(|| failed("find veth")(Errno::NODEV))?;
    if !port.neighbours || port.is_step() {
        socket.isolate(ours.index).map_err(failed("isolate port of bridge"))?;
    }
    socket.set_up_bare(ours.index).map_err(failed("set veth up"))
}

/// The bridge of a network, whatever its name: it may be one that the user chose.
fn bridge_of<'l>(links: &'l [Link], id: &str) -> Option<&'l Link> {
    let (name, alias) = (names::bridge(id), names::comment(id));
    links
        .iter()
        .find(|link| link.name == name || link.alias.as_deref() == Some(alias.as_str()))
}

fn add_bridge(socket: &Socket, port: &Port) -> Result<u32, Failure> {
    let name = names::bridge(&port.id);
    let made = socket.add_bridge(&name, names::mac(&port.id), port.mtu);
    made.map_err(failed("make bridge"))?;
    find(socket, &name)?
        .map(|link| link.index)
        .ok_or_else(|| failed("find bridge")(Errno::NODEV))
}

fn rename(socket: &Socket, index: u32, port: &Port) -> Result<(), Failure> {
    socket
        .rename(index, &port.bridge, &names::comment(&port.id))
        .map_err(|error| match error {
            Errno::EXIST => Failure::new(Code::Conflict, "name bridge", "another interface of this machine has this name")
                .subject(port.bridge.clone())
                .hint("Make the network again with another com.docker.network.bridge.name"),
            error => failed("name bridge")(error).subject(port.bridge.clone()),
        })
}

/// Addresses of the bridge. Nothing that a container says there may change the ways of the host.
fn furnish(socket: &Socket, index: u32, port: &Port, warn: &dyn Fn(String)) -> Result<(), Failure> {
    if let Err(failure) = sysctl::close(&port.bridge, port.six.is_some()) {
        warn(format!("containers may tell this machine ways of IPv6: {failure}"));
    }
    let add = |address: IpAddr, prefix| socket.add_address(index, address, prefix).map_err(failed("add address to bridge"));
    if port.host {
        add(port.gateway.into(), port.subnet.1)?;
    }
    socket.set_up_bare(index).map_err(failed("set bridge up"))?;
    match &port.six {
        Some(six) if port.host => {
            sysctl::enable(&port.bridge)?;
            add(BRIDGE_LINK_LOCAL.into(), port::LINK_LOCAL_PREFIX6)?;
            add(six.gateway.into(), six.subnet.1)
        }
        _ => Ok(()),
    }
}

fn walls(port: &Port) -> impl Iterator<Item = Wall<'_>> {
    let four = (IpAddr::V4(port.subnet.0), port.subnet.1);
    let six = port.six.as_ref().map(|six| (IpAddr::V6(six.subnet.0), six.subnet.1));
    [four].into_iter().chain(six).map(|subnet| Wall {
        id: &port.id,
        bridge: &port.bridge,
        subnet,
        internal: port.internal,
        masquerade: port.masquerade,
        neighbours: port.neighbours,
        steps: port
            .steps
            .filter(|_| subnet.0.is_ipv4())
            .map(|(address, prefix)| (address.into(), prefix)),
    })
}

fn find(socket: &Socket, name: &str) -> Result<Option<Link>, Failure> {
    let links = socket.links().map_err(failed("list links"))?;
    Ok(links.into_iter().find(|link| link.name == name))
}

/// Lets the kernel pass packets on between interfaces.
fn forward(warn: &dyn Fn(String)) -> Result<(), Failure> {
    if std::fs::read_to_string(FORWARDING).is_ok_and(|text| text.trim() != "0") {
        return Ok(());
    }
    sysctl::write("ipv4/ip_forward", "1")
        .map_err(|error| sysctl::refused("net.ipv4.ip_forward", &error).hint("On the host: sysctl -w net.ipv4.ip_forward=1"))?;
    warn("net.ipv4.ip_forward was off: it is on now, so that containers reach other machines".to_owned());
    Ok(())
}

/// The same for IPv6.
fn forward6(warn: &dyn Fn(String)) -> Result<(), Failure> {
    if sysctl::forward6()? {
        warn("net.ipv6.conf.all.forwarding was off: it is on now, so that containers reach other machines".to_owned());
    }
    Ok(())
}

/// In the namespace of a container: loopback, addresses, and the way out.
///
/// # Errors
/// The step that failed.
pub fn configure(ports: &[Port]) -> Result<(), Failure> {
    let socket = Socket::route().map_err(failed("socket AF_NETLINK"))?;
    socket.set_up(crate::link::LOOPBACK).map_err(failed("set loopback up"))?;
    ports.iter().try_for_each(|port| configure_one(&socket, port))
}

/// In the namespace of a container: one more interface.
///
/// # Errors
/// The step that failed.
pub fn configure_port(port: &Port) -> Result<(), Failure> {
    configure_one(&Socket::route().map_err(failed("socket AF_NETLINK"))?, port)
}

fn configure_one(socket: &Socket, port: &Port) -> Result<(), Failure> {
    let link = find(socket, &port.interface)?.ok_or_else(|| failed("find interface")(Errno::NODEV).subject(port.interface.clone()))?;
    let add = |address: IpAddr, prefix| socket.add_address(link.index, address, prefix).map_err(failed("add address"));
    add(port.address.into(), port.subnet.1)?;
    socket.set_up_bare(link.index).map_err(failed("set interface up"))?;
    if port.six.is_some() || port.link_local.iter().any(IpAddr::is_ipv6) {
        sysctl::enable(&port.interface)?;
    }
    if let Some(six) = &port.six {
        add(port::link_local(port.mac).into(), port::LINK_LOCAL_PREFIX6)?;
        add(six.address.into(), six.subnet.1)?;
    }
    for address in &port.link_local {
        add(*address, port::link_local_prefix(*address))?;
    }
    ways_out(socket, link.index, port)?;
    sysctl::set(&port.interface, &port.sysctls)
}

/// The ways that lead over an interface; others of their family are none any more.
fn ways_out(socket: &Socket, index: u32, port: &Port) -> Result<(), Failure> {
    if port.internal || !port.host {
        return Ok(());
    }
    let four = port.default_route.then_some(IpAddr::V4(port.gateway));
    let six = port.six.as_ref().filter(|six| six.default_route).map(|six| IpAddr::V6(six.gateway));
    four.into_iter()
        .chain(six)
        .try_for_each(|gateway| socket.add_default_route(index, gateway).map_err(failed("add default route")))
}

/// Takes the interface of a container on the network `id` away, where there is one.
///
/// # Errors
/// The step that failed.
pub fn detach(container: &str, id: &str) -> Result<(), Failure> {
    let socket = Socket::route().map_err(failed("socket AF_NETLINK"))?;
    match find(&socket, &names::veth(container, id))? {
        Some(link) => socket.delete(link.index).map_err(failed("delete veth")),
        None => Ok(()),
    }
}

/// Removes bridge and rules of those networks `ids` on which no container is. The caller holds the lock.
///
/// # Errors
/// The step that failed.
pub fn sweep(ids: &[String]) -> Result<(), Failure> {
    if ids.is_empty() {
        return Ok(());
    }
    let socket = Socket::route().map_err(failed("socket AF_NETLINK"))?;
    let links = socket.links().map_err(failed("list links"))?;
    for id in ids {
        let bridge = bridge_of(&links, id).map(|link| link.index);
        if bridge.is_some() && links.iter().any(|link| link.master == bridge) {
            continue;
        }
        firewall::raze(id).map_err(failed("remove packet rules"))?;
        if let Some(index) = bridge {
            socket.delete(index).map_err(failed("delete bridge"))?;
        }
    }
    Ok(())
}

/// Whether a bridge of the networks `ids` stands on the host.
///
/// # Errors
/// When the links cannot be listed.
pub fn any_stands(ids: &[String]) -> Result<bool, Failure> {
    let socket = Socket::route().map_err(failed("socket AF_NETLINK"))?;
    let links = socket.links().map_err(failed("list links"))?;
    Ok(ids.iter().any(|id| bridge_of(&links, id).is_some()))
}

/// Tries, in a network namespace that is thrown away, all that a network is made of.
///
/// # Errors
/// What is missing.
pub fn rehearse() -> Result<(), Failure> {
    let modules = "Load the kernel modules bridge, veth, nf_tables and nft_masq, or use --network host";
    let socket = Socket::route().map_err(failed("socket AF_NETLINK"))?;
    let hint = |failure: Failure| failure.hint(modules);
    // The thread, which may be in a namespace of its own.
    let me = rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs();
    let (bridge, id) = ("berth0", "0".repeat(64));
    let step = |what: &'static str, result: rustix::io::Result<()>| result.map_err(failed(what)).map_err(hint);
    step("make bridge", socket.add_bridge(bridge, names::mac(&id), 1500))?;
    let index = find(&socket, bridge)?.map(|link| link.index).unwrap_or_default();
    let pair = Veth {
        name: "berth1",
        bridge: index,
        mtu: 1500,
        peer: "berth2",
        peer_mac: names::mac(&id),
        peer_process: me,
    };
    step("make veth", socket.add_veth(&pair))?;
    let wall = Wall {
        id: &id,
        bridge,
        subnet: (Ipv4Addr::new(10, 0, 0, 0).into(), 24),
        internal: false,
        masquerade: true,
        neighbours: true,
        steps: Some((Ipv4Addr::new(10, 0, 0, 192).into(), 26)),
    };
    step("make packet rules", firewall::raise(&wall, true))?;
    step("make packet rules", firewall::redirect_names(Ipv4Addr::LOCALHOST, 1, 1))
}

/// What in the host's namespace would keep packets from being passed on.
///
/// # Errors
/// The obstacle.
pub fn look_at_host() -> Result<(), Failure> {
    let old = std::fs::read_to_string(OLD_TABLES).unwrap_or_default();
    if old.lines().any(|table| table == "filter") {
        let message = "iptables-legacy has a filter table here, whose rules cannot be seen to";
        let failure = Failure::new(Code::Unsupported, "look at packet filters", message);
        return Err(failure.hint("Use iptables-nft (update-alternatives --config iptables), or --network host"));
    }
    let forwards = std::fs::read_to_string(FORWARDING).is_ok_and(|text| text.trim() != "0");
    if forwards || rustix::fs::access(FORWARDING, rustix::fs::Access::WRITE_OK).is_ok() && !is_read_only(FORWARDING) {
        return Ok(());
    }
    let message = "net.ipv4.ip_forward is off, and cannot be switched on from here";
    Err(Failure::new(Code::NotPermitted, "forward packets", message).hint("On the host: sysctl -w net.ipv4.ip_forward=1"))
}

fn is_read_only(path: &str) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|found| found.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_bridge_of_a_network_under_any_name() {
        let id = "0123456789abcdef".repeat(4);
        let link = |name: &str, alias: Option<String>| Link {
            index: 1,
            name: name.to_owned(),
            alias,
            master: None,
        };
        assert!(bridge_of(&[link(&names::bridge(&id), None)], &id).is_some());
        assert!(bridge_of(&[link("mine0", Some(names::comment(&id)))], &id).is_some());
        assert!(bridge_of(&[link("mine0", None), link("eth0", Some("uplink".to_owned()))], &id).is_none());
    }
}
