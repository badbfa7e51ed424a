//! An endpoint whose texts have been read: what a container's interface on a network is made of.

use crate::link::Mac;
use crate::names;
use berth_wire::request::{BridgeNetwork, BridgeTrait, Endpoint};
use berth_wire::{Code, Failure};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The smallest and largest packet size that a network may have: IPv4 needs the first, Ethernet frames of a bridge hold the second.
const MTU: std::ops::RangeInclusive<u32> = 68..=65535;
/// The smallest one that IPv6 does with.
const MTU6: u32 = 1280;
/// Bytes of an interface's name.
const NAME: std::ops::RangeInclusive<usize> = 1..=15;
const LINK_LOCAL_PREFIX: u8 = 16;
pub(crate) const LINK_LOCAL_PREFIX6: u8 = 64;

/// An endpoint whose texts have been read.
#[derive(Debug, Clone)]
pub struct Port {
    pub(crate) id: String,
    pub(crate) bridge: String,
    pub(crate) subnet: (Ipv4Addr, u8),
    pub(crate) gateway: Ipv4Addr,
    pub(crate) internal: bool,
    pub(crate) masquerade: bool,
    pub(crate) neighbours: bool,
    /// The host has the gateway's address.
    pub(crate) host: bool,
    pub(crate) mtu: u32,
    pub address: Ipv4Addr,
    pub(crate) six: Option<Six>,
    pub(crate) mac: Mac,
    pub(crate) interface: String,
    pub(crate) default_route: bool,
    pub(crate) link_local: Vec<IpAddr>,
    /// By their places below `/proc/sys/net`, with the interface still to be put in.
    pub(crate) sysctls: Vec<(String, String)>,
    /// Addresses that steps of builds have.
    pub(crate) steps: Option<(Ipv4Addr, u8)>,
}

/// The IPv6 half of it.
#[derive(Debug, Clone)]
pub(crate) struct Six {
    pub(crate) subnet: (Ipv6Addr, u8),
    pub(crate) gateway: Ipv6Addr,
    pub(crate) address: Ipv6Addr,
    pub(crate) default_route: bool,
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
            let address = text.parse().ok().filter(|address| contains(subnet, *address));
            address.ok_or_else(|| refused(field, text))
        };
        let digits = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !digits(&network.id) {
            return Err(refused("network.id", &network.id));
        }
        if !is_name(&endpoint.interface) || endpoint.interface == "lo" {
            return Err(refused("network.interface", &endpoint.interface));
        }
        let bridge = network.bridge.clone().unwrap_or_else(|| names::bridge(&network.id));
        if !is_name(&bridge) {
            return Err(refused("network.bridge", &bridge));
        }
        let six = Six::read(endpoint)?;
        if !MTU.contains(&network.mtu) || (six.is_some() && network.mtu < MTU6) {
            return Err(refused("network.mtu", &network.mtu.to_string()));
        }
        let lacks = |one| !network.traits.contains(&one);
        Ok(Self {
            id: network.id.clone(),
            bridge,
            subnet,
            gateway: within("network.gateway", &network.gateway)?,
            internal: network.internal,
            masquerade: lacks(BridgeTrait::NoMasquerade),
            neighbours: lacks(BridgeTrait::NoNeighbours),
            host: lacks(BridgeTrait::NoHost),
            mtu: network.mtu,
            address: within("network.address", &endpoint.address)?,
            six,
            mac: mac(&endpoint.mac).ok_or_else(|| refused("network.mac", &endpoint.mac))?,
            interface: endpoint.interface.clone(),
            default_route: endpoint.default_route,
            link_local: endpoint
                .link_local
                .iter()
                .map(|text| read_link_local(text))
                .collect::<Result<_, _>>()?,
            sysctls: endpoint.sysctls.iter().map(read_sysctl).collect::<Result<_, _>>()?,
            steps: steps(network)?,
        })
    }

    /// Whether it is that of a step, which reaches no other step.
    pub(crate) fn is_step(&self) -> bool {
        self.steps.is_some_and(|steps| contains(steps, self.address))
    }

    /// The address of IPv6, where the network has some.
    #[must_use]
    pub fn address6(&self) -> Option<Ipv6Addr> {
        self.six.as_ref().map(|six| six.address)
    }
}

