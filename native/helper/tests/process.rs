//! Processes in containers of their own: how they end, what they read and write, what stays of them.
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
use support::{CONTROL, DATA, END, as_root, each_rung, mounted, spec, start, with};

#[test]
fn the_exit_code_output_and_error_output_come_back_apart() {
    each_rung(|store| {
        let answer = store.shell("echo out; echo err >&2; exit 3");
        assert_eq!(
            (answer.exit_code(), answer.text().as_str(), answer.error_text().as_str()),
            (3, "out\n", "err\n")
        );
        let reply = answer.reply();
        assert!(reply["memoryPeak"].as_u64().unwrap() > 0 && reply["signal"].is_null());
    });
}

#[test]
fn a_signal_is_named_and_counts_as_128_and_its_number() {
    each_rung(|store| {
        let base = store.base();
        let mut session = store.open("start", &start(spec(&["sleep", "1000"]), "c1", "u1", &[&base]));
        session.event("started");
        session.control(&json!({"control": "signal", "signal": "KILL"}));
        let reply = session.finish().reply();
        assert_eq!((reply["exitCode"].as_i64(), reply["signal"].as_str()), (Some(137), Some("SIGKILL")));
    });
}

#[test]
fn commands_that_cannot_be_started_have_dockers_codes() {
    each_rung(|store| {
        let base = store.base();
        store.named_layer(&"c".repeat(64), |root| {
            fs::create_dir(root.join("bin")).unwrap();
            fs::write(root.join("bin/data"), [0x7f, 1, 2]).unwrap();
            fs::write(root.join("bin/orphan"), "#!/no/such/interpreter\n").unwrap();
            for name in ["data", "orphan"] {
                use std::os::unix::fs::PermissionsExt as _;
                fs::set_permissions(root.join("bin").join(name), fs::Permissions::from_mode(0o755)).unwrap();
            }
        });
        let cases = [
            ("nope", "command-not-found"),
            ("/nope", "command-not-found"),
            ("orphan", "command-not-found"),
            ("/etc/passwd", "command-not-executable"),
            ("/etc", "command-not-executable"),
            ("data", "command-not-executable"),
        ];
        for (command, code) in cases {
            let failure = store
                .call("start", &start(spec(&[command]), "c1", "u1", &[&"c".repeat(64), &base]))
                .failure();
            assert_eq!(failure["code"], code, "{command}: {failure}");
            assert!(
                failure["subject"].as_str().unwrap().contains(command.trim_start_matches('/')),
                "{failure}"
            );
        }
    });
}

#[test]
fn standard_input_is_fed_and_ended() {
    each_rung(|store| {
        let base = store.base();
        let config = spec(&["sh", "-c", "cat; echo over"]);
        let mut session = store.open("start", &with(start(config, "c1", "u1", &[&base]), &[("/stdin", json!(true))]));
        let big = vec![b'x'; 300_000];
        session.send(DATA, b"hello\n");
        session.send(DATA, &big);
        session.control(&json!({"control": "closeStdin"}));
        let text = session.finish().text();
        assert!(text.starts_with("hello\nxxx") && text.ends_with("xover\n"));
        assert_eq!(text.len(), 6 + big.len() + 5);
    });
}

#[test]
fn without_standard_input_it_is_empty() {
    each_rung(|store| assert_eq!(store.shell("cat; readlink /proc/self/fd/0").text(), "/dev/null\n"));
}

#[test]
fn megabytes_arrive_whole_and_in_order() {
    each_rung(|store| {
        let answer = store.shell("seq 1 400000");
        let expected: String = (1..=400_000).map(|number| format!("{number}\n")).collect();
        assert!(answer.text() == expected, "{} bytes of {}", answer.text().len(), expected.len());
    });
}

