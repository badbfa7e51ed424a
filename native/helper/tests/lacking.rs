//! Kernels and filters that lack a system call: the call answers ENOSYS, and every ordinary operation works by its fallback, or says what it lacks.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test fails by a panic, tells what it leaves out, and makes files as a user does"
)]

mod support;

use rustix::fs::{FileType, Mode};
use rustix::io::Errno;
use serde_json::{Value, json};
use support::{Answer, DATA, END, Rung, Store, as_root, each_rung, spec, start, with};

/// Calls that are younger than some kernel or filter that people use, and have a fallback.
const WITH_FALLBACK: [&str; 9] = [
    "openat2",
    "clone3",
    "close_range",
    "statx",
    "copy_file_range",
    "renameat2",
    "execveat",
    "keyctl",
    "sync_file_range",
];

/// Calls that a library might make one day without being asked to.
const UNUSED: [&str; 4] = ["faccessat2", "landlock_create_ruleset", "io_uring_setup", "epoll_pwait2"];

/// Calls without which there is no container, with the operations that need them.
const NEEDED: [(&str, &[&str]); 9] = [
    ("fsopen", CONTAINER),
    ("fsmount", CONTAINER),
    ("open_tree", CONTAINER),
    ("move_mount", CONTAINER),
    ("mount_setattr", CONTAINER),
    ("seccomp", &["apply"]),
    ("memfd_create", IMAGE),
    ("pidfd_open", ALL),
    ("pidfd_send_signal", ALL),
];

const CONTAINER: &[&str] = &["start", "detached start"];
const IMAGE: &[&str] = &[
    "copy",
    "changes",
    "diff",
    "export",
    "checksum",
    "usage",
    "remove snapshot",
    "apply",
    "start",
    "detached start",
];
const ALL: &[&str] = &[
    "probe",
    "copy",
    "changes",
    "diff",
    "export",
    "checksum",
    "usage",
    "remove snapshot",
    "apply",
    "start",
    "detached start",
];

#[test]
fn each_call_with_a_fallback_may_be_missing() {
    for call in WITH_FALLBACK {
        as_root(|store| without(store, &[call], &[]));
    }
}

#[test]
fn all_calls_with_a_fallback_may_be_missing_at_once() {
    let all = [&WITH_FALLBACK[..], &UNUSED].concat();
    each_rung(|store| without(store, &all, &[]));
}

#[test]
fn what_needs_a_missing_call_says_so_and_the_rest_works() {
    for (call, broken) in NEEDED {
        as_root(|store| without(store, &[call], broken));
    }
}

/// Without the list of v1 the rules are a program, for which there is no other way.
#[test]
fn without_programs_for_devices_no_container_of_root_starts_on_cgroup_v2() {
    as_root(|store| {
        if let Err(reason) = filtered(&[], cgroup_v2) {
            eprintln!("left out: {reason}");
            return;
        }
        let base = store.base();
        let limited = |rules: Value| {
            let mut config = spec(&["true"]);
            config["linux"]["resources"] = json!({"devices": rules});
            start(config, "c1", "u1", &[&base])
        };
        let [some, all] = [
            json!([{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 1}, {"allow": true, "type": "c", "major": 5}]),
            json!([{"allow": true, "access": "rwm"}]),
        ]
        .map(limited);
        let unified = |lacking: &[&str], work: &(dyn Fn() -> Answer + Sync)| {
            filtered(lacking, || {
                cgroup_v2().unwrap();
                work()
            })
        };
        assert_eq!(unified(&[], &|| store.call("start", &some)).exit_code(), 0);
        assert_eq!(
            unified(&["bpf"], &|| store.call("start", &all)).exit_code(),
            0,
            "nothing is to be kept from it"
        );
        let failure = unified(&["bpf"], &|| store.call("start", &some)).failure();
        assert_eq!(
            (failure["code"].as_str(), failure["step"].as_str()),
            (Some("unsupported"), Some("limit devices")),
            "{failure}"
        );
        assert!(failure["hint"].as_str().unwrap().contains("filter"), "{failure}");
        let probe = unified(&["bpf"], &|| store.call("probe", &json!({"sub": null}))).reply();
        assert_eq!(probe["rungs"][0]["possible"], false);
        assert!(probe["rungs"][0]["reason"].as_str().unwrap().contains("device program"), "{probe}");
        assert_eq!(probe["rungs"][0]["lacksDeviceRules"], true, "{probe}");
    });
}

