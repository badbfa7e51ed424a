//! What lets the containers of a network out and keeps others from getting in: a table of our own for each network, and two rules in each
//! foreign chain that could drop forwarded packets, since a table of our own cannot overrule a drop (`DESIGN.md` 4 "Network").

use crate::names;
use crate::netlink::Socket;
use crate::nft::{Act, Batch, Chain, Found, Hook, INET, IP, IP6, Match, Place, Rule};
use rustix::io;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Another number whenever other rules are made of the same network.
const RULES: u32 = 2;
/// Before connections are followed and destinations translated: what is not to be reached is dropped as it was asked for.
const PRIORITY_FIRST: i32 = -310;
/// Before the filters of others, so that what is not to leave is dropped whatever they say.
const PRIORITY_FILTER: i32 = -10;
/// Where source addresses are translated.
const PRIORITY_SOURCE: i32 = 100;
/// Where destinations of own packets are translated.
const PRIORITY_DESTINATION: i32 = -100;
/// Services of the machine's own cloud: names are resolved for containers from the host's namespace, all else there is not theirs.
const CLOUD: [(Ipv4Addr, u8); 2] = [
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    // Azure's wire server.
    (Ipv4Addr::new(168, 63, 129, 16), 32),
];
/// The same of AWS and of Google.
const CLOUD6: [(Ipv6Addr, u8); 2] = [
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254), 128),
];

/// What the rules of a network depend on. A network with IPv6 has two walls, each of its own family.
#[derive(Debug, Clone, Hash)]
pub(crate) struct Wall<'a> {
    pub(crate) id: &'a str,
    pub(crate) bridge: &'a str,
    pub(crate) subnet: (IpAddr, u8),
    pub(crate) internal: bool,
    /// Packets leave with the host's address.
    pub(crate) masquerade: bool,
    /// Containers reach each other.
    pub(crate) neighbours: bool,
    /// Addresses of steps of builds, which do not reach each other.
    pub(crate) steps: Option<(IpAddr, u8)>,
}

impl Wall<'_> {
    fn family(&self) -> u8 {
        if self.subnet.0.is_ipv4() { IP } else { IP6 }
    }

    /// The chain of what is passed on: its name says by which rules, so that those of a network that has changed are known for what they are.
    fn forward(&self) -> Place {
        let mut hasher = DefaultHasher::new();
        (self, RULES).hash(&mut hasher);
        self.place(&format!("forward-{:016x}", hasher.finish()))
    }

    fn place(&self, chain: &str) -> Place {
        Place {
            family: self.family(),
            table: names::table(self.id),
            chain: chain.to_owned(),
        }
    }
}

/// Makes the rules of a network that are missing; all of its own when the bridge is `fresh`, whatever was there.
pub(crate) fn raise(wall: &Wall<'_>, fresh: bool) -> io::Result<()> {
    let socket = Socket::netfilter()?;
    let mut batch = Batch::default();
    let forward = wall.forward();
    let own: Vec<Chain> = socket
        .chains(wall.family())?
        .into_iter()
        .filter(|chain| chain.place.table == forward.table)
        .collect();
    if own.is_empty() {
        batch.add_table(wall.family(), &forward.table);
        fill_table(wall, &mut batch);
    } else if fresh || !own.iter().any(|chain| chain.place == forward) {
        batch.replace_table(wall.family(), &forward.table);
        fill_table(wall, &mut batch);
    }
    if !wall.internal {
        let comment = names::comment(wall.id);
        let there: Vec<Place> = commented(&socket, &comment)?.into_iter().map(|rule| rule.place).collect();
        let droppers = droppers(&socket, wall.family())?;
        for place in droppers.into_iter().filter(|place| !there.contains(place)) {
            for rule in accepts(wall.bridge) {
                batch.insert(&place, &rule, &comment);
            }
        }
    }
    if batch.is_empty() { Ok(()) } else { batch.commit(&socket) }
}

fn stands(socket: &Socket, family: u8, id: &str) -> io::Result<bool> {
    let table = names::table(id);
    Ok(socket.chains(family)?.iter().any(|chain| chain.place.table == table))
}

/// Removes the rules of a network, where there are any.
pub(crate) fn raze(id: &str) -> io::Result<()> {
    let socket = Socket::netfilter()?;
    let mut batch = Batch::default();
    for family in [IP, IP6] {
        if stands(&socket, family, id)? {
            batch.delete_table(family, &names::table(id));
        }
    }
    for rule in commented(&socket, &names::comment(id))? {
        batch.delete_rule(&rule);
    }
    if batch.is_empty() { Ok(()) } else { batch.commit(&socket) }
}

