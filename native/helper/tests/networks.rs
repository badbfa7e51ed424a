//! Bridges: what changes the networks of a container beside its start and its end.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

mod support;

use serde_json::{Value, json};
use std::cell::OnceCell;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::Barrier;
use support::{Answer, Rung, Store, as_root, each_rung, life, spec, start, wait_until, with};

/// How often a start and a change of networks meet.
const ROUNDS: usize = 16;

/// An endpoint on network `number` of this test.
fn endpoint(store: &Store, number: u8) -> Value {
    let id = format!("{number:02x}{}", &format!("{:062x}", std::process::id()));
    fs::create_dir_all(store.root.join("networks").join(&id)).unwrap();
    json!({
        "network": {
            "id": id, "name": format!("net{number}"), "subnet": format!("10.213.{number}.0/24"), "gateway": format!("10.213.{number}.1"),
            "internal": false, "mtu": 1500,
        },
        "address": format!("10.213.{number}.9"),
        "mac": format!("02:42:0a:d5:{number:02x}:09"),
        "interface": format!("eth{}", number - 1),
        "names": ["box"],
        "defaultRoute": number == 1,
    })
}

fn kept(store: &Store, id: &str) -> Vec<String> {
    let text = fs::read_to_string(store.root.join("containers").join(id).join("network.json")).unwrap();
    let network: Value = serde_json::from_str(&text).unwrap();
    let endpoints = network["endpoints"].as_array().unwrap();
    endpoints
        .iter()
        .map(|one| one["network"]["name"].as_str().unwrap().to_owned())
        .collect()
}

fn inside(store: &Store, id: &str) -> String {
    let process = spec(&["ip", "-o", "addr"])["process"].clone();
    let arguments = json!({"container": id, "process": process, "seccomp": null, "stdin": false, "detach": false});
    store.call("exec", &arguments).text()
}

/// Runs two operations at the same time.
fn beside(store: &Store, [first, second]: [(&str, &Value); 2]) -> [Answer; 2] {
    let barrier = Barrier::new(2);
    let call = |(operation, arguments): (&str, &Value)| {
        barrier.wait();
        store.call(operation, arguments)
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| call(second));
        [call(first), other.join().unwrap()]
    })
}

#[test]
fn a_network_that_is_joined_or_left_beside_a_start_or_an_end_is_not_lost() {
    as_root(|store| {
        let probe = store.call("probe", &json!({"sub": null})).reply();
        if probe["network"]["bridge"] != true {
            eprintln!("left out: {}", probe["network"]["reason"]);
            return;
        }
        let [one, two] = [1, 2].map(|number| endpoint(store, number));
        let network = json!({"mode": "bridge", "endpoints": [one], "ports": [], "dns": {"upstreams": []}});
        let arguments = with(
            start(spec(&["sleep", "1000"]), "c1", "u1", &[&store.base()]),
            &[
                ("/network", network),
                ("/keep", json!(true)),
                ("/detach", json!(true)),
                ("/life", life()),
            ],
        );
        store.call("create", &arguments).reply();
        let resume = json!({"container": "c1", "attach": false, "owner": null});
        let connect = json!({"act": "connect", "container": "c1", "endpoint": two});
        let disconnect = json!({"act": "disconnect", "container": "c1", "network": two["network"]["id"]});
        let kill = json!({"container": "c1", "signal": "KILL", "waitSeconds": 30});
        let book = store
            .root
            .join("networks")
            .join(two["network"]["id"].as_str().unwrap())
            .join("endpoints");
        let written = || fs::read_dir(&book).map(Iterator::count).unwrap_or_default();
        for round in 0..ROUNDS {
            for answer in beside(store, [("resume", &resume), ("network", &connect)]) {
                answer.reply();
            }
            assert_eq!(kept(store, "c1"), ["net1", "net2"], "round {round}");
            let addresses = inside(store, "c1");
            assert!(
                addresses.contains("10.213.1.9/24") && addresses.contains("10.213.2.9/24"),
                "round {round}: {addresses}"
            );
            assert_eq!(written(), 1, "round {round}: the names of the container are not on the network");
            // Every second time it leaves while it runs, else beside its end.
            if round % 2 == 0 {
                store.call("network", &disconnect).reply();
                assert!(!inside(store, "c1").contains("10.213.2.9"), "round {round}");
                store.call("kill", &kill).reply();
            } else {
                let [killed, left] = beside(store, [("kill", &kill), ("network", &disconnect)]);
                killed.reply();
                left.reply();
            }
            assert_eq!(kept(store, "c1"), ["net1"], "round {round}");
            assert_eq!(written(), 0, "round {round}: names of the container stay on the network");
        }
        for round in 0..ROUNDS {
            store.call("resume", &resume).reply();
            let [killed, joined] = beside(store, [("kill", &kill), ("network", &connect)]);
            killed.reply();
            // It may find the process on its way out; then nothing has changed.
            let joins = joined.code == Some(0);
            assert_eq!(kept(store, "c1").len(), if joins { 2 } else { 1 }, "round {round}: {joined:?}");
            assert_eq!(
                written(),
                0,
                "round {round}: names of a container that has ended stay on the network"
            );
            store.call("network", &disconnect).reply();
        }
        store
            .call(
                "remove",
                &json!({"snapshots": ["u1"], "containers": ["c1"], "force": true, "garbage": false}),
            )
            .reply();
        store.call("network", &json!({"act": "sweep"})).reply();
    });
}

