//! Packet rules: the expressions and messages of nf_tables that a network needs. Source: `include/uapi/linux/netfilter/nf_tables.h`.
//!
//! Rules for foreign chains are made of those expressions alone that `iptables` makes itself: one that it does not know would keep it from
//! listing the whole table.

use crate::link::octets;
use crate::netlink::{self, Answer, Body, Message, NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_REQUEST, Socket};
use rustix::io::{self, Errno};
use std::net::{IpAddr, Ipv4Addr};

const SUBSYSTEM: u16 = 10 << 8;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NEWTABLE: u16 = SUBSYSTEM;
const DELTABLE: u16 = SUBSYSTEM | 2;
const NEWCHAIN: u16 = SUBSYSTEM | 3;
const GETCHAIN: u16 = SUBSYSTEM | 4;
const NEWRULE: u16 = SUBSYSTEM | 6;
const GETRULE: u16 = SUBSYSTEM | 7;
const DELRULE: u16 = SUBSYSTEM | 8;
/// Length of `struct nfgenmsg`.
const GENERAL: usize = 4;
/// Type of a comment in the data that user space keeps with a rule.
const COMMENT: u8 = 0;

/// Families of tables: of packets of both versions, of IPv4 and of IPv6.
pub(crate) const INET: u8 = 1;
pub(crate) const IP: u8 = 2;
pub(crate) const IP6: u8 = 10;

/// Where in a packet's way a chain hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Hook {
    PreRouting = 0,
    Forward = 2,
    Output = 3,
    PostRouting = 4,
}

/// What a rule does with a packet that matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Accept,
    Drop,
    Masquerade,
    /// To this address and port.
    Redirect(Ipv4Addr, u16),
}

/// What a packet must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Match {
    From {
        interface: String,
        negated: bool,
    },
    To {
        interface: String,
        negated: bool,
    },
    Source {
        address: IpAddr,
        prefix: u8,
    },
    Destination {
        address: IpAddr,
        prefix: u8,
    },
    /// Of a connection that is there already.
    Established,
    /// The number of the protocol (6 or 17), and the port that it goes to.
    DestinationPort {
        protocol: u8,
        port: u16,
    },
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) matches: Vec<Match>,
    pub(crate) act: Act,
}

/// Where rules stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) family: u8,
    pub(crate) table: String,
    pub(crate) chain: String,
}

/// A chain that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) place: Place,
    pub(crate) hook: Option<u32>,
    pub(crate) kind: String,
    pub(crate) drops: bool,
}

/// A rule that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) place: Place,
    handle: u64,
    pub(crate) comment: Option<String>,
}

/// Changes that the kernel makes together or not at all.
#[derive(Debug, Default)]
pub(crate) struct Batch(Vec<Message>);

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Makes `table` anew: what it had is gone. The kernel takes some hundredths of a second for that, which the end of the socket waits for.
    pub(crate) fn replace_table(&mut self, family: u8, table: &str) {
        self.add_table(family, table);
        self.delete_table(family, table);
        self.add_table(family, table);
    }

    /// Makes `table`; one that is there stays as it is.
    pub(crate) fn add_table(&mut self, family: u8, table: &str) {
        self.push(NEWTABLE, NLM_F_CREATE, general(family).text(1, table).attribute(2, &[0; 4]));
    }

    /// Removes `table` with all that it holds.
    pub(crate) fn delete_table(&mut self, family: u8, table: &str) {
        self.push(DELTABLE, 0, general(family).text(1, table));
    }

    /// A chain of `kind` (`filter`, `nat`) on a hook; packets that no rule takes go on.
    pub(crate) fn add_chain(&mut self, place: &Place, kind: &str, hook: Hook, priority: i32) {
        let hook = Body::default()
            .attribute(1, &u32::from(hook as u8).to_be_bytes())
            .attribute(2, &priority.to_be_bytes());
        let body = general(place.family)
            .text(1, &place.table)
            .text(3, &place.chain)
            .nest(4, &hook)
            .attribute(5, &1_u32.to_be_bytes())
            .text(7, kind);
        self.push(NEWCHAIN, NLM_F_CREATE, body);
    }

    /// A rule behind the others.
    pub(crate) fn append(&mut self, place: &Place, rule: &Rule) {
        self.push(NEWRULE, NLM_F_CREATE | NLM_F_APPEND, rule_body(place, rule, None));
    }

    /// A rule before the others, with a comment to know it by.
    pub(crate) fn insert(&mut self, place: &Place, rule: &Rule, comment: &str) {
        self.push(NEWRULE, NLM_F_CREATE, rule_body(place, rule, Some(comment)));
    }

    /// Removes a rule.
    pub(crate) fn delete_rule(&mut self, rule: &Found) {
        let body = general(rule.place.family)
            .text(1, &rule.place.table)
            .text(2, &rule.place.chain)
            .attribute(3, &rule.handle.to_be_bytes());
        self.push(DELRULE, 0, body);
    }

    fn push(&mut self, kind: u16, flags: u16, body: Body) {
        self.0.push(Message {
            kind,
            flags: flags | NLM_F_REQUEST | NLM_F_ACK,
            body,
        });
    }

    /// Sends it.
    pub(crate) fn commit(self, socket: &Socket) -> io::Result<()> {
        let mark = |kind| Message {
            kind,
            flags: NLM_F_REQUEST,
            // struct nfgenmsg: no family, version 0, the subsystem as resource.
            body: Body::new(&[0, 0, 0, 10]),
        };
        let messages = [vec![mark(BATCH_BEGIN)], self.0, vec![mark(BATCH_END)]].concat();
        socket.ask_all(&messages)
    }
}

