//! The engine or the helper dies: nothing of the container outlives them (`spec/bad-inputs.md` 3, K11 to K19).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

mod support;

use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use support::watchdog::{Lines, end_of};
use support::{Session, as_root, each_rung, life, spec, start, wait_until, with};

/// Whether a process is dead, if perhaps not collected yet.
fn is_dead(pid: i64) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.is_empty() || stat.contains(") Z") || stat.contains(") X")
}

#[test]
fn an_engine_that_closes_its_end_cancels_before_and_after_the_end_frame() {
    each_rung(|store| {
        let base = store.base();
        for end in [false, true] {
            let mut session = store.open(
                "start",
                &start(spec(&["sh", "-c", "sleep 1000 & sleep 1000"]), "c1", "u1", &[&base]),
            );
            let pid = session.event("started")["pid"].as_i64().unwrap();
            if end {
                session.send(support::END, b"");
            }
            session.close();
            assert_eq!(session.finish().failure()["code"], "cancelled");
            assert!(is_dead(pid));
            assert!(!store.upper("u1").exists(), "nobody is left who could use it");
        }
    });
}

#[test]
fn an_engine_that_reads_no_more_and_goes_takes_the_container_with_it() {
    each_rung(|store| {
        let base = store.base();
        let request = store.request("start", &start(spec(&["yes"]), "c1", "u1", &[&base]));
        let mut child = support::spawn(store.command().arg("start"));
        let mut stdin = child.stdin.take().unwrap();
        std::io::Write::write_all(
            &mut stdin,
            &support::frame(support::REQUEST, &serde_json::to_vec(&request).unwrap()),
        )
        .unwrap();
        // Nobody reads: the pipe fills, and with it the container's.
        drop(child.stdout.take());
        assert_eq!(end_of(&mut child).code(), Some(1));
        drop(stdin);
    });
}

#[test]
fn output_that_nobody_reads_waits_in_the_container() {
    each_rung(|store| {
        let base = store.base();
        let request = store.request("start", &start(spec(&["yes"]), "c1", "u1", &[&base]));
        let mut child = support::spawn(store.command().arg("start"));
        let mut stdin = child.stdin.take().unwrap();
        std::io::Write::write_all(
            &mut stdin,
            &support::frame(support::REQUEST, &serde_json::to_vec(&request).unwrap()),
        )
        .unwrap();
        let mut lines = Lines::of(child.stderr.take().unwrap());
        let line = lines.find(|line| line.contains("started")).expect("the start failed");
        let pid: serde_json::Value = serde_json::from_str(&line).unwrap();
        let pid = pid["event"]["pid"].as_i64().unwrap();
        let written = || {
            let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
            let calls = io.lines().find_map(|line| line.strip_prefix("syscw: ")?.parse::<u64>().ok());
            calls.unwrap()
        };
        let mut last = 0;
        // It is not enough that it sleeps: it also does while the helper is about to read.
        wait_until("the writer writes no more", || {
            std::thread::sleep(Duration::from_millis(100));
            let before = std::mem::replace(&mut last, written());
            before == last && fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().contains(") S")
        });
        let resident = |pid: u32| -> u64 {
            let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            text.lines()
                .find_map(|line| line.strip_prefix("VmRSS:")?.trim().trim_end_matches(" kB").parse().ok())
                .unwrap()
        };
        assert!(resident(child.id()) < 32 * 1024, "the helper hoards output");
        drop(stdin);
        // Nobody reads still, and nothing more may be said there.
        let mut ended = None;
        wait_until("the helper ends", || {
            ended = child.try_wait().unwrap();
            ended.is_some()
        });
        assert_eq!(ended.and_then(|status| status.code()), Some(1));
        assert!(is_dead(pid));
    });
}

#[test]
fn a_killed_helper_takes_the_container_with_it() {
    each_rung(|store| {
        let base = store.base();
        for init in [false, true] {
            for user in [0, 1000] {
                let config = with(
                    spec(&["sh", "-c", "sleep 1000 & exec sleep 1000"]),
                    &[("/process/user", json!({"uid": user, "gid": user}))],
                );
                let arguments = with(start(config, "c1", "u1", &[&base]), &[("/init", json!(init))]);
                let mut session = store.open("start", &arguments);
                let pid = session.event("started")["pid"].as_i64().unwrap();
                session.child.kill().unwrap();
                session.child.wait().unwrap();
                wait_until("the container's process is dead", || is_dead(pid));
                assert!(store.states().is_empty(), "nobody keeps it");
            }
        }
    });
}