impl Six {
    fn read(endpoint: &Endpoint) -> Result<Option<Self>, Failure> {
        let (Some(network), Some(own)) = (&endpoint.network.ipv6, &endpoint.ipv6) else {
            return match &endpoint.ipv6 {
                Some(own) => Err(refused("network.ipv6.address", &own.address)),
                None => Ok(None),
            };
        };
        let subnet = subnet6(&network.subnet).ok_or_else(|| refused("network.ipv6.subnet", &network.subnet))?;
        let within = |field: &str, text: &str| {
            let address = text.parse().ok().filter(|address| contains6(subnet, *address));
            address.ok_or_else(|| refused(field, text))
        };
        Ok(Some(Self {
            subnet,
            gateway: within("network.ipv6.gateway", &network.gateway)?,
            address: within("network.ipv6.address", &own.address)?,
            default_route: own.default_route,
        }))
    }
}

/// The addresses that a network has for steps of builds: a part of its subnet.
fn steps(network: &BridgeNetwork) -> Result<Option<(Ipv4Addr, u8)>, Failure> {
    let Some(text) = &network.steps else { return Ok(None) };
    let part = subnet(text)
        .zip(subnet(&network.subnet))
        .filter(|(steps, whole)| steps.1 >= whole.1 && contains(*whole, steps.0));
    part.map_or_else(|| Err(refused("network.steps", text)), |(steps, _)| Ok(Some(steps)))
}

/// First and last address that steps of builds may get on a network.
///
/// # Errors
/// `Request` where it has none.
pub fn step_range(network: &BridgeNetwork) -> Result<(Ipv4Addr, Ipv4Addr), Failure> {
    let (base, prefix) = steps(network)?.ok_or_else(|| refused("network.steps", ""))?;
    let hosts = u32::MAX.checked_shr(prefix.into()).unwrap_or_default();
    let first = base.to_bits() & !hosts;
    // Its own first and last mean the network and everybody, where it begins or ends as the subnet does.
    Ok((
        Ipv4Addr::from_bits(first.saturating_add(1)),
        Ipv4Addr::from_bits((first | hosts).saturating_sub(1)),
    ))
}

