//! Containers that outlive the helper that started them: state, logs, signals, further processes, published ports, removal.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

mod support;

use serde_json::{Value, json};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;
use support::{Answer, Store, as_root, each_rung, life, spec, start, wait_until, with};

fn detached(store: &Store, id: &str, config: Value, changes: &[(&str, Value)]) -> Answer {
    let base = store.base_name();
    let arguments = with(
        start(config, id, &format!("upper-{id}"), &[&base]),
        &[("/detach", json!(true)), ("/keep", json!(true)), ("/log", json!(true))],
    );
    store.call("start", &with(arguments, changes))
}

fn state(store: &Store, id: &str) -> Value {
    store.call("state", &json!({"containers": [id]})).reply()["containers"][0].clone()
}

fn kill(store: &Store, id: &str, signal: &str, seconds: Value) -> Answer {
    store.call("kill", &json!({"container": id, "signal": signal, "waitSeconds": seconds}))
}

fn remove(store: &Store, id: &str, force: bool) -> Answer {
    store.call(
        "remove",
        &json!({"snapshots": [format!("upper-{id}")], "containers": [id], "force": force, "garbage": false}),
    )
}

fn exec(id: &str, arguments: &[&str]) -> Value {
    json!({"container": id, "process": spec(arguments)["process"], "seccomp": null, "stdin": false, "detach": false})
}

fn logs(store: &Store, id: &str) -> Vec<(String, String)> {
    let text = store.call("logs", &json!({"container": id, "follow": true})).text();
    let entry = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap();
        (
            value["stream"].as_str().unwrap().to_owned(),
            value["log"].as_str().unwrap().to_owned(),
        )
    };
    text.lines().map(entry).collect()
}

#[test]
fn a_detached_container_runs_on_is_stopped_and_keeps_its_log_and_its_end() {
    each_rung(|store| {
        let script = "echo out; echo err >&2; trap 'echo bye; exit 7' TERM; while :; do sleep 0.05; done";
        let reply = detached(store, "c1", spec(&["sh", "-c", script]), &[("/record", json!("mine"))]).reply();
        assert!(reply["exitCode"].is_null());
        let running = state(store, "c1");
        assert_eq!(
            (running["status"].as_str(), running["record"].as_str()),
            (Some("running"), Some("mine"))
        );
        assert!(kill(store, "c1", "USR2", Value::Null).reply()["ended"].is_null());
        wait_until("the output is in the log", || {
            store
                .call("logs", &json!({"container": "c1", "follow": false}))
                .text()
                .contains("err")
        });
        let ended = kill(store, "c1", "SIGTERM", json!(30)).reply();
        assert_eq!(
            (ended["ended"]["exitCode"].as_i64(), ended["forced"].as_bool()),
            (Some(7), Some(false)),
            "{ended}"
        );
        let over = state(store, "c1");
        assert_eq!(
            (over["status"].as_str(), over["ended"]["exitCode"].as_i64()),
            (Some("exited"), Some(7))
        );
        assert!(over["finishedAt"].as_str().unwrap() > over["startedAt"].as_str().unwrap());
        let log = logs(store, "c1");
        assert_eq!(log.last().unwrap(), &("stdout".to_owned(), "bye\n".to_owned()));
        assert!(log.contains(&("stderr".to_owned(), "err\n".to_owned())));
        assert_eq!(kill(store, "c1", "TERM", Value::Null).failure()["code"], "conflict");
        assert_eq!(kill(store, "c1", "", Value::Null).reply()["ended"]["exitCode"], 7);
        assert_eq!(remove(store, "c1", false).reply()["removed"], json!(["c1", "upper-c1"]));
        assert_eq!(store.call("state", &json!({"containers": ["c1"]})).failure()["code"], "not-found");
    });
}

#[test]
fn one_that_has_ended_can_be_started_again_and_a_running_one_cannot() {
    each_rung(|store| {
        for round in 1..=2 {
            detached(store, "c1", spec(&["sh", "-c", "echo run >> /log; cat /log"]), &[]).reply();
            assert_eq!(kill(store, "c1", "", Value::Null).reply()["ended"]["exitCode"], 0);
            let expected: usize = (1..=round).sum();
            assert_eq!(logs(store, "c1").len(), expected, "the log and the upper go on");
        }
        detached(store, "c1", spec(&["sleep", "1000"]), &[]).reply();
        assert_eq!(detached(store, "c1", spec(&["true"]), &[]).failure()["code"], "conflict");
        kill(store, "c1", "KILL", json!(5)).reply();
        assert_eq!(detached(store, "c1", spec(&["nope"]), &[]).failure()["code"], "command-not-found");
        assert_eq!(
            state(store, "c1")["ended"]["exitCode"],
            127,
            "a start that fails is what ended it last, as with Docker"
        );
        detached(store, "c1", spec(&["sleep", "1000"]), &[]).reply();
        assert_eq!(remove(store, "c1", false).failure()["code"], "conflict");
        remove(store, "c1", true).reply();
    });
}