#[test]
fn files_that_a_loss_of_power_left_empty_are_no_container() {
    as_root(|store| {
        let base = store.base();
        let mut session = store.open("start", &start(spec(&["sleep", "1000"]), "c1", "u1", &[&base]));
        let pid = session.event("started")["pid"].as_i64().unwrap();
        session.child.kill().unwrap();
        session.child.wait().unwrap();
        wait_until("the container's process is dead", || is_dead(pid));
        let containers = store.root.join("containers");
        fs::write(containers.join("c1/keep.json"), "").unwrap();
        assert!(store.states().is_empty(), "it is not known that anybody keeps it");
        fs::create_dir(containers.join("c2")).unwrap();
        fs::write(containers.join("c2/state.json"), "").unwrap();
        fs::create_dir(containers.join("c3")).unwrap();
        fs::write(containers.join("c3/state.json"), "{\"of\": \"another version\"}").unwrap();
        let garbage = json!({"snapshots": [], "containers": [], "force": false, "garbage": true});
        store.call("remove", &garbage).reply();
        let left: Vec<_> = fs::read_dir(&containers).unwrap().map(|one| one.unwrap().file_name()).collect();
        assert_eq!(left, ["c3"], "what cannot be read, but was written, stays");
        fs::remove_dir_all(containers.join("c3")).unwrap();
    });
}

/// A container that is kept, whose state is spoilt after it has been started; gives its process.
fn spoilt(store: &support::Store, base: &str, state: &str) -> i64 {
    let kept = [
        ("/life", life()),
        ("/detach", json!(true)),
        ("/keep", json!(true)),
        ("/record", json!("mine")),
    ];
    let mut session = store.open("start", &with(start(spec(&["sleep", "1000"]), "c1", "u1", &[base]), &kept));
    let pid = session.event("started")["pid"].as_i64().unwrap();
    session.finish().reply();
    fs::write(store.root.join("containers/c1/state.json"), state).unwrap();
    pid
}

#[test]
fn a_container_whose_state_cannot_be_read_is_found_by_its_monitor_and_can_be_removed() {
    each_rung(|store| {
        let base = store.base();
        let garbage = json!({"snapshots": [], "containers": [], "force": false, "garbage": true});
        for state in ["", "{\"id\": \"c1\", \"sta", "\0\0\0\0"] {
            let pid = spoilt(store, &base, state);
            let found = store.states();
            assert_eq!(
                (&found[0]["status"], &found[0]["record"]),
                (&json!("running"), &json!("mine")),
                "{state:?}"
            );
            store.call("remove", &garbage).reply();
            assert!(!is_dead(pid), "it is in use, and no garbage");
            let remove = |force| json!({"snapshots": ["u1"], "containers": ["c1"], "force": force, "garbage": false});
            assert_eq!(store.call("remove", &remove(false)).failure()["code"], "conflict");
            assert_eq!(store.call("remove", &remove(true)).reply()["removed"], json!(["c1", "u1"]));
            assert!(is_dead(pid), "{state:?}");
            store.assert_nothing_left();
        }
    });
}

#[test]
fn a_container_whose_state_cannot_be_read_and_whose_monitor_is_gone_is_dead() {
    each_rung(|store| {
        let base = store.base();
        let kept = [
            ("/life", life()),
            ("/detach", json!(true)),
            ("/keep", json!(true)),
            ("/record", json!("mine")),
        ];
        store
            .call("start", &with(start(spec(&["sleep", "1000"]), "c1", "u1", &[&base]), &kept))
            .reply();
        let file = store.root.join("containers/c1/state.json");
        let state: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let number = |field: &str| state[field]["pid"].as_i64().unwrap();
        fs::write(&file, "").unwrap();
        let monitor = i32::try_from(number("monitor")).unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_raw(monitor).unwrap(), rustix::process::Signal::KILL).unwrap();
        wait_until("the container's process is dead", || is_dead(number("process")));
        let found = store.states();
        assert_eq!((&found[0]["status"], &found[0]["record"]), (&json!("dead"), &json!("mine")));
        let remove = json!({"snapshots": ["u1"], "containers": ["c1"], "force": false, "garbage": false});
        assert_eq!(store.call("remove", &remove).reply()["removed"], json!(["c1", "u1"]));
    });
}