#[test]
fn a_terminal_carries_both_ways_and_changes_its_size() {
    each_rung(|store| {
        let base = store.base();
        let script = "tty; read line; echo got $line; stty size; exit 4";
        let size = json!({"height": 10, "width": 20});
        let config = with(
            spec(&["sh", "-c", script]),
            &[("/process/terminal", json!(true)), ("/process/consoleSize", size)],
        );
        let mut session = store.open("start", &start(config, "c1", "u1", &[&base]));
        session.expect("/dev/pts/0");
        session.control(&json!({"control": "resize", "rows": 40, "columns": 120}));
        session.send(DATA, b"abc\n");
        let answer = session.finish();
        assert_eq!(answer.exit_code(), 4);
        assert!(answer.text().contains("got abc\r\n40 120\r\n"), "{}", answer.text());
    });
}

#[test]
fn a_process_that_ignores_the_stop_signal_is_killed_after_its_time() {
    each_rung(|store| {
        let base = store.base();
        let mut polite = store.open(
            "start",
            &start(
                spec(&["sh", "-c", "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done"]),
                "c1",
                "u1",
                &[&base],
            ),
        );
        polite.expect("ready");
        polite.control(&json!({"control": "stop", "signal": "SIGTERM", "seconds": 60}));
        assert_eq!(polite.finish().exit_code(), 9);
        let mut deaf = store.open(
            "start",
            &start(
                spec(&["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"]),
                "c1",
                "u1",
                &[&base],
            ),
        );
        deaf.expect("ready");
        deaf.control(&json!({"control": "stop", "signal": "SIGTERM", "seconds": 0}));
        assert_eq!(deaf.finish().reply()["signal"], "SIGKILL");
    });
}

#[test]
fn a_background_process_that_holds_the_output_cannot_delay_the_end() {
    each_rung(|store| {
        let answer = store.shell("sleep 1000 & (while :; do echo x > /w; done) & exit 5");
        assert_eq!(answer.exit_code(), 5);
    });
}

#[test]
fn process_1_of_ours_reaps_and_gives_the_code_on() {
    each_rung(|store| {
        let base = store.base();
        let script = "echo $$; for i in 1 2 3; do (sleep 0 &) ; done; sleep 0.2; grep -l 'State:.Z' /proc/[0-9]*/status | wc -l; exit 6";
        let arguments = with(start(spec(&["sh", "-c", script]), "c1", "u1", &[&base]), &[("/init", json!(true))]);
        let answer = store.call("start", &arguments);
        assert_eq!((answer.exit_code(), answer.text().as_str()), (6, "2\n0\n"));
        let mut session = store.open(
            "start",
            &with(
                start(
                    spec(&["sh", "-c", "trap 'exit 8' TERM; echo ready; while :; do sleep 0.05; done"]),
                    "c1",
                    "u1",
                    &[&base],
                ),
                &[("/init", json!(true))],
            ),
        );
        session.expect("ready");
        session.control(&json!({"control": "signal", "signal": "TERM"}));
        assert_eq!(session.finish().exit_code(), 8);
        let failure = store
            .call(
                "start",
                &with(start(spec(&["nope"]), "c1", "u1", &[&base]), &[("/init", json!(true))]),
            )
            .failure();
        assert_eq!(failure["code"], "command-not-found");
    });
}

#[test]
fn the_environment_and_the_directory_are_those_of_the_configuration_and_nothing_else() {
    each_rung(|store| {
        let base = store.base();
        let config = with(
            spec(&["sh", "-c", "env | sort; echo $PWD"]),
            &[("/process/env", json!(["PATH=/bin", "A=b c"])), ("/process/cwd", json!("/tmp"))],
        );
        let text = store.call("start", &start(config, "c1", "u1", &[&base])).text();
        assert_eq!(text, "A=b c\nPATH=/bin\nPWD=/tmp\nSHLVL=1\n/tmp\n");
    });
}

