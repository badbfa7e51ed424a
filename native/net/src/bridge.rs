//! Networks of the store on the host: a bridge each while a container is on it, and an interface for each container.

use crate::fail::failed;
use crate::firewall::{self, Wall};
use crate::link::{Link, Mac, Veth};
use crate::names;
use crate::netlink::Socket;
use berth_wire::request::Endpoint;
use berth_wire::{Code, Failure};
use rustix::io::Errno;
use std::net::Ipv4Addr;

const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";
/// Tables of the older packet filter that are in use; only root may read it.
const OLD_TABLES: &str = "/proc/net/ip_tables_names";
/// The smallest and largest packet size that a network may have: IPv4 needs the first, Ethernet frames of a bridge hold the second.
const MTU: std::ops::RangeInclusive<u32> = 68..=65535;

/// An endpoint whose texts have been read.
#[derive(Debug, Clone)]
pub struct Port {
    id: String,
    subnet: (Ipv4Addr, u8),
    gateway: Ipv4Addr,
    internal: bool,
    mtu: u32,
    pub address: Ipv4Addr,
    mac: Mac,
    interface: String,
    default_route: bool,
}

impl Port {
    /// Reads an endpoint.
    ///
    /// # Errors
    /// `Request` naming the field that is malformed.
    pub fn read(endpoint: &Endpoint) -> Result<Self, Failure> {
        let network = &endpoint.network;
        let subnet = subnet(&network.subnet).ok_or_else(|| refused("network.subnet", &network.subnet))?;
        let within = |field: &str, text: &str| {
            let address: Ipv4Addr = text.parse().map_err(|_| refused(field, text))?;
            if contains(subnet, address) {
                Ok(address)
            } else {
                Err(refused(field, text))
            }
        };
        let digits = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = endpoint.interface.strip_prefix("eth").unwrap_or_default();
        if !digits(&network.id) {
            return Err(refused("network.id", &network.id));
        }
        if number.is_empty() || number.len() > 4 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(refused("network.interface", &endpoint.interface));
        }
        if !MTU.contains(&network.mtu) {
            return Err(refused("network.mtu", &network.mtu.to_string()));
        }
        Ok(Self {
            id: network.id.clone(),
            subnet,
            gateway: within("network.gateway", &network.gateway)?,
            internal: network.internal,
            mtu: network.mtu,
            address: within("network.address", &endpoint.address)?,
            mac: mac(&endpoint.mac).ok_or_else(|| refused("network.mac", &endpoint.mac))?,
            interface: endpoint.interface.clone(),
            default_route: endpoint.default_route,
        })
    }
}

fn refused(field: &str, text: &str) -> Failure {
    Failure::new(Code::Request, "read network", format!("{text:?} is not possible here")).subject(field)
}

fn subnet(text: &str) -> Option<(Ipv4Addr, u8)> {
    let (address, prefix) = text.split_once('/')?;
    let (address, prefix) = (address.parse().ok()?, prefix.parse().ok()?);
    (1..=30).contains(&prefix).then_some((address, prefix))
}

fn contains((network, prefix): (Ipv4Addr, u8), address: Ipv4Addr) -> bool {
    let bits = !u32::MAX.checked_shr(prefix.into()).unwrap_or_default();
    network.to_bits() & bits == address.to_bits() & bits
}

/// An address of one device: its first bit says that it is no group's.
fn mac(text: &str) -> Option<Mac> {
    let bytes: Option<Vec<u8>> = text
        .split(':')
        .map(|part| (part.len() == 2).then(|| u8::from_str_radix(part, 16).ok()).flatten())
        .collect();
    let bytes: Mac = bytes?.try_into().ok()?;
    (bytes[0] & 1 == 0 && bytes != [0; 6]).then_some(bytes)
}