fn general(family: u8) -> Body {
    Body::new(&[family, 0, 0, 0])
}

fn rule_body(place: &Place, rule: &Rule, comment: Option<&str>) -> Body {
    let mut list = Body::default();
    let expressions = rule.matches.iter().flat_map(matching).chain([counter()]).chain(acting(rule.act));
    for expression in expressions {
        list = list.nest(1, &expression);
    }
    let body = general(place.family).text(1, &place.table).text(2, &place.chain).nest(4, &list);
    match comment {
        Some(comment) => body.attribute(7, &user_data(comment)),
        None => body,
    }
}

/// The comment as `nft` and `iptables` keep it: type, length, text with NUL.
fn user_data(comment: &str) -> Vec<u8> {
    let text = [comment.as_bytes(), &[0]].concat();
    let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
    [[COMMENT, length].as_slice(), text.get(..usize::from(length)).unwrap_or_default()].concat()
}

fn comment_of(mut data: &[u8]) -> Option<String> {
    while let [kind, length, rest @ ..] = data {
        let value = rest.get(..usize::from(*length))?;
        if *kind == COMMENT {
            return Some(netlink::text(value));
        }
        data = rest.get(usize::from(*length)..)?;
    }
    None
}

fn expression(name: &str, data: &Body) -> Body {
    Body::default().text(1, name).nest(2, data)
}

/// `value` of a comparison, a mask or an immediate.
fn data(value: &[u8]) -> Body {
    Body::default().attribute(1, value)
}

/// Register 1 takes 16 bytes; register 0 is the verdict.
const REGISTER: [u8; 4] = [0, 0, 0, 1];

fn compare(negated: bool, value: &[u8]) -> Body {
    let data = Body::default()
        .attribute(1, &REGISTER)
        .attribute(2, &u32::from(negated).to_be_bytes())
        .nest(3, &data(value));
    expression("cmp", &data)
}

fn load_meta(key: u32) -> Body {
    let data = Body::default().attribute(1, &REGISTER).attribute(2, &key.to_be_bytes());
    expression("meta", &data)
}

fn load_header(base: u32, offset: u32, length: u32) -> Body {
    let data = Body::default()
        .attribute(1, &REGISTER)
        .attribute(2, &base.to_be_bytes())
        .attribute(3, &offset.to_be_bytes())
        .attribute(4, &length.to_be_bytes());
    expression("payload", &data)
}

fn mask(value: &[u8]) -> Body {
    let length = u32::try_from(value.len()).unwrap_or_default();
    let body = Body::default()
        .attribute(1, &REGISTER)
        .attribute(2, &REGISTER)
        .attribute(3, &length.to_be_bytes())
        .nest(4, &data(value))
        .nest(5, &data(&vec![0; value.len()]));
    expression("bitwise", &body)
}

