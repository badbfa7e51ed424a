//! Rules of the profile that no configuration can express, each tried from outside the container or with a machine that was tampered with
//! (`docs/hardening.md` names the test of each).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test fails by a panic, tells what it leaves out, and makes files as a user does"
)]

mod support;

use berth_sys::process::{Namespaces, unshare};
use rustix::fs::{Mode, OFlags, SealFlags};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_bind, mount_change};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::process::CommandExt as _;
use support::{Session, Store, as_root, each_rung, spec, start, with};

/// What a process that a session started runs.
fn sealed(pid: &str) {
    let link = format!("/proc/{pid}/exe");
    let program = fs::read_link(&link).unwrap();
    assert!(program.to_string_lossy().starts_with("/memfd:berth-native"), "{program:?}");
    let file = rustix::fs::open(&link, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    let wanted = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    assert!(
        rustix::fs::fcntl_get_seals(&file).unwrap().contains(wanted),
        "the copy can be changed"
    );
}

/// The value of a field of `/proc/<pid>/status` or the like.
fn owner(pid: u32) -> u32 {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(format!("/proc/{pid}/environ")).unwrap().uid()
}

#[test]
fn whatever_works_inside_an_image_runs_from_a_sealed_copy_of_the_helper() {
    each_rung(|store| {
        let base = store.base();
        let request = with(start(spec(&["sleep", "1000"]), "c1", "u1", &[&base]), &[("/init", json!(true))]);
        let mut session = store.open("start", &request);
        let pid = session.event("started")["pid"].as_i64().unwrap();
        sealed(&session.child.id().to_string());
        // Process 1 of a container with `--init` is the helper's as well.
        sealed(&pid.to_string());
        session.close();
        assert_eq!(session.finish().failure()["code"], "cancelled");
    });
}

#[test]
fn a_program_that_only_says_that_it_is_sealed_does_nothing() {
    each_rung(|store| {
        let base = store.base();
        let request = store.request("start", &start(spec(&["true"]), "c1", "u1", &[&base]));
        let failure = Session::start(store.command().args(["start", "--sealed"]), &request)
            .finish()
            .failure();
        assert_eq!(
            (failure["code"].as_str(), failure["step"].as_str()),
            (Some("not-permitted"), Some("re-execute")),
            "{failure}"
        );
    });
}

#[test]
fn a_descriptor_of_the_caller_leads_no_container_to_the_host() {
    each_rung(|store| {
        let base = store.base();
        let host = store.host("open");
        let call = |cwd: &str, script: &str| {
            let config = with(spec(&["sh", "-c", script]), &[("/process/cwd", json!(cwd))]);
            let request = store.request("start", &start(config, "c1", "u1", &[&base]));
            let command = store.command();
            // The shell leaves its seventh descriptor open for whatever it becomes.
            let mut shell = std::process::Command::new("/bin/sh");
            shell.args(["-c", "exec 7< \"$0\"; exec \"$@\""]).arg(&host);
            shell.arg(command.get_program()).args(command.get_args()).arg("start");
            shell
                .stdin(std::process::Stdio::piped())
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::piped());
            Session::start(&mut shell, &request).finish()
        };
        assert_eq!(call("/", "[ -e /proc/self/fd/7 ] || echo closed").text(), "closed\n");
        assert!(["not-found", "attack"].contains(&call("/proc/self/fd/7", "true").failure()["code"].as_str().unwrap()));
    });
}

#[test]
fn the_helper_hides_its_memory_from_other_processes_of_its_user() {
    each_rung(|store| {
        let base = store.base();
        let mut session = store.open("start", &start(spec(&["sleep", "1000"]), "c1", "u1", &[&base]));
        session.event("started");
        // What cannot be dumped has files of root in /proc, and no other process of its user may attach to it.
        let id = session.child.id();
        assert_eq!(owner(id), 0);
        if store.id_map()["kind"] == "sub" {
            let user = fs::metadata(format!("/proc/{id}")).map(|_| status(id, "Uid")).unwrap();
            let mut reader = std::process::Command::new("/bin/cat");
            reader.arg(format!("/proc/{id}/environ")).uid(user.parse().unwrap());
            assert!(
                !support::watchdog::output(&mut reader).status.success(),
                "another process of the user reads it"
            );
        }
        session.close();
        session.finish();
    });
}

fn status(pid: u32, field: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find(|line| line.starts_with(&format!("{field}:"))).unwrap();
    line.split_whitespace().nth(1).unwrap().to_owned()
}