/// Gives the namespace of `process` an interface on the network, whose bridge and rules are made where they are missing. The caller holds the
/// lock on the store's networks, and is in the host's namespace.
///
/// # Errors
/// The step that failed. What was made of the network stays: it is collected when no container is on it.
pub fn attach(port: &Port, container: &str, process: u32, warn: &dyn Fn(String)) -> Result<(), Failure> {
    let socket = Socket::route().map_err(failed("socket AF_NETLINK"))?;
    let bridge = names::bridge(&port.id);
    let links = socket.links().map_err(failed("list links"))?;
    let there = links.iter().find(|link| link.name == bridge).map(|link| link.index);
    let index = match there {
        Some(index) => index,
        None => add_bridge(&socket, port, &bridge)?,
    };
    let prefix = port.subnet.1;
    socket
        .add_address(index, port.gateway, prefix)
        .map_err(failed("add address to bridge"))?;
    socket.set_up_bare(index).map_err(failed("set bridge up"))?;
    let wall = Wall {
        id: &port.id,
        bridge: &bridge,
        subnet: port.subnet,
        internal: port.internal,
    };
    firewall::raise(&wall, there.is_none()).map_err(failed("make packet rules"))?;
    if !port.internal {
        forward(warn)?;
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
    socket.set_up_bare(ours.index).map_err(failed("set veth up"))
}

fn add_bridge(socket: &Socket, port: &Port, name: &str) -> Result<u32, Failure> {
    let made = socket.add_bridge(name, names::mac(&port.id), port.mtu);
    made.map_err(failed("make bridge"))?;
    find(socket, name)?
        .map(|link| link.index)
        .ok_or_else(|| failed("find bridge")(Errno::NODEV))
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
    std::fs::write(FORWARDING, "1")
        .map_err(|error| failed("write net.ipv4.ip_forward")(berth_sys::errno::of(&error)).hint("sysctl -w net.ipv4.ip_forward=1"))?;
    warn("net.ipv4.ip_forward was off: it is on now, so that containers reach other machines".to_owned());
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
    socket
        .add_address(link.index, port.address, port.subnet.1)
        .map_err(failed("add address"))?;
    socket.set_up_bare(link.index).map_err(failed("set interface up"))?;
    if port.default_route && !port.internal {
        socket
            .add_default_route(link.index, port.gateway)
            .map_err(failed("add default route"))?;
    }
    Ok(())
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
        let name = names::bridge(id);
        let bridge = links.iter().find(|link| link.name == name).map(|link| link.index);
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

/// Whether anything of the networks `ids` stands on the host.
///
/// # Errors
/// When the links cannot be listed.
pub fn any_stands(ids: &[String]) -> Result<bool, Failure> {
    let socket = Socket::route().map_err(failed("socket AF_NETLINK"))?;
    let links = socket.links().map_err(failed("list links"))?;
    Ok(ids.iter().any(|id| links.iter().any(|link| link.name == names::bridge(id))))
}

/// Tries, in a network namespace that is thrown away, all that a network is made of.
///
/// # Errors
/// What is missing.
pub fn rehearse() -> Result<(), Failure> {
    let modules = "Load the kernel modules bridge, veth, nf_tables and nft_masq, or use --network host";
    let socket = Socket::route().map_err(failed("socket AF_NETLINK"))?;
    let hint = |failure: Failure| failure.hint(modules);
    let me = rustix::process::getpid().as_raw_nonzero().get().unsigned_abs();
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
        subnet: (Ipv4Addr::new(10, 0, 0, 0), 24),
        internal: false,
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
    use berth_wire::request::BridgeNetwork;

    fn endpoint() -> Endpoint {
        Endpoint {
            network: BridgeNetwork {
                id: "0123456789abcdef".repeat(4),
                name: "bridge".to_owned(),
                subnet: "172.24.0.0/20".to_owned(),
                gateway: "172.24.0.1".to_owned(),
                internal: false,
                mtu: 1500,
            },
            address: "172.24.0.2".to_owned(),
            mac: "02:42:ac:18:00:02".to_owned(),
            interface: "eth0".to_owned(),
            names: Vec::new(),
            default_route: true,
        }
    }

    #[test]
    fn reads_an_endpoint_and_names_what_is_wrong_with_one() {
        assert_eq!(Port::read(&endpoint()).unwrap().address, Ipv4Addr::new(172, 24, 0, 2));
        let subject = |change: &dyn Fn(&mut Endpoint)| {
            let mut endpoint = endpoint();
            change(&mut endpoint);
            Port::read(&endpoint).unwrap_err().subject.unwrap()
        };
        assert_eq!(subject(&|one| one.address = "10.0.0.1".to_owned()), "network.address");
        assert_eq!(subject(&|one| one.network.subnet = "172.24.0.0/33".to_owned()), "network.subnet");
        assert_eq!(subject(&|one| one.network.gateway = "x".to_owned()), "network.gateway");
        assert_eq!(subject(&|one| one.mac = "ff:ff:ff:ff:ff:ff".to_owned()), "network.mac");
        assert_eq!(subject(&|one| one.interface = "../eth0".to_owned()), "network.interface");
        assert_eq!(subject(&|one| one.network.id = "x".to_owned()), "network.id");
        assert_eq!(subject(&|one| one.network.mtu = 0), "network.mtu");
    }
}
