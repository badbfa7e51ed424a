//! The conversation itself: what is refused before anything is done.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

mod support;

use serde_json::{Value, json};
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStdin, Command, Stdio};
use support::watchdog::{Lines, end_of};
use support::{CONTROL, END, REQUEST, Session, as_root, each_rung, frame, spec, start, with};

fn refused_by(store: &support::Store, word: &str, request: &Value) -> Value {
    let session = Session::start(store.command().arg(word), request);
    session.finish().failure()
}

#[test]
fn a_request_of_another_version_is_refused_for_its_version_and_not_for_its_fields() {
    as_root(|store| {
        let mut request = store.request("state", &json!({"containers": []}));
        request["version"] = json!(99);
        request["news"] = json!(true);
        let failure = refused_by(store, "state", &request);
        assert_eq!(failure["code"], "request");
        let message = failure["message"].as_str().unwrap();
        assert!(message.contains("99") && message.contains('1'), "{message}");
    });
}

#[test]
fn an_unknown_field_is_refused_by_name() {
    as_root(|store| {
        let failure = store.call("state", &json!({"containers": [], "colour": 1})).failure();
        assert_eq!(failure["code"], "request");
        assert!(failure["message"].as_str().unwrap().contains("colour"));
    });
}

#[test]
fn the_word_must_be_the_requests() {
    as_root(|store| {
        let request = store.request("state", &json!({"containers": []}));
        assert!(refused_by(store, "logs", &request)["message"].as_str().unwrap().contains("logs"));
        assert_eq!(refused_by(store, "nonsense", &request)["code"], "request");
    });
}

#[test]
fn frames_that_are_none_are_refused() {
    as_root(|store| {
        let long = [&[REQUEST][..], &u32::MAX.to_be_bytes()].concat();
        for bytes in [
            vec![9, 0, 0, 0, 0],
            long,
            frame(END, &[]),
            frame(REQUEST, b"{"),
            frame(REQUEST, b"[1]"),
            frame(REQUEST, &vec![b'['; 100_000]),
        ] {
            let mut child = support::spawn(store.command().arg("state"));
            child.stdin.take().unwrap().write_all(&bytes).unwrap();
            let output = child.wait_with_output().unwrap();
            let line: Value = serde_json::from_slice(&output.stderr).unwrap();
            assert_eq!(line["failure"]["code"], "request", "{line}");
        }
    });
}

#[test]
fn a_request_over_the_limit_is_refused_and_one_below_it_is_read() {
    as_root(|store| {
        let request = serde_json::to_vec(&store.request("state", &json!({"containers": []}))).unwrap();
        // Spaces at the end change nothing but the length.
        let padded = |length: usize| [request.clone(), vec![b' '; length - request.len()]].concat();
        for (length, expected) in [(8 << 20, None), ((8 << 20) + 1, Some("over the limit"))] {
            let mut child = support::spawn(store.command().arg("state"));
            let mut input = child.stdin.take().unwrap();
            input.write_all(&frame(REQUEST, &padded(length))).unwrap();
            // What has been refused may not wait for it.
            let _ = input.write_all(&frame(END, &[]));
            let output = child.wait_with_output().unwrap();
            let line: Value = serde_json::from_slice(&output.stderr).unwrap();
            let message = line["failure"]["message"].as_str();
            assert_eq!(message.is_some(), expected.is_some(), "{line}");
            assert!(message.unwrap_or_default().contains(expected.unwrap_or_default()), "{line}");
            drop(input);
        }
    });
}

#[test]
fn an_engine_that_goes_away_before_the_request_is_whole_cancels() {
    as_root(|store| {
        let whole = frame(
            REQUEST,
            &serde_json::to_vec(&store.request("state", &json!({"containers": []}))).unwrap(),
        );
        for length in [0, 3, 5, whole.len() - 1] {
            let mut child = support::spawn(store.command().arg("state"));
            child.stdin.take().unwrap().write_all(&whole[..length]).unwrap();
            let output = child.wait_with_output().unwrap();
            let line: Value = serde_json::from_slice(&output.stderr).unwrap();
            assert_eq!(line["failure"]["code"], "cancelled", "after {length} bytes");
        }
    });
}

#[test]
fn the_version_is_one_line_of_json() {
    for word in ["version", "--version"] {
        let output = Command::new(env!("CARGO_BIN_EXE_berth-native"))
            .arg(word)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let value: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(value["protocol"], 1);
        assert_eq!(value["version"], env!("CARGO_PKG_VERSION"));
    }
}

#[test]
fn a_store_of_somebody_else_and_one_that_is_a_link_are_refused() {
    as_root(|store| {
        let mut request = store.request("state", &json!({"containers": []}));
        request["store"]["uid"] = json!(4242);
        assert_eq!(refused_by(store, "state", &request)["code"], "not-permitted");
        let link = store.host("beside").join("link");
        std::os::unix::fs::symlink(&store.root, &link).unwrap();
        request["store"] = json!({"root": link, "uid": 0, "gid": 0});
        assert!(refused_by(store, "state", &request)["subject"].as_str().unwrap().contains("link"));
        request["store"] = json!({"root": "relative", "uid": 0, "gid": 0});
        assert_eq!(refused_by(store, "state", &request)["code"], "request");
    });
}

