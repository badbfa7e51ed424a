//! What lets the containers of a network out and keeps others from getting in: a table of our own for each network, and two rules in each
//! foreign chain that could drop forwarded packets, since a table of our own cannot overrule a drop (`DESIGN.md` 4 "Network").

use crate::names;
use crate::netlink::Socket;
use crate::nft::{Act, Batch, Chain, Found, Hook, INET, IP, Match, Place, Rule};
use rustix::io;
use std::net::Ipv4Addr;

/// Before the filters of others, so that what is not to leave is dropped whatever they say.
const PRIORITY_FILTER: i32 = -10;
/// Where source addresses are translated.
const PRIORITY_SOURCE: i32 = 100;
/// Where destinations of own packets are translated.
const PRIORITY_DESTINATION: i32 = -100;
/// Services of the machine's own cloud: names are resolved for containers from the host's namespace, all else there is not theirs.
const LINK_LOCAL: (Ipv4Addr, u8) = (Ipv4Addr::new(169, 254, 0, 0), 16);
const AZURE_WIRE_SERVER: (Ipv4Addr, u8) = (Ipv4Addr::new(168, 63, 129, 16), 32);

/// What the rules of a network depend on.
#[derive(Debug, Clone)]
pub(crate) struct Wall<'a> {
    pub(crate) id: &'a str,
    pub(crate) bridge: &'a str,
    pub(crate) subnet: (Ipv4Addr, u8),
    pub(crate) internal: bool,
}

/// Makes the rules of a network that are missing; all of its own when the bridge is `fresh`, whatever was there.
pub(crate) fn raise(wall: &Wall<'_>, fresh: bool) -> io::Result<()> {
    let socket = Socket::netfilter()?;
    let mut batch = Batch::default();
    if fresh || !stands(&socket, wall.id)? {
        own_table(wall, &mut batch);
    }
    if !wall.internal {
        let comment = names::comment(wall.id);
        let there: Vec<Place> = commented(&socket, &comment)?.into_iter().map(|rule| rule.place).collect();
        for place in droppers(&socket)?.into_iter().filter(|place| !there.contains(place)) {
            for rule in accepts(wall.bridge) {
                batch.insert(&place, &rule, &comment);
            }
        }
    }
    if batch.is_empty() { Ok(()) } else { batch.commit(&socket) }
}

fn stands(socket: &Socket, id: &str) -> io::Result<bool> {
    let table = names::table(id);
    Ok(socket.chains(IP)?.iter().any(|chain| chain.place.table == table))
}

/// Removes the rules of a network, where there are any.
pub(crate) fn raze(id: &str) -> io::Result<()> {
    let socket = Socket::netfilter()?;
    let mut batch = Batch::default();
    if stands(&socket, id)? {
        batch.delete_table(IP, &names::table(id));
    }
    for rule in commented(&socket, &names::comment(id))? {
        batch.delete_rule(&rule);
    }
    if batch.is_empty() { Ok(()) } else { batch.commit(&socket) }
}

/// In the namespace of a container: what asks the responder's address for names reaches the ports on which it listens.
pub(crate) fn redirect_names(address: Ipv4Addr, udp: u16, tcp: u16) -> io::Result<()> {
    const DNS: u16 = 53;
    let place = Place {
        family: IP,
        table: "berth".to_owned(),
        chain: "output".to_owned(),
    };
    let mut batch = Batch::default();
    batch.replace_table(IP, &place.table);
    batch.add_chain(&place, "nat", Hook::Output, PRIORITY_DESTINATION);
    for (protocol, port) in [(17, udp), (6, tcp)] {
        let matches = vec![
            Match::Destination { address, prefix: 32 },
            Match::DestinationPort { protocol, port: DNS },
        ];
        batch.append(
            &place,
            &Rule {
                matches,
                act: Act::Redirect(address, port),
            },
        );
    }
    batch.commit(&Socket::netfilter()?)
}

fn own_table(wall: &Wall<'_>, batch: &mut Batch) {
    let place = |chain: &str| Place {
        family: IP,
        table: names::table(wall.id),
        chain: chain.to_owned(),
    };
    batch.replace_table(IP, &names::table(wall.id));
    let forward = place("forward");
    batch.add_chain(&forward, "filter", Hook::Forward, PRIORITY_FILTER);
    for rule in forward_rules(wall) {
        batch.append(&forward, &rule);
    }
    if wall.internal {
        return;
    }
    let post = place("postrouting");
    batch.add_chain(&post, "nat", Hook::PostRouting, PRIORITY_SOURCE);
    let (address, prefix) = wall.subnet;
    batch.append(
        &post,
        &Rule {
            matches: vec![Match::Source { address, prefix }, outside(wall.bridge, Match::to)],
            act: Act::Masquerade,
        },
    );
}