#[test]
fn a_start_that_fails_leaves_nothing() {
    each_rung(|store| {
        assert_eq!(detached(store, "c1", spec(&["nope"]), &[]).failure()["code"], "command-not-found");
        assert!(store.states().is_empty());
    });
}

#[test]
fn logs_are_followed_to_the_end() {
    each_rung(|store| {
        let script = "trap 'echo last; exit 0' USR1; echo first; while :; do sleep 0.05; done";
        detached(store, "c1", spec(&["sh", "-c", script]), &[]).reply();
        let mut session = store.open("logs", &json!({"container": "c1", "follow": true}));
        session.expect("first");
        kill(store, "c1", "USR1", Value::Null).reply();
        assert!(session.finish().text().contains("last\\n"));
        let mut session = store.open("logs", &json!({"container": "c1", "follow": true}));
        session.expect("last");
        session.finish().reply();
        remove(store, "c1", false).reply();
    });
}

#[test]
fn logs_of_a_container_that_writes_faster_than_they_are_read_end_with_what_is_there() {
    each_rung(|store| {
        let limits = json!({"maxSize": 64_000_000, "maxFiles": 1});
        detached(
            store,
            "c1",
            spec(&["yes"]),
            &[("/life", with(support::life(), &[("/logLimits", limits)]))],
        )
        .reply();
        let log = store.root.join("containers/c1/log.json");
        let size = || fs::metadata(&log).map_or(0, |metadata| metadata.len());
        wait_until("there is something to read", || size() > 100_000);
        let request = store.request("logs", &json!({"container": "c1", "follow": false}));
        let mut child = support::spawn(store.command().arg("logs"));
        let mut stdin = child.stdin.take().unwrap();
        let request = support::frame(support::REQUEST, &serde_json::to_vec(&request).unwrap());
        stdin.write_all(&request).unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let mut buffer = [0; 4096];
        let mut total = 0_u64;
        let mut asked = 0;
        loop {
            let length = stdout.read(&mut buffer).unwrap();
            if length == 0 {
                break;
            }
            if total == 0 {
                asked = size();
            }
            total += u64::try_from(length).unwrap();
            assert!(
                total < asked + 4096,
                "no more than there was when it was asked for, and the heads of frames"
            );
            std::thread::sleep(Duration::from_millis(2));
        }
        assert!(child.wait().unwrap().success());
        remove(store, "c1", true).reply();
    });
}

#[test]
fn a_further_process_shares_the_container_and_its_limits_of_rights() {
    each_rung(|store| {
        detached(store, "c1", spec(&["sh", "-c", "echo mine > /tmp/file; exec sleep 1000"]), &[]).reply();
        wait_until("the container has written its file", || {
            store.call("exec", &exec("c1", &["cat", "/tmp/file"])).text() == "mine\n"
        });
        let answer = store.call(
            "exec",
            &exec(
                "c1",
                &[
                    "sh",
                    "-c",
                    "id; hostname; readlink /proc/1/ns/pid; readlink /proc/self/ns/pid; cat /proc/self/status; echo err >&2; exit 4",
                ],
            ),
        );
        let text = answer.text();
        assert_eq!((answer.exit_code(), answer.error_text().as_str()), (4, "err\n"));
        assert!(text.starts_with("uid=0(root) gid=0\nbox\n"), "{text}");
        let namespaces: Vec<&str> = text.lines().skip(2).take(2).collect();
        assert_eq!(namespaces[0], namespaces[1]);
        assert!(
            text.contains("CapEff:\t00000000800405fb") && text.contains("CapBnd:\t00000000800405fb") && text.contains("NoNewPrivs:\t1")
        );
        let script = "for fd in /proc/self/fd/*; do readlink $fd > /dev/null && echo ${fd##*/}; done; true";
        assert_eq!(store.call("exec", &exec("c1", &["sh", "-c", script])).text(), "0\n1\n2\n");
        assert_eq!(store.call("exec", &exec("c1", &["nope"])).failure()["code"], "command-not-found");
        let user = with(exec("c1", &["id"]), &[("/process/user", json!({"uid": 1000, "gid": 1000}))]);
        assert!(store.call("exec", &user).text().starts_with("uid=1000 gid=1000"));
        let terminal = with(exec("c1", &["tty"]), &[("/process/terminal", json!(true))]);
        assert_eq!(store.call("exec", &terminal).text(), "/dev/pts/0\r\n");
        let filtered = with(
            exec("c1", &["mkdir", "/x"]),
            &[(
                "/seccomp",
                json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}),
            )],
        );
        assert!(store.call("exec", &filtered).error_text().contains("No space left"));
        remove(store, "c1", true).reply();
        assert_eq!(store.call("exec", &exec("c1", &["true"])).failure()["code"], "not-found");
    });
}