/// By its birth, by itself, or by the number that its parent writes: a process of a container is in all of its groups.
#[test]
fn the_processes_of_a_container_are_in_its_groups_with_and_without_clone3() {
    as_root(|store| {
        let base = store.base();
        let groups = |unified: bool, lacking: &[&str]| {
            let work = || {
                if unified {
                    cgroup_v2()?;
                }
                Ok::<_, String>(groups_of_processes(store, &base))
            };
            filtered(lacking, work)
        };
        for unified in [false, true] {
            let [born, moved] = [&[][..], &["clone3"]].map(|lacking| groups(unified, lacking));
            let (born, moved) = match (born, moved) {
                (Ok(born), Ok(moved)) => (born, moved),
                (Err(reason), _) | (_, Err(reason)) => {
                    eprintln!("left out: {reason}");
                    continue;
                }
            };
            assert_eq!(born, moved, "v2 alone: {unified}");
            assert!(!born.is_empty(), "v2 alone: {unified}");
        }
    });
}

/// The groups of a container's first process that are its own, by their hierarchies; those of a further one must be the same.
fn groups_of_processes(store: &Store, base: &str) -> Vec<String> {
    let own = |pid: &str| -> Vec<String> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
        let lines = text.lines().filter(|line| line.contains("/berth/c1-"));
        lines.map(str::to_owned).collect()
    };
    let kept = [("/detach", json!(true)), ("/keep", json!(true)), ("/life", support::life())];
    store
        .call("start", &with(start(spec(&["sleep", "1000"]), "c1", "u1", &[base]), &kept))
        .reply();
    let mut joined = store.open(
        "exec",
        &json!({"container": "c1", "process": spec(&["sleep", "1000"])["process"], "seccomp": null, "stdin": false, "detach": false}),
    );
    let [first, further] = [
        store.states()[0]["process"]["pid"].to_string(),
        joined.event("started")["pid"].to_string(),
    ]
    .map(|pid| own(&pid));
    assert_eq!(first, further);
    let reply = store.call(
        "remove",
        &json!({"snapshots": ["u1"], "containers": ["c1"], "force": true, "garbage": false}),
    );
    reply.reply();
    joined.finish();
    first
}

/// Where no cgroup can be made the nodes of `/dev` are all that there is, and none can be added.
#[test]
fn without_cgroups_a_container_of_root_keeps_to_the_nodes_that_it_has() {
    as_root(|store| {
        let base = store.base();
        store.named_layer(&"d".repeat(64), |root| {
            let zero = rustix::fs::makedev(1, 5);
            rustix::fs::mknodat(
                rustix::fs::CWD,
                root.join("node"),
                FileType::CharacterDevice,
                Mode::from_raw_mode(0o666),
                zero,
            )
            .unwrap();
        });
        let limited = |capabilities: &[&str], script: &str| {
            let mut config = spec(&["sh", "-c", script]);
            let sets =
                json!({"bounding": capabilities, "effective": capabilities, "permitted": capabilities, "inheritable": [], "ambient": []});
            config["process"]["capabilities"] = sets;
            config["linux"]["resources"] = json!({"devices": [
                {"allow": false, "access": "rwm"},
                {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm"},
            ]});
            start(config, "c1", "u1", &[&"d".repeat(64), &base])
        };
        let bare = |arguments: Value| {
            filtered(&[], || {
                alone().unwrap();
                store.call("start", &arguments)
            })
        };
        let script = "echo > /dev/null && ! mknod /dev/mine c 1 5 && ! head -c 1 /node && echo kept";
        let answer = bare(limited(&["CAP_MKNOD"], script));
        assert_eq!(
            (answer.exit_code(), answer.text().as_str()),
            (
                0, "kept
"
            ),
            "{answer:?}"
        );
        assert!(
            answer.warnings().iter().any(|sentence| sentence.contains("CAP_MKNOD")),
            "{answer:?}"
        );
        let failure = bare(limited(&["CAP_SYS_ADMIN"], "true")).failure();
        assert_eq!(failure["code"], "not-permitted", "{failure}");
        assert!(failure["hint"].as_str().unwrap().contains("--privileged"), "{failure}");
    });
}

/// Gives this thread mounts of its own, without any cgroups.
fn alone() -> rustix::io::Result<()> {
    use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount};
    berth_sys::process::unshare(berth_sys::process::Namespaces::MOUNT)?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    unmount("/sys/fs/cgroup", UnmountFlags::DETACH)
}