/// Only answers come in; an internal network has no way at all.
fn forward_rules(wall: &Wall<'_>) -> Vec<Rule> {
    let incoming = || vec![outside(wall.bridge, Match::from), inside(wall.bridge, Match::to)];
    let drop = |matches| Rule { matches, act: Act::Drop };
    if wall.internal {
        let outgoing = vec![inside(wall.bridge, Match::from), outside(wall.bridge, Match::to)];
        return vec![drop(incoming()), drop(outgoing)];
    }
    let mut rules: Vec<Rule> = [LINK_LOCAL, AZURE_WIRE_SERVER]
        .into_iter()
        .map(|(address, prefix)| drop(vec![inside(wall.bridge, Match::from), Match::Destination { address, prefix }]))
        .collect();
    rules.push(Rule {
        matches: [incoming(), vec![Match::Established]].concat(),
        act: Act::Accept,
    });
    rules.push(drop(incoming()));
    rules
}

/// The two rules for foreign chains. That only answers come in is seen to by our own table, with expressions that `iptables` need not know.
fn accepts(bridge: &str) -> [Rule; 2] {
    let accept = |direction: fn(&str, bool) -> Match| Rule {
        matches: vec![inside(bridge, direction)],
        act: Act::Accept,
    };
    [accept(Match::from), accept(Match::to)]
}

fn inside(bridge: &str, direction: fn(&str, bool) -> Match) -> Match {
    direction(bridge, false)
}

fn outside(bridge: &str, direction: fn(&str, bool) -> Match) -> Match {
    direction(bridge, true)
}

impl Match {
    fn from(interface: &str, negated: bool) -> Self {
        Self::From {
            interface: interface.to_owned(),
            negated,
        }
    }

    fn to(interface: &str, negated: bool) -> Self {
        Self::To {
            interface: interface.to_owned(),
            negated,
        }
    }
}

/// Foreign chains that may drop what is forwarded.
fn droppers(socket: &Socket) -> io::Result<Vec<Place>> {
    let mut places = Vec::new();
    for family in [IP, INET] {
        let chains = socket.chains(family)?;
        let rules = socket.rules(family)?;
        places.extend(choose(&chains, &rules));
    }
    Ok(places)
}

/// Those with a policy of drop or with any rule. Where Docker keeps a chain for others, its place is taken.
fn choose(chains: &[Chain], rules: &[Found]) -> Vec<Place> {
    let forwards = |chain: &&Chain| chain.hook == Some(u32::from(Hook::Forward as u8)) && chain.kind == "filter";
    let foreign = |chain: &&Chain| !names::is_table(&chain.place.table);
    let may_drop = |chain: &&Chain| chain.drops || rules.iter().any(|rule| rule.place == chain.place);
    let places = chains.iter().filter(forwards).filter(foreign).filter(may_drop);
    places
        .map(|chain| {
            let users = Place {
                chain: "DOCKER-USER".to_owned(),
                ..chain.place.clone()
            };
            if chains.iter().any(|other| other.place == users) {
                users
            } else {
                chain.place.clone()
            }
        })
        .collect()
}

fn commented(socket: &Socket, comment: &str) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    for family in [IP, INET] {
        found.extend(socket.rules(family)?);
    }
    found.retain(|rule| rule.comment.as_deref() == Some(comment));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(table: &str, name: &str, hook: Option<u32>, drops: bool) -> Chain {
        Chain {
            place: Place {
                family: IP,
                table: table.to_owned(),
                chain: name.to_owned(),
            },
            hook,
            kind: "filter".to_owned(),
            drops,
        }
    }

    #[test]
    fn takes_the_chain_that_docker_keeps_for_others() {
        let chains = [
            chain("filter", "FORWARD", Some(2), true),
            chain("filter", "DOCKER-USER", None, false),
        ];
        assert_eq!(choose(&chains, &[])[0].chain, "DOCKER-USER");
    }

    #[test]
    fn leaves_alone_what_cannot_drop_and_what_is_ours() {
        let chains = [
            chain("filter", "FORWARD", Some(2), false),
            chain("filter", "INPUT", Some(1), true),
            chain(&names::table(&"a".repeat(64)), "forward", Some(2), true),
        ];
        assert!(choose(&chains, &[]).is_empty());
    }

    #[test]
    fn an_internal_network_has_no_way_in_or_out() {
        let wall = Wall {
            id: "a",
            bridge: "b0",
            subnet: (Ipv4Addr::new(10, 0, 0, 0), 24),
            internal: true,
        };
        assert!(forward_rules(&wall).iter().all(|rule| rule.act == Act::Drop));
    }
}
