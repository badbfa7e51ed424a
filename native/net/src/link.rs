//! Links, addresses, routes and rules: the messages of rtnetlink that a container's network needs. Source: `rtnetlink(7)`, `include/uapi/linux/if_link.h`.

use crate::netlink::{self, Body, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, Socket};
use rustix::io::{self, Errno};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTM_SETLINK: u16 = 19;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const RTM_NEWROUTE: u16 = 24;
const RTM_NEWRULE: u16 = 32;
const IFF_UP: u32 = 1;
const AF_INET: u8 = 2;
const AF_BRIDGE: u8 = 7;
const AF_INET6: u8 = 10;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_MASTER: u16 = 10;
const IFLA_PROTINFO: u16 = 12;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_PID: u16 = 19;
const IFLA_IFALIAS: u16 = 20;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
const IN6_ADDR_GEN_MODE_NONE: u8 = 1;
const IFLA_BRPORT_ISOLATED: u16 = 33;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
/// An address that is used at once: nobody else on the link can have it.
const IFA_F_NODAD: u8 = 2;
const SCOPE_UNIVERSE: u8 = 0;
const SCOPE_LINK: u8 = 253;
const RTA_GATEWAY: u16 = 5;
const RTA_OIF: u16 = 4;
const RT_TABLE_MAIN: u8 = 254;
const RTPROT_STATIC: u8 = 4;
const RTN_UNICAST: u8 = 1;
const FRA_DST: u16 = 1;
const FRA_PRIORITY: u16 = 6;
const FR_ACT_UNREACHABLE: u8 = 7;
/// Behind the rule for the addresses of the machine itself, and before all that programs make.
const PRIORITY: u32 = 1;
/// Length of `struct ifinfomsg`.
const INFO: usize = 16;
/// Length of `struct ifaddrmsg`.
const ADDRESS: usize = 8;

/// The loopback device is the first one of every namespace.
pub(crate) const LOOPBACK: u32 = 1;

/// An address of an Ethernet device.
pub(crate) type Mac = [u8; 6];

/// A link of this namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    /// A text that its maker has put on it.
    pub(crate) alias: Option<String>,
    /// The bridge that it is a port of.
    pub(crate) master: Option<u32>,
}

/// A pair of devices, the first in this namespace and port of a bridge, the second in another.
#[derive(Debug)]
pub(crate) struct Veth<'a> {
    pub(crate) name: &'a str,
    pub(crate) bridge: u32,
    pub(crate) mtu: u32,
    pub(crate) peer: &'a str,
    pub(crate) peer_mac: Mac,
    /// A process in the other namespace.
    pub(crate) peer_process: u32,
}

/// `struct ifinfomsg` of the link `index`, with `flags` to set.
fn info(index: u32, flags: u32) -> Body {
    let mut head = vec![0_u8; 4];
    head.extend(index.to_ne_bytes());
    head.extend(flags.to_ne_bytes());
    head.extend(flags.to_ne_bytes());
    Body::new(&head)
}

fn bridge(name: &str, mac: Mac, mtu: u32) -> Body {
    info(0, 0)
        .text(IFLA_IFNAME, name)
        .attribute(IFLA_ADDRESS, &mac)
        .attribute(IFLA_MTU, &mtu.to_ne_bytes())
        .nest(IFLA_LINKINFO, &Body::default().text(IFLA_INFO_KIND, "bridge"))
}

fn veth(pair: &Veth<'_>) -> Body {
    let peer = info(0, 0)
        .text(IFLA_IFNAME, pair.peer)
        .attribute(IFLA_ADDRESS, &pair.peer_mac)
        .attribute(IFLA_MTU, &pair.mtu.to_ne_bytes())
        .attribute(IFLA_NET_NS_PID, &pair.peer_process.to_ne_bytes());
    let data = Body::default().nest(VETH_INFO_PEER, &peer);
    info(0, 0)
        .text(IFLA_IFNAME, pair.name)
        .attribute(IFLA_MTU, &pair.mtu.to_ne_bytes())
        .attribute(IFLA_MASTER, &pair.bridge.to_ne_bytes())
        .nest(
            IFLA_LINKINFO,
            &Body::default().text(IFLA_INFO_KIND, "veth").nest(IFLA_INFO_DATA, &data),
        )
}

/// No address of IPv6 comes up by itself.
fn no_link_local(index: u32) -> Body {
    let mode = Body::default().attribute(IFLA_INET6_ADDR_GEN_MODE, &[IN6_ADDR_GEN_MODE_NONE]);
    info(index, 0).nest(IFLA_AF_SPEC, &Body::default().nest(u16::from(AF_INET6), &mode))
}

impl Socket {
    /// Makes a bridge, down and without an address.
    pub(crate) fn add_bridge(&self, name: &str, mac: Mac, mtu: u32) -> io::Result<()> {
        self.ask(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, bridge(name, mac, mtu))
    }

