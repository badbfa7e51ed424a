//! Bridges, rules and names in network namespaces that are thrown away: the host is never touched. Needs root, `ip` and `iptables`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "tests start programs as users do, and say what they leave out"
)]

use berth_net::bridge::{self, Port};
use berth_sys::process::{Namespaces, enter, unshare};
use berth_wire::request::{BridgeNetwork, Endpoint};
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
    Port::read(&Endpoint {
        network: BridgeNetwork {
            id: id.to_string().repeat(64),
            name: "mine".to_owned(),
            subnet: format!("10.77.{third}.0/24"),
            gateway: format!("10.77.{third}.1"),
            internal,
            mtu: 1400,
        },
        address: format!("10.77.{third}.{last}"),
        mac: format!("02:42:0a:4d:{third:02x}:{last:02x}"),
        interface: "eth0".to_owned(),
        names: Vec::new(),
        default_route: true,
    })
    .unwrap()
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
    let listener = space.inside(|| TcpListener::bind(("0.0.0.0", port)).unwrap());
    let address = SocketAddr::new(host.parse().unwrap(), port);
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