fn matching(wanted: &Match) -> Vec<Body> {
    const IIFNAME: u32 = 6;
    const OIFNAME: u32 = 7;
    const TRANSPORT_HEADER: u32 = 2;
    const L4PROTO: u32 = 16;
    match wanted {
        Match::From { interface, negated } => named(IIFNAME, interface, *negated),
        Match::To { interface, negated } => named(OIFNAME, interface, *negated),
        Match::Source { address, prefix } => within([12, 8], *address, *prefix),
        Match::Destination { address, prefix } => within([16, 24], *address, *prefix),
        Match::Established => {
            // The state is a number of this machine; established and related.
            let load = Body::default().attribute(1, &REGISTER).attribute(2, &0_u32.to_be_bytes());
            vec![expression("ct", &load), mask(&6_u32.to_ne_bytes()), compare(true, &[0; 4])]
        }
        Match::DestinationPort { protocol, port } => vec![
            load_meta(L4PROTO),
            compare(false, &[*protocol]),
            load_header(TRANSPORT_HEADER, 2, 2),
            compare(false, &port.to_be_bytes()),
        ],
    }
}

fn named(key: u32, interface: &str, negated: bool) -> Vec<Body> {
    // With its NUL, as `iptables` compares a whole name.
    let name = [interface.as_bytes(), &[0]].concat();
    vec![load_meta(key), compare(negated, &name)]
}

/// An address at one of two places in the header, that of IPv4 and that of IPv6, lies in a subnet.
fn within(places: [u32; 2], address: IpAddr, prefix: u8) -> Vec<Body> {
    const NETWORK_HEADER: u32 = 1;
    let [four, six] = places;
    let (place, length, load) = match address {
        IpAddr::V4(_) => (32, 4, load_header(NETWORK_HEADER, four, 4)),
        IpAddr::V6(_) => (128, 16, load_header(NETWORK_HEADER, six, 16)),
    };
    let bits = mask_of(prefix, length);
    let network: Vec<u8> = octets(address).iter().zip(&bits).map(|(byte, bits)| byte & bits).collect();
    let mut all = vec![load];
    if prefix < place {
        all.push(mask(&bits));
    }
    all.push(compare(false, &network));
    all
}

/// So many bits that are set, in as many bytes.
fn mask_of(prefix: u8, length: u8) -> Vec<u8> {
    let set = |at: u8| prefix.saturating_sub(at.saturating_mul(8)).min(8);
    (0..length)
        .map(|at| !u8::MAX.checked_shr(set(at).into()).unwrap_or_default())
        .collect()
}

fn counter() -> Body {
    let data = Body::default().attribute(1, &[0; 8]).attribute(2, &[0; 8]);
    expression("counter", &data)
}

fn acting(act: Act) -> Vec<Body> {
    match act {
        Act::Accept => vec![verdict(1)],
        Act::Drop => vec![verdict(0)],
        Act::Masquerade => vec![expression("masq", &Body::default())],
        Act::Redirect(address, port) => {
            let load = |register: u32, value: &[u8]| {
                let body = Body::default().attribute(1, &register.to_be_bytes()).nest(2, &data(value));
                expression("immediate", &body)
            };
            let one = 1_u32.to_be_bytes();
            let two = 2_u32.to_be_bytes();
            let translation = Body::default()
                // Of the destination.
                .attribute(1, &one)
                .attribute(2, &u32::from(IP).to_be_bytes())
                .attribute(3, &one)
                .attribute(5, &two);
            vec![
                load(1, &address.octets()),
                load(2, &port.to_be_bytes()),
                expression("nat", &translation),
            ]
        }
    }
}

fn verdict(code: u32) -> Body {
    let code = Body::default().attribute(1, &code.to_be_bytes());
    let data = Body::default().attribute(1, &[0; 4]).nest(2, &Body::default().nest(2, &code));
    expression("immediate", &data)
}