const PASTA: &str = "/usr/bin/pasta";
/// An address of the machine that the container does not get as its own.
const OUTSIDE: &str = "198.51.100.77";
/// A resolver on the host's loopback.
const RESOLVER: &str = "127.53.53.53";

/// An address on the host's loopback device, while it lives.
struct Address;

impl Address {
    fn add() -> Self {
        assert!(ip("add"));
        Self
    }
}

impl Drop for Address {
    fn drop(&mut self) {
        ip("del");
    }
}

/// A step that has ended leaves the bridge to the next one, which has another address; when the build has no more steps the bridge goes.
#[test]
fn steps_of_a_build_have_an_address_each_and_leave_nothing() {
    as_root(|store| {
        let probe = store.call("probe", &json!({"sub": null})).reply();
        if probe["network"]["bridge"] != true {
            eprintln!("left out: {}", probe["network"]["reason"]);
            return;
        }
        let mut network = endpoint(store, 3)["network"].clone();
        network["steps"] = json!("10.213.3.192/26");
        let id = network["id"].as_str().unwrap().to_owned();
        let bridge = format!("berth{}", &id[..10]);
        let stands = || fs::metadata(format!("/sys/class/net/{bridge}")).is_ok();
        let base = store.base();
        let step = |number: u8, words: &[&str], network: &Value| {
            let network = json!({"mode": "step", "network": network, "dns": {"upstreams": []}});
            let id = format!("s{number}");
            with(start(spec(words), &id, &format!("u{number}"), &[&base]), &[("/network", network)])
        };
        let look = |number: u8| store.call("start", &step(number, &["ip", "-o", "addr"], &network)).text();
        let [first, second] = [look(1), look(2)];
        assert!(first.contains("eth0") && first.contains("10.213.3.193/24"), "{first}");
        assert!(second.contains("10.213.3.194/24"), "{second}");
        assert!(stands());
        let book = store.root.join("networks").join(&id).join("endpoints");
        let entries = || fs::read_dir(&book).unwrap().flatten().map(|entry| entry.file_name());
        assert_eq!(entries().filter(|name| name.to_string_lossy().starts_with('s')).count(), 0);
        store.call("network", &json!({"act": "retire"})).reply();
        wait_until("the bridge goes when the build is over", || !stands());

        let mut without = network.clone();
        without["steps"] = Value::Null;
        for (subject, arguments) in [
            ("network.steps", step(4, &["true"], &without)),
            ("network", with(step(5, &["true"], &network), &[("/life", life())])),
        ] {
            let answer = store.call("start", &arguments);
            assert_eq!(answer.failure()["subject"], subject, "{answer:?}");
        }
    });
}

fn ip(act: &str) -> bool {
    let address = format!("{OUTSIDE}/32");
    Command::new("/bin/busybox")
        .args(["ip", "addr", act, &address, "dev", "lo"])
        .status()
        .unwrap()
        .success()
}