/// The Ethernet address of a step: the same for the same address, as neighbours remember it.
#[must_use]
pub fn step_mac(address: Ipv4Addr) -> String {
    let [a, b, c, d] = address.octets();
    format!("02:42:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}

fn refused(field: &str, text: &str) -> Failure {
    Failure::new(Code::Request, "read network", format!("{text:?} is not possible here")).subject(field)
}

fn subnet(text: &str) -> Option<(Ipv4Addr, u8)> {
    let (address, prefix) = text.split_once('/')?;
    let (address, prefix) = (address.parse().ok()?, prefix.parse().ok()?);
    (1..=30).contains(&prefix).then_some((address, prefix))
}

fn subnet6(text: &str) -> Option<(Ipv6Addr, u8)> {
    let (address, prefix) = text.split_once('/')?;
    let (address, prefix) = (address.parse().ok()?, prefix.parse().ok()?);
    (1..=126).contains(&prefix).then_some((address, prefix))
}

fn contains((network, prefix): (Ipv4Addr, u8), address: Ipv4Addr) -> bool {
    let bits = !u32::MAX.checked_shr(prefix.into()).unwrap_or_default();
    network.to_bits() & bits == address.to_bits() & bits
}

fn contains6((network, prefix): (Ipv6Addr, u8), address: Ipv6Addr) -> bool {
    let bits = !u128::MAX.checked_shr(prefix.into()).unwrap_or_default();
    network.to_bits() & bits == address.to_bits() & bits
}

/// Whether the kernel takes it as the name of an interface, and no program reads it as more than that.
fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    NAME.contains(&text.len()) && text.bytes().all(plain) && text.bytes().any(|byte| byte != b'.') && !text.starts_with('-')
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

fn read_link_local(text: &str) -> Result<IpAddr, Failure> {
    let is_local = |address: &IpAddr| match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    let address = text.parse().ok().filter(is_local);
    address.ok_or_else(|| refused("network.linkLocal", text))
}

pub(crate) fn link_local_prefix(address: IpAddr) -> u8 {
    if address.is_ipv4() { LINK_LOCAL_PREFIX } else { LINK_LOCAL_PREFIX6 }
}

/// The address on its link that a device has by its own number. RFC 4291, appendix A.
pub(crate) fn link_local(mac: Mac) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac;
    let pair = |high: u8, low: u8| u16::from_be_bytes([high, low]);
    Ipv6Addr::new(0xfe80, 0, 0, 0, pair(a ^ 2, b), pair(c, 0xff), pair(0xfe, d), pair(e, f))
}

/// Only what belongs to one interface: `net.ipv4.conf.IFNAME.log_martians`.
fn read_sysctl((name, value): (&String, &String)) -> Result<(String, String), Failure> {
    let parts: Vec<&str> = name.split('.').collect();
    let plain = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    match parts[..] {
        ["net", family @ ("ipv4" | "ipv6"), kind @ ("conf" | "neigh"), "IFNAME", last]
            if plain(last) && !value.contains(char::is_control) =>
        {
            Ok((format!("{family}/{kind}/IFNAME/{last}"), value.clone()))
        }
        _ => Err(refused("network.sysctls", name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use berth_wire::request::{BridgeSubnet, EndpointIpv6};

    fn endpoint() -> Endpoint {
        Endpoint {
            network: BridgeNetwork {
                id: "0123456789abcdef".repeat(4),
                name: "bridge".to_owned(),
                subnet: "172.24.0.0/20".to_owned(),
                gateway: "172.24.0.1".to_owned(),
                internal: false,
                mtu: 1500,
                ipv6: Some(BridgeSubnet {
                    subnet: "fd00:1::/64".to_owned(),
                    gateway: "fd00:1::1".to_owned(),
                }),
                bridge: None,
                traits: Vec::new(),
                steps: Some("172.24.12.0/22".to_owned()),
            },
            address: "172.24.0.2".to_owned(),
            mac: "02:42:ac:18:00:02".to_owned(),
            interface: "eth0".to_owned(),
            names: Vec::new(),
            default_route: true,
            ipv6: Some(EndpointIpv6 {
                address: "fd00:1::2".to_owned(),
                default_route: true,
            }),
            link_local: Vec::new(),
            links: Vec::new(),
            sysctls: [("net.ipv4.conf.IFNAME.log_martians".to_owned(), "1".to_owned())].into(),
        }
    }

    #[test]
    fn reads_an_endpoint_and_names_what_is_wrong_with_one() {
        let read = Port::read(&endpoint()).unwrap();
        assert_eq!(read.address, Ipv4Addr::new(172, 24, 0, 2));
        assert_eq!(read.address6(), Some("fd00:1::2".parse().unwrap()));
        assert_eq!(read.sysctls[0].0, "ipv4/conf/IFNAME/log_martians");
        let subject = |change: &dyn Fn(&mut Endpoint)| {
            let mut endpoint = endpoint();
            change(&mut endpoint);
            Port::read(&endpoint).unwrap_err().subject.unwrap()
        };
        assert_eq!(subject(&|one| one.address = "10.0.0.1".to_owned()), "network.address");
        assert_eq!(subject(&|one| one.network.subnet = "172.24.0.0/33".to_owned()), "network.subnet");
        assert_eq!(subject(&|one| one.network.gateway = "x".to_owned()), "network.gateway");
        assert_eq!(subject(&|one| one.mac = "ff:ff:ff:ff:ff:ff".to_owned()), "network.mac");
        for name in ["../eth0", "lo", "..", "", "-x", "a b", "sixteen-letters."] {
            assert_eq!(subject(&|one| one.interface = name.to_owned()), "network.interface", "{name}");
        }
        assert_eq!(subject(&|one| one.network.id = "x".to_owned()), "network.id");
        assert_eq!(subject(&|one| one.network.mtu = 0), "network.mtu");
        assert_eq!(subject(&|one| one.network.mtu = 1000), "network.mtu");
        assert_eq!(subject(&|one| one.network.bridge = Some("a/b".to_owned())), "network.bridge");
        assert_eq!(subject(&|one| one.network.ipv6 = None), "network.ipv6.address");
        assert_eq!(
            subject(&|one| one.ipv6 = Some(EndpointIpv6 {
                address: "fd00:2::2".to_owned(),
                default_route: true
            })),
            "network.ipv6.address"
        );
        assert_eq!(subject(&|one| one.link_local = vec!["10.0.0.1".to_owned()]), "network.linkLocal");
        for name in [
            "net.ipv4.ip_forward",
            "net.ipv4.conf.all.forwarding",
            "kernel.core_pattern",
            "net.ipv4.conf.IFNAME.../../x",
            "net.ipv4.conf.IFNAME.a.b",
        ] {
            let one = |one: &mut Endpoint| one.sysctls = [(name.to_owned(), "1".to_owned())].into();
            assert_eq!(subject(&one), "network.sysctls", "{name}");
        }
    }

    #[test]
    fn a_device_has_an_address_of_its_link_by_its_number() {
        assert_eq!(link_local([0x02, 0x42, 0xac, 0x18, 0, 2]).to_string(), "fe80::42:acff:fe18:2");
        assert_eq!(link_local_prefix("169.254.1.1".parse().unwrap()), 16);
    }
}