/// In the namespace of a container, which has no such rules yet: what asks the responder's address for names reaches the ports on which it listens.
pub(crate) fn redirect_names(address: Ipv4Addr, udp: u16, tcp: u16) -> io::Result<()> {
    const DNS: u16 = 53;
    let place = Place {
        family: IP,
        table: "berth".to_owned(),
        chain: "output".to_owned(),
    };
    let mut batch = Batch::default();
    batch.add_table(IP, &place.table);
    batch.add_chain(&place, "nat", Hook::Output, PRIORITY_DESTINATION);
    for (protocol, port) in [(17, udp), (6, tcp)] {
        let matches = vec![
            Match::Destination {
                address: address.into(),
                prefix: 32,
            },
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

fn fill_table(wall: &Wall<'_>, batch: &mut Batch) {
    let first = wall.place("prerouting");
    batch.add_chain(&first, "filter", Hook::PreRouting, PRIORITY_FIRST);
    for rule in cloud_rules(wall) {
        batch.append(&first, &rule);
    }
    let forward = wall.forward();
    batch.add_chain(&forward, "filter", Hook::Forward, PRIORITY_FILTER);
    for rule in forward_rules(wall) {
        batch.append(&forward, &rule);
    }
    if wall.internal || !wall.masquerade {
        return;
    }
    let post = wall.place("postrouting");
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

/// Only answers come in; an internal network has no way at all. Neighbours that are none would still meet by way of the host.
fn forward_rules(wall: &Wall<'_>) -> Vec<Rule> {
    let incoming = || vec![outside(wall.bridge, Match::from), inside(wall.bridge, Match::to)];
    let drop = |matches| Rule { matches, act: Act::Drop };
    let between = vec![inside(wall.bridge, Match::from), inside(wall.bridge, Match::to)];
    let mut rules: Vec<Rule> = if wall.neighbours { Vec::new() } else { vec![drop(between)] };
    // Whatever address a packet says that it is from.
    if let Some((address, prefix)) = wall.steps {
        let to_step = |more: &[Match]| {
            let hairpin = [
                inside(wall.bridge, Match::from),
                inside(wall.bridge, Match::to),
                Match::Destination { address, prefix },
            ];
            [&hairpin, more].concat()
        };
        rules.push(Rule {
            matches: to_step(&[Match::Established]),
            act: Act::Accept,
        });
        rules.push(drop(to_step(&[])));
    }
    if wall.internal {
        let outgoing = vec![inside(wall.bridge, Match::from), outside(wall.bridge, Match::to)];
        rules.extend([drop(incoming()), drop(outgoing)]);
        return rules;
    }
    rules.push(Rule {
        matches: [incoming(), vec![Match::Established]].concat(),
        act: Act::Accept,
    });
    rules.push(drop(incoming()));
    rules
}

/// Where services of the machine's own cloud are.
pub(crate) fn cloud_subnets() -> impl Iterator<Item = (IpAddr, u8)> {
    let four = CLOUD.map(|(address, prefix)| (IpAddr::V4(address), prefix));
    let six = CLOUD6.map(|(address, prefix)| (IpAddr::V6(address), prefix));
    four.into_iter().chain(six)
}

/// Services of the cloud are out of reach, whether they are elsewhere, on this machine, or where it leads what is meant for them.
fn cloud_rules(wall: &Wall<'_>) -> Vec<Rule> {
    let own = cloud_subnets().filter(|(address, _)| address.is_ipv4() == wall.subnet.0.is_ipv4());
    own.map(|(address, prefix)| Rule {
        matches: vec![inside(wall.bridge, Match::from), Match::Destination { address, prefix }],
        act: Act::Drop,
    })
    .collect()
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
fn droppers(socket: &Socket, family: u8) -> io::Result<Vec<Place>> {
    let mut places = Vec::new();
    for family in [family, INET] {
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
    for family in [IP, IP6, INET] {
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

    fn wall(subnet: &str) -> Wall<'static> {
        Wall {
            id: "a",
            bridge: "b0",
            subnet: (subnet.parse().unwrap(), 24),
            internal: false,
            masquerade: true,
            neighbours: true,
            steps: None,
        }
    }

    #[test]
    fn an_internal_network_has_no_way_in_or_out() {
        let wall = Wall {
            internal: true,
            ..wall("10.0.0.0")
        };
        assert!(forward_rules(&wall).iter().all(|rule| rule.act == Act::Drop));
    }

    #[test]
    fn containers_that_are_no_neighbours_do_not_meet_by_way_of_the_host() {
        let wall = Wall {
            neighbours: false,
            ..wall("10.0.0.0")
        };
        let first = &forward_rules(&wall)[0];
        assert_eq!(
            (&first.matches, first.act),
            (&vec![inside("b0", Match::from), inside("b0", Match::to)], Act::Drop)
        );
    }

    #[test]
    fn steps_of_builds_do_not_meet_by_way_of_the_host() {
        let steps = (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 192)), 26);
        let wall = Wall {
            steps: Some(steps),
            ..wall("10.0.0.0")
        };
        let (address, prefix) = steps;
        let hairpin = vec![
            inside("b0", Match::from),
            inside("b0", Match::to),
            Match::Destination { address, prefix },
        ];
        let rules = forward_rules(&wall);
        assert_eq!((&rules[1].matches, rules[1].act), (&hairpin, Act::Drop));
        assert_eq!((rules[0].matches.last(), rules[0].act), (Some(&Match::Established), Act::Accept));
    }

    #[test]
    fn rules_of_a_network_that_has_changed_are_known_as_others() {
        let [one, other] = ["10.0.0.0", "10.0.1.0"].map(|subnet| wall(subnet).forward());
        assert_ne!(one, other);
        assert_eq!(one, wall("10.0.0.0").forward());
        assert!(one.chain.len() < 32, "{}", one.chain);
    }

    #[test]
    fn each_family_is_kept_from_its_own_services_of_the_cloud() {
        for (subnet, is_four) in [("10.0.0.0", true), ("fd00::", false)] {
            let rules = cloud_rules(&wall(subnet));
            let places = rules.iter().flat_map(|rule| &rule.matches).filter_map(|one| match one {
                Match::Destination { address, .. } => Some(address.is_ipv4()),
                _ => None,
            });
            assert_eq!(places.collect::<Vec<_>>(), [is_four; 2]);
        }
    }
}