/// A pid namespace that is there until it is dropped.
struct Apart {
    holder: Child,
    first: String,
}

impl Apart {
    fn new() -> Self {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--kill-child", "--mount-proc", "sleep", "1000"]);
        let holder = command.spawn().unwrap();
        let children = format!("/proc/{0}/task/{0}/children", holder.id());
        let first = || fs::read_to_string(&children).unwrap_or_default().trim().to_owned();
        // Once it is another program, all of it is there.
        let is_ready = || fs::read_to_string(format!("/proc/{}/comm", first())).is_ok_and(|name| name == "sleep\n");
        wait_until("the namespace is there", is_ready);
        Self { first: first(), holder }
    }

    /// An operation of a helper in it.
    fn open(&self, store: &support::Store, op: &str, arguments: &serde_json::Value) -> Session {
        let helper = store.command();
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &self.first, "--pid", "--mount", "--"])
            .arg(helper.get_program())
            .args(helper.get_args())
            .arg(op)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Session::start(&mut command, &store.request(op, arguments))
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

#[test]
fn a_container_of_another_pid_namespace_runs_until_that_is_gone() {
    each_rung(|store| {
        let base = store.base();
        let apart = Apart::new();
        let kept = [("/life", life()), ("/detach", json!(true))];
        let order = with(start(spec(&["sleep", "1000"]), "c1", "u1", &[&base]), &kept);
        apart.open(store, "start", &order).finish().reply();
        // A step of a build has no life, and its helper stays.
        let mut step = apart.open(store, "start", &start(spec(&["sleep", "1000"]), "c2", "u2", &[&base]));
        step.event("started");

        // Between two runs it has no process, and its monitor goes on.
        let often = json!({"policy": "always", "maxRetries": 0});
        let again = [("/life", with(life(), &[("/restart", often)])), ("/detach", json!(true))];
        let order = with(start(spec(&["true"]), "c3", "u3", &[&base]), &again);
        apart.open(store, "start", &order).finish().reply();
        wait_until("it was started again and again", || {
            store
                .states()
                .iter()
                .any(|state| state["id"] == "c3" && state["restarts"].as_i64() > Some(2))
        });
        let stop = |id: &str| json!({"container": id, "signal": "SIGKILL", "waitSeconds": 9, "last": true});
        apart.open(store, "kill", &stop("c3")).finish().reply();
        wait_until("it has ended for good", || store.states().iter().all(|state| state["id"] != "c3"));

        let garbage = json!({"snapshots": [], "containers": [], "force": false, "garbage": true});
        store.call("remove", &garbage).reply();
        let states = store.states();
        let found: Vec<_> = states.iter().map(|state| (&state["id"], &state["status"])).collect();
        assert_eq!(found, [(&json!("c1"), &json!("running")), (&json!("c2"), &json!("running"))]);
        assert!(store.upper("u1").exists() && store.upper("u2").exists());
        let process = spec(&["true"])["process"].clone();
        for (op, arguments) in [
            (
                "kill",
                json!({"container": "c1", "signal": "SIGTERM", "waitSeconds": 1, "last": true}),
            ),
            (
                "remove",
                json!({"snapshots": [], "containers": ["c1"], "force": true, "garbage": false}),
            ),
            (
                "exec",
                json!({"container": "c1", "process": process, "seccomp": null, "stdin": false, "detach": false}),
            ),
            ("processes", json!({"container": "c1"})),
        ] {
            let failure = store.call(op, &arguments).failure();
            assert_eq!(failure["step"], "reach container", "{op}: {failure}");
        }
        let remove = json!({"snapshots": [base], "containers": [], "force": false, "garbage": false});
        assert_eq!(
            store.call("remove", &remove).failure()["step"],
            "remove snapshot",
            "they stand on it"
        );

        let inside = apart.open(store, "state", &json!({"containers": ["c1"]})).finish().reply();
        assert_eq!(inside["containers"][0]["status"], "running");
        apart.open(store, "kill", &stop("c1")).finish().reply();
        // Its monitor takes it away when it has told of its end.
        wait_until("its end was seen where it lived", || store.states().len() == 1);

        drop(apart);
        let _ = step.child.wait();
        wait_until("the step went with its namespace", || store.states().is_empty());
        store.call("remove", &garbage).reply();
    });
}