#[test]
fn what_is_known_and_not_done_is_refused_by_the_name_of_its_field() {
    as_root(|store| {
        let base = store.base();
        let cases = [
            ("/linux/mountLabel", json!("x"), "linux.mountLabel"),
            ("/linux/rootfsPropagation", json!("shared"), "linux.rootfsPropagation"),
            ("/process/apparmorProfile", json!("x"), "process.apparmorProfile"),
            ("/process/selinuxLabel", json!("x"), "process.selinuxLabel"),
            ("/process/args", json!([]), "process.args"),
            ("/process/cwd", json!("relative"), "process.cwd"),
            (
                "/process/rlimits",
                json!([{"type": "RLIMIT_X", "soft": 1, "hard": 1}]),
                "process.rlimits",
            ),
            ("/process/capabilities/bounding", json!(["CAP_X"]), "process.capabilities.bounding"),
            (
                "/linux/namespaces",
                json!([{"type": "mount"}, {"type": "network"}, {"type": "uts"}]),
                "linux.namespaces",
            ),
            (
                "/linux/namespaces",
                json!([{"type": "mount"}, {"type": "pid"}, {"type": "uts"}]),
                "linux.namespaces",
            ),
            (
                "/linux/namespaces",
                json!([{"type": "mount"}, {"type": "pid"}, {"type": "network"}, {"type": "uts"}, {"type": "time"}]),
                "linux.namespaces",
            ),
            ("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_NOTIFY"}), "linux.seccomp"),
            ("/linux/sysctl", json!({"kernel.core_pattern": "|/x"}), "linux.sysctl"),
            ("/mounts/0", json!({"destination": "/x", "type": "nfs"}), "mounts.type"),
            ("/mounts/0", json!({"destination": "x", "type": "tmpfs"}), "mounts.destination"),
            ("/mounts/0", json!({"destination": "/", "type": "tmpfs"}), "mounts.destination"),
            (
                "/mounts/0",
                json!({"destination": "/x", "type": "bind", "source": "x"}),
                "mounts.source",
            ),
            (
                "/mounts/0",
                json!({"destination": "/x", "type": "bind", "source": "/", "options": ["rshared"]}),
                "mounts.options",
            ),
        ];
        for (pointer, value, field) in cases {
            let mut config = spec(&["true"]);
            match pointer.strip_prefix("/mounts/") {
                Some(_) => config["mounts"].as_array_mut().unwrap().push(value),
                None => config = with(config, &[(pointer, value)]),
            }
            let failure = store.call("start", &start(config, "c1", "u1", &[&base])).failure();
            assert_eq!(failure["code"], "request", "{failure}");
            assert_eq!(failure["subject"], field, "{failure}");
        }
    });
}

#[test]
fn names_that_are_paths_are_refused() {
    as_root(|store| {
        let base = store.base();
        for id in ["../x", "", "a b", "-x"] {
            let failure = store.call("start", &start(spec(&["true"]), id, "u1", &[&base])).failure();
            assert_eq!(failure["code"], "request", "{id}");
        }
        for name in ["../root", ".part-x", "a/b", ""] {
            assert_eq!(
                store.call("start", &start(spec(&["true"]), "c1", name, &[&base])).failure()["code"],
                "request",
                "{name}"
            );
            assert_eq!(
                store.call("start", &start(spec(&["true"]), "c1", "u1", &[name])).failure()["code"],
                "request",
                "{name}"
            );
        }
    });
}

#[test]
fn the_probe_finds_the_rung_that_the_test_stands_on() {
    each_rung(|store| {
        let sub = if store.rung == support::Rung::Userns {
            store.id_map()
        } else {
            Value::Null
        };
        let reply = store.call("probe", &json!({"sub": sub})).reply();
        let rung = match store.rung {
            support::Rung::Root => "root",
            support::Rung::Full => "userns-full",
            support::Rung::Userns => "userns",
        };
        let found = reply["rungs"].as_array().unwrap().iter().find(|one| one["name"] == rung).unwrap();
        assert_eq!(found["possible"], true, "{found}");
        assert_eq!((&found["idMap"], &reply["ownProc"]), (&store.id_map(), &json!(true)));
        if store.rung == support::Rung::Full {
            let root = reply["rungs"].as_array().unwrap().iter().find(|one| one["name"] == "root").unwrap();
            assert_eq!(root["possible"], false, "{root}");
        }
        for one in reply["rungs"].as_array().unwrap().iter().filter(|one| one["possible"] == false) {
            assert!(!one["reason"].as_str().unwrap().is_empty(), "{one}");
        }
        assert_eq!(std::fs::read_dir(&store.root).unwrap().count(), 0, "the probe left something");
    });
}