impl Socket {
    /// All chains of a family; none where the kernel has no such rules.
    pub(crate) fn chains(&self, family: u8) -> io::Result<Vec<Chain>> {
        let answers = tolerant(self.dump(GETCHAIN, general(family)))?;
        Ok(answers.iter().filter_map(chain).collect())
    }

    /// All rules of a family.
    pub(crate) fn rules(&self, family: u8) -> io::Result<Vec<Found>> {
        let answers = tolerant(self.dump(GETRULE, general(family)))?;
        Ok(answers.iter().filter_map(found).collect())
    }
}

fn tolerant(result: io::Result<Vec<Answer>>) -> io::Result<Vec<Answer>> {
    match result {
        Err(Errno::NOENT | Errno::OPNOTSUPP | Errno::AFNOSUPPORT) => Ok(Vec::new()),
        other => other,
    }
}

fn chain(answer: &Answer) -> Option<Chain> {
    let family = *answer.body.first()?;
    let attributes = answer.body.get(GENERAL..)?;
    let name = |kind| netlink::attribute(attributes, kind).map(netlink::text);
    let number = |value: &[u8]| netlink::u32_at(value, 0).map(u32::from_be);
    Some(Chain {
        place: Place {
            family,
            table: name(1)?,
            chain: name(3)?,
        },
        hook: netlink::attribute(attributes, 4)
            .and_then(|hook| netlink::attribute(hook, 1))
            .and_then(number),
        kind: name(7).unwrap_or_default(),
        drops: netlink::attribute(attributes, 5).and_then(number) == Some(0),
    })
}

fn found(answer: &Answer) -> Option<Found> {
    let family = *answer.body.first()?;
    let attributes = answer.body.get(GENERAL..)?;
    let name = |kind| netlink::attribute(attributes, kind).map(netlink::text);
    let handle = netlink::attribute(attributes, 3)?.try_into().ok().map(u64::from_be_bytes)?;
    Some(Found {
        place: Place {
            family,
            table: name(1)?,
            chain: name(2)?,
        },
        handle,
        comment: netlink::attribute(attributes, 7).and_then(comment_of),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_a_comment_as_nft_does() {
        assert_eq!(user_data("ab"), [0, 3, b'a', b'b', 0]);
        assert_eq!(comment_of(&user_data("ours")), Some("ours".to_owned()));
        // Behind data of another kind.
        assert_eq!(comment_of(&[9, 1, 7, 0, 2, b'x', 0]), Some("x".to_owned()));
        assert_eq!(comment_of(&[0, 200, 1]), None);
        assert_eq!(comment_of(&[]), None);
    }

    #[test]
    fn a_subnet_is_masked_and_an_address_is_not() {
        let names = |matches: Vec<Body>| {
            let name = |body: &Body| netlink::text(netlink::attribute(body.bytes(), 1).unwrap());
            matches.iter().map(name).collect::<Vec<_>>()
        };
        let address = IpAddr::V4(Ipv4Addr::new(172, 24, 3, 4));
        assert_eq!(
            names(matching(&Match::Source { address, prefix: 20 })),
            ["payload", "bitwise", "cmp"]
        );
        assert_eq!(names(matching(&Match::Destination { address, prefix: 32 })), ["payload", "cmp"]);
        let address = "fd00:1::7".parse().unwrap();
        assert_eq!(
            names(matching(&Match::Source { address, prefix: 64 })),
            ["payload", "bitwise", "cmp"]
        );
        assert_eq!(names(matching(&Match::Source { address, prefix: 128 })), ["payload", "cmp"]);
    }

    #[test]
    fn a_mask_ends_within_a_byte() {
        assert_eq!(mask_of(20, 4), [255, 255, 240, 0]);
        assert_eq!(mask_of(32, 4), [255; 4]);
        assert_eq!(mask_of(0, 4), [0; 4]);
        assert_eq!(mask_of(61, 16)[6..9], [255, 248, 0]);
    }

    #[test]
    fn an_interface_is_compared_with_its_end() {
        let [_, compare] = &named(6, "br0", false)[..] else { panic!() };
        let data = netlink::attribute(compare.bytes(), 2).unwrap();
        let value = netlink::attribute(netlink::attribute(data, 3).unwrap(), 1).unwrap();
        assert_eq!(value, b"br0\0");
    }
}