/// Shows this thread a machine whose only cgroups are those of v2.
fn cgroup_v2() -> Result<(), String> {
    let shown = alone().and_then(|()| rustix::mount::mount("none", "/sys/fs/cgroup", "cgroup2", rustix::mount::MountFlags::empty(), None));
    shown.map_err(|error| format!("cgroup v2 cannot be mounted: {error}"))
}

#[test]
fn the_probe_tells_of_a_kernel_that_cannot_mount_as_we_do() {
    as_root(|store| {
        let probe = || store.call("probe", &json!({"sub": null})).reply();
        assert_eq!(probe()["rungs"][0]["possible"], true);
        let lacking = filtered(&["move_mount", "seccomp"], probe);
        assert_eq!(lacking["seccomp"], false);
        assert_eq!(lacking["rungs"][0]["possible"], false);
        assert!(lacking["rungs"][0]["hint"].as_str().unwrap().contains("Linux 5.12"), "{lacking}");
    });
}

/// Runs the ordinary operations while `calls` answer ENOSYS: those of `broken` name what is missing, all others work.
fn without(store: &Store, calls: &[&str], broken: &[&str]) {
    let answers = filtered(calls, || ordinary(store));
    for (operation, answer) in &answers {
        if broken.contains(operation) {
            let failure = answer.failure();
            assert_eq!(failure["code"], "unsupported", "{operation} without {calls:?}: {failure}");
            let hint = failure["hint"].as_str().unwrap_or_default();
            assert!(hint.contains("Linux 5.12"), "{operation} without {calls:?}: {failure}");
        } else {
            assert!(
                answer.lines.last().is_some_and(|last| last["reply"].is_object()),
                "{operation} without {calls:?}: {answer:?}"
            );
        }
    }
    for operation in broken {
        assert!(answers.iter().any(|(name, _)| name == operation), "{operation} was not tried");
    }
}

/// Runs `work` where `calls` answer ENOSYS.
fn filtered<T: Send>(calls: &[&str], work: impl FnOnce() -> T + Send) -> T {
    support::filtered(calls, Errno::NOSYS, work)
}