#[test]
fn the_upper_holds_what_the_process_wrote_and_no_trace_of_the_mounts() {
    each_rung(|store| {
        let base = store.layer('a', |root| {
            fs::create_dir_all(root.join("bin")).unwrap();
            fs::copy("/bin/busybox", root.join("bin/sh")).unwrap();
            fs::create_dir(root.join("etc")).unwrap();
            let past = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000, 5));
            fs::File::open(root.join("etc")).unwrap().set_times(past).unwrap();
        });
        let bound = store.host("data");
        fs::write(bound.join("file"), "host").unwrap();
        let config = mounted(
            spec(&["/bin/sh", "-c", "read x < /deep/er/file; echo $x; echo w > /written"]),
            json!({
                "destination": "/deep/er", "type": "bind", "source": bound, "options": ["rbind", "ro"],
            }),
        );
        let files = json!([{"destination": "/etc/hosts", "content": "127.0.0.1 x\n", "mode": 0o644}, {"destination": "/run/berth/ca.pem", "content": "ca", "mode": 0o444}]);
        let answer = store.call("start", &with(start(config, "c1", "u1", &[&base]), &[("/files", files)]));
        assert_eq!((answer.exit_code(), answer.text().as_str()), (0, "host\n"));
        assert_eq!(store.written("u1"), ["etc", "written"]);
        let modified = fs::metadata(store.upper("u1").join("etc")).unwrap().modified().unwrap();
        assert_eq!(
            modified.duration_since(std::time::UNIX_EPOCH).unwrap(),
            std::time::Duration::new(1_000_000, 5)
        );
    });
}

#[test]
fn what_the_process_did_to_a_directory_with_a_stub_stays() {
    each_rung(|store| {
        let base = store.base();
        let files = json!([{"destination": "/etc/hosts", "content": "x", "mode": 0o644}]);
        let script = "touch /etc/new; rm /etc/passwd; mkdir -p /mnt/a";
        let config = mounted(spec(&["sh", "-c", script]), json!({"destination": "/mnt", "type": "tmpfs"}));
        store
            .call("start", &with(start(config, "c1", "u1", &[&base]), &[("/files", files)]))
            .reply();
        assert_eq!(store.written("u1"), ["etc", "etc/new", "etc/passwd"]);
    });
}

#[test]
fn an_image_without_layers_and_one_with_500_work() {
    each_rung(|store| {
        let lone = store.layer('9', |root| {
            fs::create_dir(root.join("bin")).unwrap();
            fs::copy("/bin/busybox", root.join("bin/sh")).unwrap();
        });
        // The upper of an image without layers is filled beforehand, as COPY fills it.
        fs::rename(store.snapshots().join(&lone), store.snapshots().join("u0")).unwrap();
        let answer = store.call("start", &start(spec(&["/bin/sh", "-c", "echo scratch"]), "c1", "u0", &[]));
        assert_eq!(answer.text(), "scratch\n");
        let mut lowers: Vec<String> = (0..499)
            .map(|number| {
                store.named_layer(&format!("{number:064x}"), |root| {
                    fs::write(root.join(format!("f{number}")), "x").unwrap()
                })
            })
            .collect();
        lowers.push(store.base());
        let lowers: Vec<&str> = lowers.iter().map(String::as_str).collect();
        let answer = store.call("start", &start(spec(&["sh", "-c", "ls -d /f* | wc -l"]), "c1", "u1", &lowers));
        assert_eq!(answer.text().trim(), "499");
        let failure = store
            .call(
                "start",
                &start(spec(&["true"]), "c1", "u2", &[&lowers[..], &["f".repeat(64).as_str()]].concat()),
            )
            .failure();
        assert_eq!(failure["code"], "not-found", "a missing layer is named: {failure}");
        let one_more = store.layer('e', |_| ());
        let failure = store
            .call(
                "start",
                &start(spec(&["true"]), "c1", "u2", &[&lowers[..], &[one_more.as_str()]].concat()),
            )
            .failure();
        assert!(
            failure["code"] == "unsupported" && failure["message"].as_str().unwrap().contains("500"),
            "{failure}"
        );
    });
}

