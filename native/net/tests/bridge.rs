//! Bridges, rules and names in network namespaces that are thrown away: the host is never touched. Needs root, `ip` and `iptables`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "tests start programs as users do, and say what they leave out"
)]

use berth_net::bridge::{self, Port};
use berth_sys::process::{Namespaces, enter, unshare};
use berth_wire::request::{BridgeNetwork, BridgeSubnet, BridgeTrait, Endpoint, EndpointIpv6};
use rustix::process::{Pid, PidfdFlags};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

/// A network namespace, alive as long as a process sits in it.
struct Space(Child);

impl Drop for Space {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Space {
    /// A namespace beside that of the calling thread.
    fn new() -> Self {
        let mut child = Command::new("unshare")
            .args(["-n", "sh", "-c", "echo ready; exec sleep 600"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self(child)
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Does `act` on a thread in this namespace.
    fn inside<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let pid = Pid::from_raw(self.pid().cast_signed()).unwrap();
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                enter(rustix::process::pidfd_open(pid, PidfdFlags::empty()).unwrap(), Namespaces::NETWORK).unwrap();
                act()
            });
            thread.join().unwrap()
        })
    }
}

/// Does `act` on a thread in a namespace that stands for the host; says why not where that is not possible.
fn as_host(act: impl FnOnce() + Send) {
    let runs = |program: &str| Command::new(program).arg("-V").output().is_ok();
    if !rustix::process::geteuid().is_root() || !runs("ip") || !runs("iptables") {
        eprintln!("left out: it needs root, ip (iproute2) and iptables");
        return;
    }
    std::thread::scope(|scope| {
        let host = scope.spawn(|| {
            unshare(Namespaces::NETWORK).unwrap();
            if let Err(failure) = Space::new().inside(bridge::rehearse) {
                eprintln!("left out: {failure}");
                return;
            }
            act();
        });
        host.join().unwrap();
    });
}