/// What a build and a run do, as far as it goes.
fn ordinary(store: &Store) -> Vec<(&'static str, Answer)> {
    let base = store.base();
    let sub = if store.rung == Rung::Userns { store.id_map() } else { Value::Null };
    let mut answers = vec![("probe", store.call("probe", &json!({"sub": sub})))];
    let mut call = |name: &'static str, operation: &str, arguments: &Value| {
        answers.push((name, store.call(operation, arguments)));
        answers.last().unwrap().1.lines.last().unwrap()["reply"]["result"].clone()
    };
    let all = json!({"include": [], "exclude": []});
    let stage = json!({"from": "snapshots", "snapshots": [base], "patterns": ["/bin/busybox"], "filter": all});
    let actions = json!([
        {"kind": "write", "path": "/made", "content": "made\n", "mode": 0o644, "owner": {"uid": 0, "gid": 0}, "created": null},
        {"kind": "copy", "source": stage, "dest": "/copied", "destIsDirectory": false, "owner": null, "mode": null, "modeChanges": [], "created": null},
    ]);
    call("copy", "copy", &json!({"name": "u1", "lowers": [base], "actions": actions}));
    call(
        "changes",
        "changes",
        &json!({"snapshot": "u1", "lowers": [base], "container": null}),
    );
    let diff = json!({
        "snapshot": "u1", "lowers": [base], "output": "layer.tar.gz", "codec": "gzip", "level": 1, "clamp": null, "finish": true, "container": null,
    });
    let layer = call("diff", "diff", &diff);
    // Where nothing could be made, the next ones say for themselves what is missing.
    let id = layer["diffId"]
        .as_str()
        .map_or_else(|| format!("sha256:{}", "0".repeat(64)), str::to_owned);
    let snapshot = id.trim_start_matches("sha256:").to_owned();
    let tree = if layer.is_null() { vec![&base] } else { vec![&snapshot, &base] };
    call("export", "export", &json!({"snapshots": tree, "clamp": null}));
    call(
        "checksum",
        "checksum",
        &json!({"snapshots": tree, "patterns": ["/bin"], "filter": all}),
    );
    call("usage", "usage", &json!({"names": [base], "measure": true}));
    call(
        "remove snapshot",
        "remove",
        &json!({"snapshots": [snapshot], "containers": [], "force": false, "garbage": true}),
    );
    if layer.is_null() {
        std::fs::write(store.root.join("layer.tar.gz"), "").unwrap();
    }
    let apply = json!({
        "blob": "layer.tar.gz", "codec": "gzip", "diffId": id, "chainId": id, "lowers": [base], "maxBytes": 1 << 30, "maxEntries": 1000,
    });
    let lowers: Vec<&str> = if call("apply", "apply", &apply).is_null() {
        vec![&base]
    } else {
        vec![&snapshot, &base]
    };
    let script = if lowers.len() > 1 {
        "cmp /bin/busybox /copied && cat /made"
    } else {
        "echo made"
    };
    let config = spec(&["/bin/busybox", "sh", "-c", &script.replace("cmp", "/bin/busybox cmp")]);
    call("start", "start", &start(config, "c1", "u2", &lowers));
    if answers.last().is_some_and(|(_, answer)| answer.code == Some(0)) {
        let (_, answer) = answers.last().unwrap();
        assert_eq!((answer.exit_code(), answer.text().as_str()), (0, "made\n"));
    }
    answers.extend(container(store, &lowers));
    answers
}

/// The life of a container; as far as its start, where that fails.
fn container(store: &Store, lowers: &[&str]) -> Vec<(&'static str, Answer)> {
    let changes = [("/detach", json!(true)), ("/keep", json!(true)), ("/log", json!(true))];
    let started = store.call("start", &with(start(spec(&["sleep", "1000"]), "c2", "u3", lowers), &changes));
    let runs = started.code == Some(0);
    let mut answers = vec![("detached start", started)];
    if !runs {
        return answers;
    }
    let process = spec(&["sh", "-c", "echo inside > /tmp/file; cat /tmp/file"])["process"].clone();
    let exec = json!({"container": "c2", "process": process, "seccomp": null, "stdin": false, "detach": false});
    let exec = store.call("exec", &exec);
    assert_eq!(exec.text(), "inside\n", "{exec:?}");
    let tree = json!({"on": "container", "container": "c2"});
    let out = store.call("copy-out", &json!({"tree": tree, "path": "/tmp/file", "follow": false}));
    let mut session = store.open("copy-in", &json!({"tree": tree, "path": "/root", "into": true, "keepOwner": false}));
    session.send(DATA, &out.stdout);
    session.send(END, b"");
    answers.extend([("exec", exec), ("copy out", out), ("copy in", session.finish())]);
    let more: [(&str, &str, Value); 5] = [
        ("state", "state", json!({"containers": ["c2"]})),
        ("kill", "kill", json!({"container": "c2", "signal": "KILL", "waitSeconds": 30})),
        ("logs", "logs", json!({"container": "c2", "follow": false})),
        (
            "changes of it",
            "changes",
            json!({"snapshot": "u3", "lowers": lowers, "container": "c2"}),
        ),
        (
            "remove",
            "remove",
            json!({"snapshots": ["u3"], "containers": ["c2"], "force": false, "garbage": false}),
        ),
    ];
    answers.extend(more.map(|(name, operation, arguments)| (name, store.call(operation, &arguments))));
    answers
}