#[test]
fn a_further_process_ends_with_its_engine_and_a_detached_one_goes_on() {
    each_rung(|store| {
        detached(store, "c1", spec(&["sleep", "1000"]), &[("/init", json!(true))]).reply();
        let running = |name: &str| store.call("exec", &exec("c1", &["ps"])).text().contains(name);
        let mut session = store.open("exec", &exec("c1", &["sleep", "2001"]));
        session.event("started");
        assert!(running("sleep 2001"));
        session.close();
        assert_eq!(session.finish().failure()["code"], "cancelled");
        assert!(!running("sleep 2001"));
        store
            .call("exec", &with(exec("c1", &["sleep", "2002"]), &[("/detach", json!(true))]))
            .reply();
        assert!(running("sleep 2002"));
        let mut session = store.open("exec", &exec("c1", &["sleep", "2003"]));
        session.event("started");
        session.child.kill().unwrap();
        session.child.wait().unwrap();
        wait_until("the process of the killed helper is gone", || !running("sleep 2003"));
        remove(store, "c1", true).reply();
    });
}

#[test]
fn published_ports_lead_to_the_containers_address_and_not_to_its_loopback() {
    each_rung(|store| {
        let port =
            |container_port: u16| json!({"hostAddress": "127.0.0.1", "hostPort": 0, "containerPort": container_port, "protocol": "tcp"});
        let network = json!({"mode": "private", "address": "10.88.0.7", "ports": [port(8080), port(9090)]});
        let script = "mkdir /w; echo page > /w/index.html; httpd -p 127.0.0.1:9090 -h /w; exec httpd -f -p 0.0.0.0:8080 -h /w";
        for init in [false, true] {
            let answer = detached(
                store,
                "c1",
                spec(&["sh", "-c", script]),
                &[("/network", network.clone()), ("/init", json!(init))],
            );
            answer.reply();
            let listening: Vec<u16> = answer
                .lines
                .iter()
                .filter(|line| line["event"]["type"] == "listening")
                .map(|line| u16::try_from(line["event"]["hostPort"].as_u64().unwrap()).unwrap())
                .collect();
            let get = |port: u16| -> Option<String> {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
                stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
                let mut text = String::new();
                stream.read_to_string(&mut text).ok()?;
                Some(text)
            };
            wait_until("the server answers", || {
                get(listening[0]).is_some_and(|text| text.ends_with("page\n"))
            });
            assert!(
                get(listening[1]).is_none_or(|text| text.is_empty()),
                "a server on loopback must not be reached"
            );
            assert_eq!(state(store, "c1")["ports"][0]["hostPort"], listening[0]);
            let taken =
                json!({"mode": "private", "address": "10.88.0.8", "ports": [with(port(80), &[("/hostPort", json!(listening[0]))])]});
            let failure = detached(store, "c2", spec(&["true"]), &[("/network", taken.clone())]).failure();
            assert_eq!(failure["code"], "conflict");
            assert!(failure.to_string().contains(&listening[0].to_string()), "{failure}");
            assert!(!store.root.join("containers/c2").exists());
            // Who asks for it finds it as one that was made.
            let kept = [("/network", taken), ("/life", life()), ("/keepFailed", json!(true))];
            detached(store, "c3", spec(&["true"]), &kept).failure();
            let left = state(store, "c3");
            assert_eq!((&left["status"], &left["ended"]["exitCode"]), (&json!("created"), &json!(128)));
            assert!(left["error"].as_str().unwrap().contains("port is already allocated"), "{left}");
            remove(store, "c3", false).reply();
            kill(store, "c1", "KILL", json!(5)).reply();
            TcpListener::bind(("127.0.0.1", listening[0])).expect("the port is free when the container has ended");
        }
        remove(store, "c1", true).reply();
    });
}