#[test]
fn a_bind_that_is_not_there_and_a_file_over_a_directory_are_named() {
    each_rung(|store| {
        let base = store.base();
        let bind = |source: &str, destination: &str| {
            let mount = json!({"destination": destination, "type": "bind", "source": source, "options": ["rbind"]});
            store
                .call("start", &start(mounted(spec(&["true"]), mount), "c1", "u1", &[&base]))
                .failure()
        };
        let failure = bind("/no/such/place", "/data");
        assert_eq!(
            (failure["code"].as_str(), failure["subject"].as_str()),
            (Some("not-found"), Some("/no/such/place"))
        );
        let failure = bind("/etc/hostname", "/tmp");
        assert_eq!(
            (failure["code"].as_str(), failure["subject"].as_str()),
            (Some("conflict"), Some("/tmp"))
        );
    });
}

#[test]
fn a_bind_is_written_through_and_a_read_only_one_is_not() {
    each_rung(|store| {
        let base = store.base();
        let data = store.host("data");
        let mount = |options: &[&str]| json!({"destination": "/data", "type": "bind", "source": data, "options": options});
        let run = |options: &[&str]| {
            store.call(
                "start",
                &start(
                    mounted(spec(&["sh", "-c", "echo new > /data/file"]), mount(options)),
                    "c1",
                    "u1",
                    &[&base],
                ),
            )
        };
        assert_ne!(run(&["rbind", "ro"]).exit_code(), 0);
        assert!(!data.join("file").exists());
        assert_eq!(run(&["bind", "rw", "nosuid", "rprivate"]).exit_code(), 0);
        assert_eq!(fs::read_to_string(data.join("file")).unwrap(), "new\n");
    });
}

#[test]
fn the_owner_of_a_bound_file_is_the_user_of_the_process() {
    as_root(|store| {
        let base = store.base();
        let data = store.host("data");
        std::os::unix::fs::chown(&data, Some(1000), Some(1000)).unwrap();
        let mount = json!({"destination": "/data", "type": "bind", "source": data, "options": ["rbind"]});
        let config = with(
            mounted(spec(&["touch", "/data/file"]), mount),
            &[("/process/user", json!({"uid": 1000, "gid": 1000, "additionalGids": []}))],
        );
        assert_eq!(store.call("start", &start(config, "c1", "u1", &[&base])).exit_code(), 0);
        assert_eq!(std::os::unix::fs::MetadataExt::uid(&fs::metadata(data.join("file")).unwrap()), 1000);
    });
}

#[test]
fn a_read_only_root_takes_no_write_and_its_tmpfs_does() {
    each_rung(|store| {
        let base = store.base();
        let config = with(
            spec(&["sh", "-c", "touch /x || echo refused; touch /dev/shm/x && echo taken"]),
            &[("/root/readonly", json!(true))],
        );
        assert_eq!(store.call("start", &start(config, "c1", "u1", &[&base])).text(), "refused\ntaken\n");
    });
}

#[test]
fn the_end_frame_ends_standard_input_and_nothing_else() {
    each_rung(|store| {
        let base = store.base();
        let arguments = with(
            start(spec(&["sh", "-c", "cat; sleep 0.1; echo over"]), "c1", "u1", &[&base]),
            &[("/stdin", json!(true))],
        );
        let mut session = store.open("start", &arguments);
        session.send(DATA, b"in\n");
        session.send(END, b"");
        assert_eq!(session.finish().text(), "in\nover\n");
        let mut session = store.open("start", &start(spec(&["sleep", "1000"]), "c1", "u1", &[&base]));
        session.event("started");
        session.send(CONTROL, b"{\"control\":\"dance\"}");
        assert_eq!(session.finish().failure()["code"], "request");
    });
}
