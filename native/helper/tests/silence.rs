//! An engine that reads nothing any more: what waits for it ends when it closes fd 0, whatever the operation, and nothing of it stays.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

mod support;

use rustix::fs::OFlags;
use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::process::{Child, Stdio};
use std::time::Duration;
use support::watchdog::end_of;
use support::{Store, as_root, each_rung, frame, life, spec, start, wait_until, with};

/// A pipe that takes nothing more: its two ends.
fn full_pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let flags = rustix::fs::fcntl_getfl(&writer).unwrap();
    rustix::fs::fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
    // Half a page at a time leaves no room for a single byte.
    while writer.write(&[0; 2048]).is_ok() {}
    rustix::fs::fcntl_setfl(&writer, flags).unwrap();
    (reader, writer)
}

/// Starts an operation whose fd `full` takes nothing. The other one is taken by nobody either, and is empty at first.
fn silent(store: &Store, op: &str, args: &Value, full: u8, more: &[u8]) -> (Child, [std::io::PipeReader; 2]) {
    let (held, writer) = full_pipe();
    let (other, rest) = std::io::pipe().unwrap();
    let (output, error) = if full == 1 { (writer, rest) } else { (rest, writer) };
    let mut command = store.command();
    command.arg(op).stdout(Stdio::from(output)).stderr(Stdio::from(error));
    let mut child = support::spawn(&mut command);
    let request = frame(support::REQUEST, &serde_json::to_vec(&store.request(op, args)).unwrap());
    child.stdin.as_mut().unwrap().write_all(&[&request, more].concat()).unwrap();
    (child, [held, other])
}

/// How often a process and its children have stood still.
fn pauses(pid: u32) -> (usize, u64) {
    let mut all = vec![pid];
    let mut at = 0;
    while let Some(pid) = all.get(at).copied() {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        all.extend(children.split_whitespace().filter_map(|one| one.parse::<u32>().ok()));
        at += 1;
    }
    let count = |pid: &u32| -> u64 {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let counts = status.lines().filter_map(|line| line.split_once("ctxt_switches:"));
        counts.filter_map(|(_, number)| number.trim().parse::<u64>().ok()).sum()
    };
    (all.len(), all.iter().map(count).sum())
}

fn stands_still(child: &Child) {
    let mut last = (0, 0);
    wait_until("the helper waits", || {
        std::thread::sleep(Duration::from_millis(150));
        let before = std::mem::replace(&mut last, pauses(child.id()));
        before == last
    });
}

#[test]
fn nothing_waits_for_an_engine_that_reads_nothing_and_has_closed_its_end() {
    each_rung(|store| {
        let base = store.base();
        let kept = [
            ("/life", life()),
            ("/detach", json!(true)),
            ("/keep", json!(true)),
            ("/log", json!(true)),
        ];
        let talking = spec(&["sh", "-c", "while true; do echo line; sleep 0.05; done"]);
        store.call("start", &with(start(talking, "c1", "u1", &[&base]), &kept)).reply();
        let exec = |words: &[&str]| json!({"container": "c1", "process": spec(words)["process"], "seccomp": null, "stdin": false, "detach": false});
        let acquire = frame(
            support::CONTROL,
            br#"{"control":"acquire","name":"one","exclusive":true,"wait":true}"#,
        );
        let read = json!({"snapshots": [base], "path": "/bin/busybox", "maxBytes": 100_000_000, "prefix": null});
        let step = start(spec(&["true"]), "c2", "u2", &[&base]);
        let cases: [(&str, Value, u8, &[u8]); 11] = [
            ("lock", json!({}), 2, &acquire),
            ("state", json!({"containers": []}), 1, &[]),
            ("state", json!({"containers": []}), 2, &[]),
            ("read-file", read, 1, &[]),
            ("logs", json!({"container": "c1", "follow": true}), 1, &[]),
            ("attach", json!({"container": "c1"}), 1, &[]),
            ("exec", exec(&["true"]), 1, &[]),
            ("exec", exec(&["yes"]), 1, &[]),
            ("exec", exec(&["nope"]), 2, &[]),
            ("start", step.clone(), 1, &[]),
            ("start", step, 2, &[]),
        ];
        for (op, args, full, more) in cases {
            eprintln!("{op}, fd {full} full");
            let (mut child, held) = silent(store, op, &args, full, more);
            stands_still(&child);
            assert!(child.try_wait().unwrap().is_none(), "{op} had nothing to wait for");
            drop(child.stdin.take());
            assert_eq!(end_of(&mut child).code(), Some(i32::from(op != "lock")), "{op}");
            drop(held);
        }
        let ids: Vec<Value> = store.states().iter().map(|state| state["id"].clone()).collect();
        assert_eq!(ids, ["c1"], "what was started without an engine stays, and nothing else");
    });
}