    /// Makes a pair of devices, both down.
    pub(crate) fn add_veth(&self, pair: &Veth<'_>) -> io::Result<()> {
        self.ask(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, veth(pair))
    }

    /// Removes a link; one that is gone already counts as removed.
    pub(crate) fn delete(&self, index: u32) -> io::Result<()> {
        match self.ask(RTM_DELLINK, 0, info(index, 0)) {
            Err(Errno::NODEV) => Ok(()),
            other => other,
        }
    }

    /// Sets a link up, without an IPv6 address of its own.
    pub(crate) fn set_up_bare(&self, index: u32) -> io::Result<()> {
        // A kernel without IPv6 has nothing to switch off.
        let _ = self.ask(RTM_NEWLINK, 0, no_link_local(index));
        self.set_up(index)
    }

    /// Sets a link up.
    pub(crate) fn set_up(&self, index: u32) -> io::Result<()> {
        self.ask(RTM_NEWLINK, 0, info(index, IFF_UP))
    }

    /// Gives a link a text to know it by, and then another name; it must be down.
    pub(crate) fn rename(&self, index: u32, name: &str, alias: &str) -> io::Result<()> {
        self.ask(RTM_NEWLINK, 0, info(index, 0).text(IFLA_IFALIAS, alias))?;
        self.ask(RTM_NEWLINK, 0, info(index, 0).text(IFLA_IFNAME, name))
    }

    /// Keeps a port of a bridge from passing anything to other ports that are kept so.
    pub(crate) fn isolate(&self, index: u32) -> io::Result<()> {
        self.ask(RTM_SETLINK, 0, isolated(index))
    }

    /// Adds an address to a link; one that is there already stays. One of IPv6 stays only while the link is up.
    pub(crate) fn add_address(&self, index: u32, address: IpAddr, prefix: u8) -> io::Result<()> {
        self.ask(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, new_address(index, address, prefix))
    }

    /// All addresses of IPv4 of this namespace, by the number of their links.
    pub(crate) fn addresses(&self) -> io::Result<Vec<Ipv4Addr>> {
        self.all_addresses(AF_INET, IFA_LOCAL)
    }

    /// All addresses of IPv6 of this namespace, by the number of their links; none where there is no IPv6.
    pub(crate) fn addresses6(&self) -> io::Result<Vec<Ipv6Addr>> {
        self.all_addresses(AF_INET6, IFA_ADDRESS)
    }

    fn all_addresses<A: From<[u8; N]> + Ord, const N: usize>(&self, family: u8, attribute: u16) -> io::Result<Vec<A>> {
        let answers = self.dump(RTM_GETADDR, Body::new(&[family, 0, 0, 0, 0, 0, 0, 0]))?;
        let addresses = answers.iter().filter(|answer| answer.kind == RTM_NEWADDR);
        let mut found: Vec<(u32, A)> = addresses.filter_map(|answer| found_address(&answer.body, attribute)).collect();
        found.sort_unstable();
        Ok(found.into_iter().map(|(_, address)| address).collect())
    }

    /// Makes `gateway` the way to everywhere that its family has; another one is no longer.
    pub(crate) fn add_default_route(&self, index: u32, gateway: IpAddr) -> io::Result<()> {
        // struct rtmsg: family, destination and source lengths, tos, table, protocol, scope, type, flags.
        let head = [family(gateway), 0, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, 0, RTN_UNICAST, 0, 0, 0, 0];
        let body = Body::new(&head)
            .attribute(RTA_GATEWAY, &octets(gateway))
            .attribute(RTA_OIF, &index.to_ne_bytes());
        self.ask(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, body)
    }

    /// Makes the addresses of a subnet unreachable, whatever routes there are or will be.
    pub(crate) fn forbid(&self, (address, prefix): (IpAddr, u8)) -> io::Result<()> {
        // struct fib_rule_hdr: family, lengths of destination and source, tos, table, two that are reserved, action, flags.
        let head = [family(address), prefix, 0, 0, 0, 0, 0, FR_ACT_UNREACHABLE, 0, 0, 0, 0];
        let body = Body::new(&head)
            .attribute(FRA_DST, &octets(address))
            .attribute(FRA_PRIORITY, &PRIORITY.to_ne_bytes());
        self.ask(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, body)
    }

    /// All links of this namespace.
    pub(crate) fn links(&self) -> io::Result<Vec<Link>> {
        let answers = self.dump(RTM_GETLINK, info(0, 0))?;
        let links = answers.iter().filter(|answer| answer.kind == RTM_NEWLINK);
        Ok(links.filter_map(|answer| link(&answer.body)).collect())
    }
}

fn isolated(index: u32) -> Body {
    let mut head = vec![AF_BRIDGE, 0, 0, 0];
    head.extend(index.to_ne_bytes());
    head.extend([0; 8]);
    Body::new(&head).nest(IFLA_PROTINFO, &Body::default().attribute(IFLA_BRPORT_ISOLATED, &[1]))
}