#[test]
fn the_end_of_the_owner_is_the_end_of_the_container() {
    each_rung(|store| {
        let mut owner = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let stat = fs::read_to_string(format!("/proc/{}/stat", owner.id())).unwrap();
        let start_time: u64 = stat
            .rsplit_once(')')
            .unwrap()
            .1
            .split_whitespace()
            .nth(19)
            .unwrap()
            .parse()
            .unwrap();
        let id = json!({"pid": owner.id(), "startTime": start_time});
        detached(store, "c1", spec(&["sleep", "1000"]), &[("/owner", id.clone())]).reply();
        assert_eq!(state(store, "c1")["status"], "running");
        owner.kill().unwrap();
        owner.wait().unwrap();
        assert_eq!(kill(store, "c1", "", Value::Null).reply()["ended"]["exitCode"], 137);
        detached(store, "c2", spec(&["sleep", "1000"]), &[("/owner", id)]).reply();
        assert_eq!(
            kill(store, "c2", "", Value::Null).reply()["ended"]["exitCode"],
            137,
            "an owner that is gone already"
        );
    });
}

#[test]
fn a_monitor_that_is_told_to_stop_stops_the_container() {
    each_rung(|store| {
        detached(
            store,
            "c1",
            spec(&["sh", "-c", "trap 'exit 5' INT; while :; do sleep 0.05; done"]),
            &[("/stopSignal", json!("SIGINT"))],
        )
        .reply();
        let monitor = i32::try_from(state(store, "c1")["monitor"]["pid"].as_i64().unwrap()).unwrap();
        // A shell that has not set its trap yet ignores the signal as process 1: the monitor then kills it after its three seconds.
        rustix::process::kill_process(rustix::process::Pid::from_raw(monitor).unwrap(), rustix::process::Signal::TERM).unwrap();
        let code = kill(store, "c1", "", Value::Null).reply()["ended"]["exitCode"].as_i64();
        assert!(matches!(code, Some(5 | 137)), "{code:?}");
    });
}

#[test]
fn a_container_whose_monitor_was_killed_is_dead_with_it_and_recorded_so() {
    each_rung(|store| {
        for init in [false, true] {
            detached(store, "c1", spec(&["sleep", "1000"]), &[("/init", json!(init))]).reply();
            let found = state(store, "c1");
            let pid = |key: &str| i32::try_from(found[key]["pid"].as_i64().unwrap()).unwrap();
            rustix::process::kill_process(
                rustix::process::Pid::from_raw(pid("monitor")).unwrap(),
                rustix::process::Signal::KILL,
            )
            .unwrap();
            wait_until("the container's process is dead", || {
                let stat = fs::read_to_string(format!("/proc/{}/stat", pid("process"))).unwrap_or_default();
                stat.is_empty() || stat.contains(") Z") || stat.contains(") X")
            });
            let over = state(store, "c1");
            assert_eq!(
                (over["status"].as_str(), over["ended"]["exitCode"].as_i64()),
                (Some("dead"), Some(137))
            );
            remove(store, "c1", false).reply();
        }
    });
}

#[test]
fn garbage_is_what_nobody_uses() {
    each_rung(|store| {
        let layer = store.base();
        detached(store, "c1", spec(&["sleep", "1000"]), &[]).reply();
        store.named_layer("forgotten", |_| ());
        store.named_layer(".part-abandoned", |_| ());
        store.named_layer(".part-held", |_| ());
        let held = fs::File::open(store.snapshots().join(".part-held")).unwrap();
        held.lock().unwrap();
        let answer = store
            .call(
                "remove",
                &json!({"snapshots": [], "containers": [], "force": false, "garbage": true}),
            )
            .reply();
        let mut removed: Vec<&str> = answer["removed"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one.as_str().unwrap())
            .collect();
        removed.sort_unstable();
        assert_eq!(removed, [".part-abandoned", "forgotten"]);
        let conflict = store
            .call(
                "remove",
                &json!({"snapshots": [layer], "containers": [], "force": true, "garbage": false}),
            )
            .failure();
        assert_eq!(conflict["code"], "conflict");
        remove(store, "c1", true).reply();
        drop(held);
        store
            .call(
                "remove",
                &json!({"snapshots": [layer], "containers": [], "force": false, "garbage": true}),
            )
            .reply();
        assert_eq!(fs::read_dir(store.snapshots()).unwrap().count(), 0);
    });
}

#[test]
fn what_is_not_there_counts_as_removed() {
    as_root(|store| {
        let reply = store
            .call(
                "remove",
                &json!({"snapshots": ["nothing"], "containers": ["none"], "force": false, "garbage": true}),
            )
            .reply();
        assert_eq!(reply, json!({"removed": [], "warnings": []}));
    });
}