/// Runs `work` in a thread of its own, whose mounts `tamper` has changed.
fn tampered<T: Send>(tamper: impl FnOnce() + Send, work: impl FnOnce() -> T + Send) -> T {
    let both = || {
        unshare(Namespaces::MOUNT).unwrap();
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
        tamper();
        work()
    };
    std::thread::scope(|scope| scope.spawn(both).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
}

#[test]
fn nothing_but_the_null_device_masks_a_path() {
    as_root(|store| {
        let base = store.base();
        let fake = store.host("fake").join("null");
        fs::write(&fake, "of the host").unwrap();
        for other in [fake.to_str().unwrap(), "/dev/zero"] {
            let failure = tampered(
                || mount_bind(other, "/dev/null").unwrap(),
                || store.call("start", &start(spec(&["true"]), "c1", "u1", &[&base])).failure(),
            );
            assert_eq!(
                (failure["code"].as_str(), failure["subject"].as_str()),
                (Some("attack"), Some("/dev/null")),
                "{failure}"
            );
        }
    });
}

#[test]
fn masked_folders_are_one_empty_read_only_tmpfs() {
    each_rung(|store| {
        let base = store.base();
        let masked = json!(["/proc/scsi", "/proc/tty", "/proc/keys", "/proc/fs"]);
        let config = with(
            spec(&["sh", "-c", "cat /proc/mounts; ls /proc/tty /proc/fs | grep -v :; touch /proc/tty/x"]),
            &[("/linux/maskedPaths", masked)],
        );
        let answer = store.call("start", &start(config, "c1", "u1", &[&base]));
        let text = answer.text();
        for folder in ["/proc/tty", "/proc/fs"] {
            let line = text
                .lines()
                .rfind(|line| line.split(' ').nth(1) == Some(folder))
                .unwrap_or_else(|| panic!("{folder}: {text}"));
            let options: Vec<&str> = line.split(' ').nth(3).unwrap().split(',').collect();
            assert!(
                line.contains(" tmpfs ") && ["ro", "nosuid", "nodev", "noexec"].iter().all(|option| options.contains(option)),
                "{line}"
            );
        }
        assert!(answer.error_text().contains("Read-only file system"), "{answer:?}");
    });
}

#[test]
fn a_filter_that_cannot_be_loaded_is_the_end_of_the_start() {
    each_rung(|store| {
        let base = store.base();
        let filter =
            json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]});
        for no_new_privileges in [true, false] {
            let config = with(
                spec(&["sh", "-c", "echo started"]),
                &[
                    ("/linux/seccomp", filter.clone()),
                    ("/process/noNewPrivileges", json!(no_new_privileges)),
                ],
            );
            let answer = support::filtered(&["seccomp"], Errno::NOMEM, || {
                store.call("start", &start(config, "c1", "u1", &[&base]))
            });
            assert_eq!(answer.failure()["step"], "seccomp", "{answer:?}");
            assert_eq!(answer.text(), "");
        }
    });
}

#[test]
fn the_process_leads_a_session_of_its_own_with_a_keyring_of_its_own() {
    each_rung(|store| {
        let base = store.base();
        let mut session = store.open("start", &start(spec(&["sleep", "1000"]), "c1", "u1", &[&base]));
        let pid = u32::try_from(session.event("started")["pid"].as_i64().unwrap()).unwrap();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        // Session, then the number of the terminal: none.
        assert_eq!((fields[3], fields[4]), (pid.to_string().as_str(), "0"), "{stat}");
        session.close();
        session.finish();
        assert_keyring(store, &base);
    });
}

/// A session keyring that was not there before: `/proc/keys` shows it to its own session, and those of others of this user.
fn assert_keyring(store: &Store, base: &str) {
    let sessions = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.split_whitespace().any(|word| word == "_ses:"));
        lines.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
    };
    let unmasked = [("/linux/maskedPaths", json!([]))];
    let before = sessions(&fs::read_to_string("/proc/keys").unwrap());
    let inside = store
        .call("start", &start(with(spec(&["cat", "/proc/keys"]), &unmasked), "c1", "u1", &[base]))
        .text();
    assert!(sessions(&inside).iter().any(|id| !before.contains(id)), "{inside}");
}

#[test]
fn names_of_containers_are_letters_and_digits() {
    each_rung(|store| {
        let base = store.base();
        for name in ["", ".", "..", "a/b", "a b", "a\n", "-a", "ä", "a\0b", "../c1", "a:b"] {
            let failure: Value = store.call("start", &start(spec(&["true"]), name, "u1", &[&base])).failure();
            assert_eq!(failure["code"], "request", "{name:?}: {failure}");
        }
    });
}