fn sh(script: &str) -> String {
    let output = Command::new("sh").args(["-ec", script]).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A place on network 10.77.`third`.0/24, whose id is one digit again and again.
fn port(id: char, third: u8, last: u8, internal: bool) -> Port {
    Port::read(&endpoint(id, third, last, internal)).unwrap()
}

fn endpoint(id: char, third: u8, last: u8, internal: bool) -> Endpoint {
    Endpoint {
        network: BridgeNetwork {
            id: id.to_string().repeat(64),
            name: "mine".to_owned(),
            subnet: format!("10.77.{third}.0/24"),
            gateway: format!("10.77.{third}.1"),
            internal,
            mtu: 1400,
            ipv6: None,
            bridge: None,
            traits: Vec::new(),
            steps: Some(format!("10.77.{third}.128/25")),
        },
        address: format!("10.77.{third}.{last}"),
        mac: format!("02:42:0a:4d:{third:02x}:{last:02x}"),
        interface: "eth0".to_owned(),
        names: Vec::new(),
        default_route: true,
        ipv6: None,
        link_local: Vec::new(),
        links: Vec::new(),
        sysctls: [].into(),
    }
}

/// The same with addresses of IPv6, fd77:`third`::/64.
fn with_ipv6(endpoint: Endpoint, third: u8, last: u8) -> Endpoint {
    Endpoint {
        network: BridgeNetwork {
            ipv6: Some(BridgeSubnet {
                subnet: format!("fd77:{third}::/64"),
                gateway: format!("fd77:{third}::1"),
            }),
            ..endpoint.network
        },
        ipv6: Some(EndpointIpv6 {
            address: format!("fd77:{third}::{last}"),
            default_route: true,
        }),
        ..endpoint
    }
}

/// A namespace with an interface on a network.
fn container(id: char, port: &Port, warn: &dyn Fn(String)) -> Space {
    let space = Space::new();
    bridge::attach(port, &id.to_string().repeat(64), space.pid(), warn).unwrap();
    space.inside(|| bridge::configure(std::slice::from_ref(port)).unwrap());
    space
}

/// The rest of the world: another namespace that only the host reaches, at 192.0.2.2, with the address of a cloud's own service.
fn internet() -> Space {
    let space = Space::new();
    sh(&format!(
        "ip link set lo up; ip link add up0 type veth peer name up1 netns {pid}
         ip addr add 192.0.2.1/24 dev up0; ip link set up0 up",
        pid = space.pid()
    ));
    space.inside(|| sh("ip link set lo up; ip addr add 192.0.2.2/24 dev up1; ip link set up1 up; ip addr add 169.254.169.254/32 dev lo"));
    sh("ip route add default via 192.0.2.2");
    space
}

/// The address of `client` as a server at `space` sees it; `None` when the client cannot reach it.
fn seen_from(space: &Space, client: &Space, host: &str, port: u16) -> Option<IpAddr> {
    let address = SocketAddr::new(host.parse().unwrap(), port);
    let any = if address.is_ipv4() { "0.0.0.0" } else { "::" };
    let listener = space.inside(|| TcpListener::bind((any, port)).unwrap());
    let reached = client.inside(|| {
        // The first packet may be lost while an interface comes up; the next one goes a second later.
        let connected = TcpStream::connect_timeout(&address, Duration::from_secs(3));
        connected.map(|mut stream| stream.write_all(b"hello").unwrap())
    });
    reached.ok()?;
    let (mut stream, from) = listener.accept().unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
    Some(from.ip())
}

#[test]
fn containers_reach_each_other_and_the_world_and_nobody_reaches_them() {
    as_host(|| {
        let world = internet();
        // A new namespace has the host's setting.
        sh("sysctl -q -w net.ipv4.ip_forward=0");
        // As dockerd leaves it: everything that is forwarded is dropped.
        sh("iptables -P FORWARD DROP; iptables -N DOCKER-USER; iptables -A FORWARD -j DOCKER-USER");
        let before = sh("iptables -S");
        let said = Mutex::new(Vec::new());
        let first = container('a', &port('c', 1, 2, false), &|line| said.lock().unwrap().push(line));
        assert!(said.lock().unwrap()[0].contains("ip_forward"));
        let second = container('b', &port('c', 1, 3, false), &|_| ());
        assert_eq!(
            seen_from(&first, &second, "10.77.1.2", 80),
            Some(Ipv4Addr::new(10, 77, 1, 3).into())
        );
        // Outside the host's address is seen; the way leads through Docker's chain, which Docker's tool still understands.
        assert_eq!(seen_from(&world, &first, "192.0.2.2", 81), Some(Ipv4Addr::new(192, 0, 2, 1).into()));
        let rules = sh("iptables -S DOCKER-USER");
        assert_eq!(rules.matches("berth network cccccccccccc").count(), 2, "{rules}");
        // The clouds' own addresses are not a container's to ask.
        assert_eq!(seen_from(&world, &first, "169.254.169.254", 82), None);
        // Nor where this machine serves them itself, or leads what is meant for them elsewhere.
        sh("ip addr add 169.254.20.10/32 dev lo; iptables -t nat -A PREROUTING -d 169.254.170.2 -p tcp -j DNAT --to-destination 192.0.2.2");
        let local = TcpListener::bind("169.254.20.10:85").unwrap();
        let connects =
            |address: &str| first.inside(|| TcpStream::connect_timeout(&address.parse().unwrap(), Duration::from_secs(2)).is_ok());
        assert!(!connects("169.254.20.10:85"));
        assert!(TcpStream::connect(local.local_addr().unwrap()).is_ok());
        let elsewhere = world.inside(|| TcpListener::bind("192.0.2.2:86").unwrap());
        assert!(connects("192.0.2.2:86") && !connects("169.254.170.2:86"));
        drop((local, elsewhere));
        sh("iptables -t nat -F PREROUTING; ip addr del 169.254.20.10/32 dev lo");
        // Who knows the way in is not let in.
        world.inside(|| sh("ip route add 10.77.1.0/24 via 192.0.2.1"));
        assert_eq!(seen_from(&first, &world, "10.77.1.2", 83), None);
        let server = world.inside(|| UdpSocket::bind("192.0.2.2:84").unwrap());
        let client = first.inside(|| UdpSocket::bind("0.0.0.0:0").unwrap());
        client.send_to(b"hi", "192.0.2.2:84").unwrap();
        server.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        assert_eq!(server.recv_from(&mut [0; 8]).unwrap().0, 2);

        // While a container is on it the network stays; then nothing is left.
        let ids = ["c".repeat(64)];
        bridge::detach(&"a".repeat(64), &ids[0]).unwrap();
        bridge::sweep(&ids).unwrap();
        assert!(bridge::any_stands(&ids).unwrap());
        bridge::detach(&"b".repeat(64), &ids[0]).unwrap();
        bridge::sweep(&ids).unwrap();
        bridge::sweep(&ids).unwrap();
        assert!(!bridge::any_stands(&ids).unwrap());
        assert_eq!(sh("ip -o link").lines().count(), 2);
        assert_eq!(sh("iptables -S"), before);
    });
}

#[test]
fn steps_of_builds_reach_the_world_and_containers_but_no_other_step() {
    as_host(|| {
        let world = internet();
        sh("sysctl -q -w net.ipv4.ip_forward=1");
        // Else what a bridge passes on is dropped by the rules for what the host passes on.
        sh("sysctl -q -w net.bridge.bridge-nf-call-iptables=0 2>&1 || true");
        let box_ = container('a', &port('8', 6, 2, false), &|_| ());
        let first = container('b', &port('8', 6, 130, false), &|_| ());
        let second = container('c', &port('8', 6, 131, false), &|_| ());
        assert_eq!(seen_from(&world, &first, "192.0.2.2", 80), Some(Ipv4Addr::new(192, 0, 2, 1).into()));
        assert!(seen_from(&box_, &first, "10.77.6.2", 81).is_some());
        assert_eq!(seen_from(&second, &first, "10.77.6.131", 82), None);
        // Nor by way of the host, which would pass packets on.
        for (space, other) in [(&first, 131), (&second, 130)] {
            space.inside(|| sh(&format!("ip route add 10.77.6.{other}/32 via 10.77.6.1")));
        }
        assert_eq!(seen_from(&second, &first, "10.77.6.131", 83), None);
        // Nor by the address of somebody who is no step.
        box_.inside(|| sh("ip route add 10.77.6.131/32 via 10.77.6.1"));
        assert_eq!(seen_from(&second, &box_, "10.77.6.131", 84), None);
    });
}

#[test]
fn a_network_that_has_moved_gets_other_rules() {
    as_host(|| {
        sh("sysctl -q -w net.ipv4.ip_forward=1");
        let world = internet();
        let before = container('a', &port('7', 7, 2, false), &|_| ());
        let elsewhere = Endpoint {
            network: BridgeNetwork {
                id: "7".repeat(64),
                ..endpoint('7', 8, 2, false).network
            },
            ..endpoint('7', 8, 2, false)
        };
        let after = container('b', &Port::read(&elsewhere).unwrap(), &|_| ());
        assert_eq!(seen_from(&world, &after, "192.0.2.2", 80), Some(Ipv4Addr::new(192, 0, 2, 1).into()));
        drop(before);
    });
}

#[test]
fn what_a_program_leads_out_of_a_namespace_does_not_reach_the_cloud() {
    as_host(|| {
        let space = Space::new();
        space.inside(|| {
            sh("ip link set lo up; ip link add d0 type veth peer name d1; ip link set d1 up; ip addr add 10.5.5.1/24 dev d0; ip link set d0 up; ip route add default via 10.5.5.2");
            let ask = |address: &str| {
                let error = TcpStream::connect_timeout(&address.parse().unwrap(), Duration::from_millis(300)).unwrap_err();
                error.kind() == std::io::ErrorKind::NetworkUnreachable
            };
            assert!(!ask("169.254.169.254:80"));
            berth_net::forbid_cloud().unwrap();
            sh("ip route add 169.254.169.254/32 via 10.5.5.2");
            assert!(ask("169.254.169.254:80") && ask("168.63.129.16:80") && !ask("192.0.2.2:80"));
        });
    });
}

#[test]
fn an_internal_network_leads_nowhere_and_networks_do_not_meet() {
    as_host(|| {
        let world = internet();
        sh("sysctl -q -w net.ipv4.ip_forward=1");
        let inner = container('a', &port('d', 2, 2, true), &|_| ());
        let neighbour = container('b', &port('d', 2, 3, true), &|_| ());
        let other = container('c', &port('e', 3, 2, false), &|_| ());
        assert!(seen_from(&inner, &neighbour, "10.77.2.2", 80).is_some());
        assert_eq!(seen_from(&world, &inner, "192.0.2.2", 80), None);
        inner.inside(|| sh("ip route add default via 10.77.2.1"));
        assert_eq!(seen_from(&world, &inner, "192.0.2.2", 80), None);
        assert_eq!(seen_from(&inner, &other, "10.77.2.2", 81), None);
        assert_eq!(seen_from(&other, &inner, "10.77.3.2", 81), None);
        assert!(seen_from(&world, &other, "192.0.2.2", 82).is_some());
    });
}

#[test]
fn a_network_with_ipv6_leads_out_and_nobody_is_let_in() {
    as_host(|| {
        if std::fs::metadata("/proc/net/if_inet6").is_err() {
            eprintln!("left out: this kernel has no IPv6");
            return;
        }
        let world = internet();
        sh("ip addr add 2001:db8::1/64 dev up0 nodad; ip route add default via 2001:db8::2");
        world.inside(|| sh("ip addr add 2001:db8::2/64 dev up1 nodad; ip addr add fd00:ec2::254/128 dev lo nodad"));
        sh("sysctl -q -w net.ipv6.conf.all.forwarding=0 net.ipv6.conf.up0.accept_ra=1 net.ipv4.ip_forward=1");
        sh("ip6tables -P FORWARD DROP");
        let before = sh("ip6tables -S");
        let said = Mutex::new(Vec::new());
        let place = Port::read(&with_ipv6(endpoint('f', 4, 2, false), 4, 2)).unwrap();
        let first = container('a', &place, &|line| said.lock().unwrap().push(line));
        assert!(said.lock().unwrap()[0].contains("net.ipv6.conf.all.forwarding"), "{said:?}");
        let second = container('b', &Port::read(&with_ipv6(endpoint('f', 4, 3, false), 4, 3)).unwrap(), &|_| ());
        // This machine still listens to the routers of its own network, and to none that says so in a container.
        assert_eq!(
            sh("sysctl -n net.ipv6.conf.up0.accept_ra net.ipv6.conf.berthffffffffff.accept_ra"),
            "2\n0\n"
        );
        assert_eq!(seen_from(&first, &second, "fd77:4::2", 80), Some("fd77:4::3".parse().unwrap()));
        assert_eq!(seen_from(&world, &first, "2001:db8::2", 81), Some("2001:db8::1".parse().unwrap()));
        assert_eq!(seen_from(&world, &first, "192.0.2.2", 82), Some(Ipv4Addr::new(192, 0, 2, 1).into()));
        assert_eq!(seen_from(&world, &first, "fd00:ec2::254", 83), None);
        world.inside(|| sh("ip route add fd77:4::/64 via 2001:db8::1"));
        assert_eq!(seen_from(&first, &world, "fd77:4::2", 84), None);
        for one in ['a', 'b'] {
            bridge::detach(&one.to_string().repeat(64), &"f".repeat(64)).unwrap();
        }
        bridge::sweep(&["f".repeat(64)]).unwrap();
        assert_eq!(sh("ip6tables -S"), before);
        assert_eq!(sh("ip -o link").lines().count(), 2);
    });
}

#[test]
fn a_bridge_has_the_name_that_it_was_given_and_keeps_its_containers_apart() {
    as_host(|| {
        let world = internet();
        sh("sysctl -q -w net.ipv4.ip_forward=1");
        let ids = ["9".repeat(64)];
        let place = |last: u8| {
            let endpoint = endpoint('9', 5, last, false);
            Endpoint {
                network: BridgeNetwork {
                    bridge: Some("apart0".to_owned()),
                    traits: vec![BridgeTrait::NoNeighbours, BridgeTrait::NoMasquerade],
                    ..endpoint.network
                },
                interface: "lan.0".to_owned(),
                link_local: vec!["169.254.7.7".to_owned()],
                sysctls: [("net.ipv4.conf.IFNAME.log_martians".to_owned(), "1".to_owned())].into(),
                ..endpoint
            }
        };
        sh("ip link add apart0 type veth peer name apart1");
        let taken = bridge::attach(&Port::read(&place(2)).unwrap(), &"a".repeat(64), Space::new().pid(), &|_| ()).unwrap_err();
        assert_eq!(taken.subject.as_deref(), Some("apart0"), "{taken}");
        sh("ip link del apart0");
        // One that was killed before it gave the bridge its name left such a one.
        let first = container('a', &Port::read(&place(2)).unwrap(), &|_| ());
        let second = container('b', &Port::read(&place(3)).unwrap(), &|_| ());
        assert_eq!(sh("sysctl -n net.ipv6.conf.apart0.disable_ipv6 || echo 1"), "1\n");
        let inside = first.inside(|| sh("ip -o -4 addr show lan.0; cat /proc/sys/net/ipv4/conf/lan.0/log_martians"));
        assert!(inside.contains("169.254.7.7/16") && inside.ends_with("1\n"), "{inside}");
        assert_eq!(seen_from(&first, &second, "10.77.5.2", 80), None);
        second.inside(|| sh("ip route add 10.77.5.2/32 via 10.77.5.1"));
        assert_eq!(seen_from(&first, &second, "10.77.5.2", 81), None);
        world.inside(|| sh("ip route add 10.77.5.0/24 via 192.0.2.1"));
        assert_eq!(seen_from(&world, &first, "192.0.2.2", 82), Some(Ipv4Addr::new(10, 77, 5, 2).into()));
        for one in ['a', 'b'] {
            bridge::detach(&one.to_string().repeat(64), &ids[0]).unwrap();
        }
        assert!(bridge::any_stands(&ids).unwrap());
        bridge::sweep(&ids).unwrap();
        assert_eq!(sh("ip -o link").lines().count(), 2);
    });
}