/// Answers every question for an address by [`OUTSIDE`].
fn serve_names(socket: &UdpSocket) {
    let mut question = [0; 512];
    while let Ok((length, client)) = socket.recv_from(&mut question) {
        let ipv4 = question[length - 3] == 1;
        let mut answer = question[..length].to_vec();
        answer[2] |= 0x80;
        if ipv4 {
            answer[7] = 1;
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 198, 51, 100, 77]);
        }
        socket.send_to(&answer, client).unwrap();
    }
}

fn serve_pages(listener: &TcpListener) {
    for mut stream in listener.incoming().map_while(Result::ok) {
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 8\r\n\r\noutside\n");
    }
}

/// Command lines of `pasta` for a store.
fn pastas(store: &Store) -> Vec<String> {
    let of = |entry: &fs::DirEntry| fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
    let all = fs::read_dir("/proc").unwrap().map(Result::unwrap);
    all.map(|entry| of(&entry))
        .filter(|line| line.contains("--config-net") && line.contains(store.root.to_str().unwrap()))
        .collect()
}

#[test]
fn in_a_user_namespace_pasta_leads_out_and_ends_with_the_monitor() {
    if !std::path::Path::new(PASTA).exists() {
        eprintln!("left out: it needs pasta (package passt)");
        return;
    }
    if fs::metadata("/dev/net/tun").map_or(true, |meta| meta.permissions().mode() & 0o006 != 0o006) {
        eprintln!("left out: it needs a /dev/net/tun that users can open (mode 0666)");
        return;
    }
    let outside = OnceCell::new();
    each_rung(|store| {
        let network = |pasta: &str| json!({"mode": "private", "address": "10.213.9.9", "ports": [], "wayOut": {"pasta": pasta, "dns": {"upstreams": [RESOLVER]}}});
        let container = |script: &str, pasta: &str| {
            with(
                start(spec(&["sh", "-c", script]), "c1", "u1", &[&store.base_name()]),
                &[("/network", network(pasta))],
            )
        };
        if store.rung == Rung::Root {
            store.base();
            assert_eq!(
                store.call("start", &container("true", PASTA)).failure()["subject"],
                "network.wayOut"
            );
            return;
        }
        store.base();
        let (_, port) = outside.get_or_init(|| {
            let address = Address::add();
            let names = UdpSocket::bind((RESOLVER, 53)).unwrap();
            let pages = TcpListener::bind((OUTSIDE, 0)).unwrap();
            let port = pages.local_addr().unwrap().port();
            std::thread::spawn(move || serve_names(&names));
            std::thread::spawn(move || serve_pages(&pages));
            (address, port)
        });
        let script = format!(
            "wget -q -O - http://{OUTSIDE}:{port}/ && busybox nslookup outside.test 127.0.0.11 | grep -o {OUTSIDE} && ip -o addr show lo | grep -o 10.213.9.9; busybox nc -w 9 169.254.169.254 80 2>&1 | grep -o unreachable"
        );
        let answer = store.call("start", &container(&script, PASTA));
        assert_eq!(
            (answer.exit_code(), answer.text().as_str()),
            (0, format!("outside\n{OUTSIDE}\n10.213.9.9\nunreachable\n").as_str()),
            "{answer:?}"
        );
        wait_until("pasta has ended with its container", || pastas(store).is_empty());

        let without = store.call("start", &container("ip route", "/bin/false"));
        assert_eq!((without.exit_code(), without.text().as_str()), (0, ""));
        assert!(
            without.warnings().iter().any(|sentence| sentence.contains("no way out")),
            "{without:?}"
        );

        let changes = [("/keep", json!(true)), ("/detach", json!(true)), ("/life", life())];
        store.call("start", &with(container("sleep 1000", PASTA), &changes)).reply();
        assert_eq!(pastas(store).len(), 1);
        let monitor = store.states()[0]["monitor"]["pid"].as_i64().unwrap();
        let pid = rustix::process::Pid::from_raw(i32::try_from(monitor).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        wait_until("pasta has ended with the monitor", || pastas(store).is_empty());
    });
}