#[test]
fn input_that_a_container_does_not_take_waits_with_who_gives_it() {
    each_rung(|store| {
        let base = store.base();
        let kept = [
            ("/life", life()),
            ("/detach", json!(true)),
            ("/keep", json!(true)),
            ("/stdin", json!(true)),
        ];
        // It gives back what it gets, and so takes nothing while nobody takes that.
        store
            .call("start", &with(start(spec(&["cat"]), "c1", "u1", &[&base]), &kept))
            .reply();
        let (mut child, held) = silent(store, "attach", &json!({"container": "c1"}), 1, &[]);
        let mut stdin = child.stdin.take().unwrap();
        let flags = rustix::fs::fcntl_getfl(&stdin).unwrap();
        rustix::fs::fcntl_setfl(&stdin, flags | OFlags::NONBLOCK).unwrap();
        let chunk = frame(support::DATA, &[b'x'; 4000]);
        let (mut given, mut still) = (0_usize, 0);
        while still < 20 {
            match stdin.write(&chunk) {
                // A frame that was cut is not looked at any more.
                Ok(length) => {
                    given += length;
                    still = if length == chunk.len() { 0 } else { 20 };
                }
                Err(_) => {
                    still += 1;
                    std::thread::sleep(Duration::from_millis(50));
                }
            }
            assert!(given < 64 * 1024 * 1024, "somebody hoards what the container does not take");
        }
        drop(stdin);
        assert_eq!(end_of(&mut child).code(), Some(1));
        drop(held);
        // One that has gone holds nobody back.
        let state = store.states();
        assert_eq!(state[0]["status"], "running", "{state:?}");
    });
}

#[test]
fn a_start_that_waits_for_its_lock_ends_with_its_engine() {
    as_root(|store| {
        let base = store.base();
        let folder = store.root.join("containers/c1");
        fs::create_dir_all(&folder).unwrap();
        let held = fs::File::open(&folder).unwrap();
        held.lock().unwrap();
        let mut session = store.open("start", &start(spec(&["true"]), "c1", "u1", &[&base]));
        stands_waiting(&session.child);
        session.close();
        assert_eq!(session.finish().failure()["code"], "cancelled");
        drop(held);
        fs::remove_dir_all(folder).unwrap();
    });
}

/// It tries its lock again and again, and stays.
fn stands_waiting(child: &Child) {
    let first = pauses(child.id()).1;
    wait_until("it has tried more than once", || pauses(child.id()).1 > first + 3);
}

#[test]
fn a_container_that_was_made_to_stand_still_ends_with_its_engine() {
    as_root(|store| {
        let base = store.base();
        let mut session = store.open("start", &start(spec(&["sleep", "1000"]), "c1", "u1", &[&base]));
        session.event("started");
        let paused = store.call("pause", &json!({"container": "c1", "frozen": true}));
        if paused.lines.last().is_some_and(|line| line["failure"]["code"] == "not-permitted") {
            eprintln!("left out: no cgroup here freezes processes");
            session.close();
            session.finish();
            return;
        }
        let exec = json!({"container": "c1", "process": spec(&["true"])["process"], "seccomp": null, "stdin": false, "detach": false});
        assert_eq!(store.call("exec", &exec).failure()["code"], "conflict");
        session.close();
        assert_eq!(session.finish().failure()["code"], "cancelled");
        assert!(store.states().is_empty());
    });
}