fn new_address(index: u32, address: IpAddr, prefix: u8) -> Body {
    let (flags, scope) = match address {
        IpAddr::V4(address) if address.is_link_local() => (0, SCOPE_LINK),
        IpAddr::V4(_) => (0, SCOPE_UNIVERSE),
        // Its scope follows from the address.
        IpAddr::V6(_) => (IFA_F_NODAD, SCOPE_UNIVERSE),
    };
    // struct ifaddrmsg: family, prefix length, flags, scope, index.
    let mut head = vec![family(address), prefix, flags, scope];
    head.extend(index.to_ne_bytes());
    let body = Body::new(&head)
        .attribute(IFA_LOCAL, &octets(address))
        .attribute(IFA_ADDRESS, &octets(address));
    match address {
        IpAddr::V4(address) if prefix < 31 => {
            let broadcast = address.to_bits() | u32::MAX.checked_shr(prefix.into()).unwrap_or_default();
            body.attribute(IFA_BROADCAST, &broadcast.to_be_bytes())
        }
        _ => body,
    }
}

fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { AF_INET } else { AF_INET6 }
}

/// The bytes of an address, as the network has them.
pub(crate) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn link(body: &[u8]) -> Option<Link> {
    let attributes = body.get(INFO..)?;
    Some(Link {
        index: netlink::u32_at(body, 4)?,
        name: netlink::text(netlink::attribute(attributes, IFLA_IFNAME)?),
        alias: netlink::attribute(attributes, IFLA_IFALIAS).map(netlink::text),
        master: netlink::attribute(attributes, IFLA_MASTER).and_then(|value| netlink::u32_at(value, 0)),
    })
}

/// The number of the link, and its address.
fn found_address<A: From<[u8; N]>, const N: usize>(body: &[u8], attribute: u16) -> Option<(u32, A)> {
    let bytes: [u8; N] = netlink::attribute(body.get(ADDRESS..)?, attribute)?.try_into().ok()?;
    Some((netlink::u32_at(body, 4)?, A::from(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_names_both_ends_and_the_namespace_of_the_second() {
        let body = veth(&Veth {
            name: "host0",
            bridge: 7,
            mtu: 1400,
            peer: "eth0",
            peer_mac: [2, 66, 0, 0, 0, 9],
            peer_process: 4711,
        });
        let attributes = &body.bytes()[INFO..];
        assert_eq!(netlink::text(netlink::attribute(attributes, IFLA_IFNAME).unwrap()), "host0");
        assert_eq!(netlink::attribute(attributes, IFLA_MASTER).unwrap(), 7_u32.to_ne_bytes());
        let kind = netlink::attribute(attributes, IFLA_LINKINFO).unwrap();
        assert_eq!(netlink::text(netlink::attribute(kind, IFLA_INFO_KIND).unwrap()), "veth");
        let data = netlink::attribute(kind, IFLA_INFO_DATA).unwrap();
        let peer = &netlink::attribute(data, VETH_INFO_PEER).unwrap()[INFO..];
        assert_eq!(netlink::attribute(peer, IFLA_NET_NS_PID).unwrap(), 4711_u32.to_ne_bytes());
        assert_eq!(netlink::attribute(peer, IFLA_ADDRESS).unwrap(), [2, 66, 0, 0, 0, 9]);
    }

    #[test]
    fn reads_an_address_of_a_list() {
        let body = Body::new(&[AF_INET, 24, 0, 0, 7, 0, 0, 0]).attribute(IFA_LOCAL, &[10, 0, 0, 2]);
        let index = u32::from_ne_bytes([7, 0, 0, 0]);
        assert_eq!(found_address(body.bytes(), IFA_LOCAL), Some((index, Ipv4Addr::new(10, 0, 0, 2))));
        assert_eq!(found_address::<Ipv6Addr, 16>(body.bytes(), IFA_LOCAL), None);
        assert_eq!(found_address::<Ipv4Addr, 4>(&[AF_INET; 8], IFA_LOCAL), None);
    }

    #[test]
    fn an_address_of_ipv6_is_used_at_once_and_one_of_the_link_stays_there() {
        let six = new_address(3, "fd00::2".parse().unwrap(), 64);
        assert_eq!(six.bytes()[..4], [AF_INET6, 64, IFA_F_NODAD, 0]);
        assert_eq!(netlink::attribute(&six.bytes()[ADDRESS..], IFA_BROADCAST), None);
        let four = new_address(3, "169.254.7.8".parse().unwrap(), 16);
        assert_eq!(four.bytes()[..4], [AF_INET, 16, 0, SCOPE_LINK]);
    }

    #[test]
    fn reads_a_link_of_a_list() {
        let body = info(4, IFF_UP)
            .text(IFLA_IFNAME, "veth1")
            .attribute(IFLA_MASTER, &3_u32.to_ne_bytes());
        let found = link(body.bytes()).unwrap();
        assert_eq!(
            found,
            Link {
                index: 4,
                name: "veth1".to_owned(),
                alias: None,
                master: Some(3)
            }
        );
        assert_eq!(link(&[0; 8]), None);
    }
}