#[test]
fn a_series_answers_one_request_after_another_and_ends_with_fd_0() {
    as_root(|store| {
        let all = serde_json::to_vec(&store.request("state", &json!({"containers": []}))).unwrap();
        let one = serde_json::to_vec(&store.request("state", &json!({"containers": ["nobody"]}))).unwrap();
        let mut child = support::spawn(store.command().arg("series"));
        let mut lines = Lines::of(child.stderr.take().unwrap());
        let mut stdin = child.stdin.take().unwrap();
        // A request that fails is no end; the next one may come before the worker of the last has gone.
        for (request, answer) in [
            (&all, "reply"),
            (&one, "failure"),
            (&all, "reply"),
            (&one, "failure"),
            (&all, "reply"),
        ] {
            stdin.write_all(&[frame(REQUEST, request), frame(END, &[])].concat()).unwrap();
            let line: Value = serde_json::from_str(&lines.next().unwrap()).unwrap();
            assert!(line.get(answer).is_some(), "{line}");
        }
        drop(stdin);
        let ended = end_of(&mut child);
        // The worker of the last request may not have gone when fd 0 ends, which then counts as a cancellation; its answer is out already.
        match lines.next() {
            None => assert!(ended.success()),
            Some(line) => assert!(line.contains(r#""code":"cancelled""#)),
        }
        assert!(lines.next().is_none());
    });
}

#[test]
fn a_series_refuses_what_has_a_process_of_its_own_and_half_a_request() {
    as_root(|store| {
        let probe = serde_json::to_vec(&store.request("probe", &json!({"sub": null}))).unwrap();
        let half = frame(REQUEST, &probe);
        for (bytes, code) in [(frame(REQUEST, &probe), "request"), (half[..half.len() - 1].to_vec(), "cancelled")] {
            let mut child = support::spawn(store.command().arg("series"));
            child.stdin.take().unwrap().write_all(&bytes).unwrap();
            let output = child.wait_with_output().unwrap();
            let line: Value = serde_json::from_slice(&output.stderr).unwrap();
            assert_eq!(line["failure"]["code"], code, "{line}");
        }
    });
}

/// A series that keeps locks too, its end of fd 0, and the socket by which they are asked for.
fn series_with_locks(store: &support::Store) -> (Child, ChildStdin, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut command = Command::new("sh");
    // Only a shell gives a program its fd 3: the socket comes as fd 1, for which nothing else is written here.
    command
        .args(["-c", "exec 3>&1; exec \"$0\" series --locks > /dev/null"])
        .arg(store.command().get_program());
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::from(OwnedFd::from(theirs)))
        .stderr(Stdio::piped());
    let mut child = support::spawn(&mut command);
    let stdin = child.stdin.take().unwrap();
    (child, stdin, ours)
}

fn ask(socket: &mut UnixStream, kind: u8, words: &Value) {
    socket.write_all(&frame(kind, &serde_json::to_vec(words).unwrap())).unwrap();
}

#[test]
fn locks_that_are_kept_beside_a_series_outlive_it_and_go_with_their_socket() {
    as_root(|store| {
        let (mut child, mut stdin, mut socket) = series_with_locks(store);
        let mut locks = Lines::of(socket.try_clone().unwrap());
        let mut said = || serde_json::from_str::<Value>(&locks.next().unwrap()).unwrap();
        let acquire = |name: &str| json!({"control": "acquire", "name": name, "exclusive": true, "wait": true});
        ask(&mut socket, REQUEST, &store.request("lock", &json!({})));
        ask(&mut socket, CONTROL, &acquire("one"));
        assert_eq!(said()["event"], json!({"type": "locked", "name": "one"}));

        let mut other = store.open("lock", &json!({}));
        other.control(&acquire("two"));
        other.event("locked");
        other.control(&json!({"control": "acquire", "name": "one", "exclusive": true, "wait": false}));
        other.event("busy");

        // Neither who waits for a lock nor who works holds the other one up.
        ask(&mut socket, CONTROL, &acquire("two"));
        ask(&mut socket, CONTROL, &acquire("three"));
        assert_eq!(said()["event"], json!({"type": "locked", "name": "three"}));
        let mut answers = Lines::of(child.stderr.take().unwrap());
        let state = serde_json::to_vec(&store.request("state", &json!({"containers": []}))).unwrap();
        stdin.write_all(&[frame(REQUEST, &state), frame(END, &[])].concat()).unwrap();
        assert!(answers.next().unwrap().contains("reply"));
        drop(stdin);
        end_of(&mut child);
        other.control(&json!({"control": "release", "name": "two"}));
        assert_eq!(said()["event"], json!({"type": "locked", "name": "two"}));

        other.control(&acquire("one"));
        socket.shutdown(std::net::Shutdown::Write).unwrap();
        other.event("locked");
        assert!(said()["reply"].is_object());
        assert!(locks.next().is_none(), "it has ended");
        other.close();
        other.finish().reply();
    });
}