/// Kills whichever process makes the n-th call of a kind, for every n, until a start succeeds.
#[test]
fn a_kill_at_any_step_of_a_start_leaves_nothing_after_the_next_command() {
    if !Path::new("/usr/bin/strace").exists() {
        eprintln!("left out: it needs strace");
        return;
    }
    each_rung(|store| {
        if store.rung == support::Rung::Userns {
            eprintln!("left out on rung userns: newuidmap gets no privileges under strace");
            return;
        }
        let base = store.base();
        for call in [
            "clone",
            "clone3",
            "unshare",
            "fsmount",
            "move_mount",
            "open_tree",
            "pivot_root",
            "sethostname",
            "capset",
            "execve",
            "renameat",
            "mkdirat",
        ] {
            for number in 1.. {
                let mut command = Command::new("/usr/bin/strace");
                command.args(["-f", "-qq", "-o", "/dev/null", "-e"]).arg(format!("trace={call}"));
                command.arg("-e").arg(format!("inject={call}:signal=SIGKILL:when={number}"));
                let plain = store.command();
                command.arg(plain.get_program()).args(plain.get_args()).arg("start");
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
                let request = store.request("start", &start(spec(&["sh", "-c", "sleep 0"]), "c1", "u1", &[&base]));
                let mut session = Session::start(&mut command, &request);
                let status = session.child.wait().unwrap();
                let answer = session.finish();
                let states = store.states();
                assert!(states.is_empty(), "{call} {number}: {states:?}");
                store
                    .call(
                        "remove",
                        &json!({"snapshots": [], "containers": [], "force": false, "garbage": true}),
                    )
                    .reply();
                store.assert_nothing_left();
                let again = store.call("start", &start(spec(&["true"]), "c1", "u1", &[&base]));
                assert_eq!(again.exit_code(), 0, "{call} {number}");
                if status.success() && answer.lines.last().is_some_and(|line| line["reply"].is_object()) {
                    break;
                }
            }
        }
    });
}

/// A container whose state outlives a loss of power must have all that its next start reads.
#[test]
fn the_files_of_a_new_container_are_on_the_disk_before_its_state_has_a_name() {
    if !Path::new("/usr/bin/strace").exists() {
        eprintln!("left out: it needs strace");
        return;
    }
    as_root(|store| {
        let base = store.base();
        let kept = [("/detach", json!(true)), ("/keep", json!(true)), ("/life", life())];
        let order = with(start(spec(&["true"]), "c1", "u1", &[&base]), &kept);
        for word in ["start", "create"] {
            let trace = store.host("trace").join(word);
            let mut command = Command::new("/usr/bin/strace");
            command.args(["-f", "-qq", "-y", "-e", "trace=fsync,renameat", "-o"]).arg(&trace);
            command.arg(store.command().get_program()).arg(word);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            Session::start(&mut command, &store.request(word, &order)).finish().reply();
            let text = fs::read_to_string(trace).unwrap();
            let is_named = |line: &&str| line.contains("renameat(") && line.ends_with("= 0") && line.contains("\"state.json\"");
            let before: Vec<&str> = text.lines().take_while(|line| !is_named(line)).collect();
            assert!(before.len() < text.lines().count(), "{text}");
            for name in ["config", "rootfs", "keep", "network", "order", "record", ".state"] {
                let synced = |line: &&str| line.contains("fsync(") && line.contains(&format!("/c1/{name}.json"));
                assert!(before.iter().any(synced), "{word} {name}: {text}");
            }
            store
                .call(
                    "remove",
                    &json!({"snapshots": ["u1"], "containers": ["c1"], "force": true, "garbage": false}),
                )
                .reply();
        }
    });
}
