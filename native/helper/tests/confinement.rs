//! What a container sees of the machine and may do to it, seen from inside.
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
use std::os::unix::fs::symlink;
use support::{Rung, Session, as_root, each_rung, mounted, spec, start, with};

fn status(text: &str, field: &str) -> String {
    let line = text
        .lines()
        .find(|line| line.starts_with(&format!("{field}:")))
        .unwrap_or_else(|| panic!("no {field} in {text}"));
    line.split_whitespace().nth(1).unwrap().to_owned()
}

#[test]
fn capabilities_are_those_of_the_profile_and_none_is_inherited() {
    each_rung(|store| {
        let text = store.shell("cat /proc/self/status").text();
        for field in ["CapPrm", "CapEff", "CapBnd"] {
            assert_eq!(status(&text, field), "00000000800405fb", "{field}");
        }
        for field in ["CapInh", "CapAmb"] {
            assert_eq!(status(&text, field), "0000000000000000", "{field}");
        }
        assert_eq!(status(&text, "NoNewPrivs"), "1");
    });
}

#[test]
fn another_user_has_no_effective_capability_and_the_groups_that_it_was_given() {
    each_rung(|store| {
        let base = store.base();
        let config = with(
            spec(&["sh", "-c", "id; cat /proc/self/status; umask; echo again > /dev/stderr"]),
            &[(
                "/process/user",
                json!({"uid": 1000, "gid": 1001, "umask": 0o077, "additionalGids": [5, 6]}),
            )],
        );
        let answer = store.call("start", &start(config, "c1", "u1", &[&base]));
        let text = answer.text();
        assert_eq!(status(&text, "SigIgn"), "0000000000000000");
        assert!(text.starts_with("uid=1000 gid=1001 groups=5,6"), "{text}");
        assert_eq!(status(&text, "CapEff"), "0000000000000000");
        assert!(text.ends_with("0077\n"), "{text}");
        assert_eq!(answer.error_text(), "again\n", "the user may open its own standard error");
    });
}

#[test]
fn only_the_three_standard_descriptors_are_open() {
    each_rung(|store| {
        let base = store.base();
        for init in [false, true] {
            // The shell opens nothing; its glob opens the folder, which is gone when `readlink` looks.
            let script = "for fd in /proc/self/fd/*; do readlink $fd > /dev/null && echo ${fd##*/}; done; true";
            let text = store
                .call(
                    "start",
                    &with(start(spec(&["sh", "-c", script]), "c1", "u1", &[&base]), &[("/init", json!(init))]),
                )
                .text();
            assert_eq!(text, "0\n1\n2\n", "init {init}");
        }
        let text = store
            .call(
                "start",
                &with(
                    start(spec(&["sh", "-c", "ls -l /proc/1/fd"]), "c1", "u1", &[&base]),
                    &[("/init", json!(true))],
                ),
            )
            .text();
        assert!(!text.contains("berth") && !text.contains("socket"), "{text}");
    });
}

#[test]
fn the_processes_host_name_and_mounts_are_the_containers_own() {
    each_rung(|store| {
        let text = store
            .shell("hostname; ls -d /proc/[0-9]* | wc -l; cat /proc/mounts; ls /; echo $$")
            .text();
        assert!(text.starts_with("box\n"), "{text}");
        assert!(text.lines().nth(1).unwrap().trim().parse::<u32>().unwrap() < 5, "{text}");
        assert!(
            !text.contains(store.root.to_str().unwrap()),
            "the store shows in the container: {text}"
        );
        assert!(text.ends_with("1\n"));
        assert_ne!(fs::read_to_string("/proc/sys/kernel/hostname").unwrap(), "box\n");
    });
}

#[test]
fn masked_paths_are_empty_and_read_only_ones_refuse() {
    each_rung(|store| {
        let script = "cat /proc/keys /proc/timer_list | wc -c; ls /sys/firmware | wc -l
            for file in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/irq/default_smp_affinity /sys/kernel/uevent_helper; do
                if [ -e $file ]; then (echo x > $file) 2> /dev/null && echo wrote $file; fi
            done
            for file in /sys/fs/cgroup/*/cgroup.procs /sys/fs/cgroup/cgroup.procs; do
                if [ -e $file ]; then (echo 1 > $file) 2> /dev/null && echo wrote $file; fi
            done; true";
        assert_eq!(store.shell(script).text().split_whitespace().collect::<Vec<_>>(), ["0", "0"]);
    });
}

#[test]
fn a_proc_that_is_the_pods_can_be_read_and_not_written() {
    each_rung(|store| {
        if store.rung == Rung::Root {
            return;
        }
        let probed = Session::start(
            store.command_in_pod().arg("probe"),
            &store.request("probe", &json!({"sub": store.id_map()})),
        )
        .finish();
        assert_eq!(probed.reply()["ownProc"], json!(false));

        let files = [
            "self/oom_score_adj".to_owned(),
            "self/coredump_filter".to_owned(),
            format!("{}/oom_score_adj", std::process::id()),
            "sys/kernel/core_pattern".to_owned(),
        ];
        let writes: Vec<String> = files.iter().map(|file| format!("echo 0 > /proc/{file}; ")).collect();
        // One's own descriptors are written through: what they lead to has mounts of its own.
        let script = format!(
            "({}true) 2>&1; echo out > /proc/self/fd/1; cat /proc/{}/comm; cat /proc/interrupts | wc -c",
            writes.concat(),
            std::process::id()
        );
        let config = with(
            spec(&["/bin/sh", "-c", &script]),
            &[
                ("/linux/maskedPaths", json!(["/proc/interrupts"])),
                ("/process/oomScoreAdj", json!(800)),
            ],
        );
        let order = start(config, "c1", "u1", &[&store.base()]);
        let answer = Session::start(store.command_in_pod().arg("start"), &store.request("start", &order)).finish();
        let text = answer.text();
        assert_eq!(
            text.matches("Read-only file system\n").count(),
            files.len(),
            "{text}{}",
            answer.error_text()
        );
        let name = fs::read_to_string("/proc/self/comm").unwrap();
        assert!(text.ends_with(&format!("out\n{name}0\n")), "{text}");
    });
}

#[test]
fn devices_are_the_harmless_ones_and_no_other_can_be_made() {
    each_rung(|store| {
        let text = store.shell("ls /dev; mknod /tmp/sda b 8 0; mknod /dev/mem c 1 1; echo $?; head -c 4 /dev/zero | wc -c; echo x > /dev/null && ls -l /dev/ptmx").text();
        let (names, rest) = text.split_once("1\n4\n").unwrap_or_else(|| panic!("{text}"));
        let names: Vec<&str> = names.split_whitespace().collect();
        assert_eq!(
            names,
            [
                "core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom",
                "zero"
            ]
        );
        assert!(rest.contains("pts/ptmx"));
    });
}

#[test]
fn a_filter_answers_as_its_profile_says() {
    each_rung(|store| {
        let base = store.base();
        let rule = |names: &[&str], action: &str, errno: Value| json!({"names": names, "action": action, "errnoRet": errno});
        let mut refusal = rule(&["mkdir", "mkdirat"], "SCMP_ACT_ERRNO", json!(28));
        refusal["args"] = json!([]);
        let mut allowed = json!({"names": [], "action": "SCMP_ACT_ALLOW"});
        allowed["names"] = json!([]);
        for no_new_privileges in [true, false] {
            let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [refusal]});
            let script = "mkdir /tmp/x; cat /proc/self/status";
            let config = with(
                spec(&["sh", "-c", script]),
                &[("/linux/seccomp", profile), ("/process/noNewPrivileges", json!(no_new_privileges))],
            );
            let answer = store.call("start", &start(config, "c1", "u1", &[&base]));
            assert!(answer.error_text().contains("No space left"), "{}", answer.error_text());
            assert_eq!(status(&answer.text(), "Seccomp"), "2");
            assert_eq!(
                status(&answer.text(), "CapEff"),
                "00000000800405fb",
                "the capability that loads the filter is gone"
            );
        }
        let killing =
            json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL_PROCESS"}]});
        let config = with(spec(&["mkdir", "/tmp/x"]), &[("/linux/seccomp", killing)]);
        assert_eq!(
            store.call("start", &start(config, "c1", "u1", &[&base])).reply()["signal"],
            "SIGSYS"
        );
    });
}

#[test]
fn limits_of_the_profile_are_clamped_with_one_line_and_requested_ones_fail() {
    each_rung(|store| {
        let base = store.base();
        let hard = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
        let Some(hard) = hard else { return };
        let config = with(
            spec(&["sh", "-c", "ulimit -Sn; ulimit -Hn"]),
            &[(
                "/process/rlimits",
                json!([{"type": "RLIMIT_NOFILE", "soft": 512, "hard": hard + 1}]),
            )],
        );
        let answer = store.call("start", &start(config.clone(), "c1", "u1", &[&base]));
        if answer.warnings().is_empty() {
            assert_eq!(answer.text(), format!("512\n{}\n", hard + 1), "the helper may raise limits here");
            return;
        }
        assert_eq!(answer.text(), format!("512\n{hard}\n"));
        assert!(answer.warnings()[0].contains("RLIMIT_NOFILE"), "{:?}", answer.warnings());
        let config = with(
            config,
            &[("/annotations", json!({"berth.requested-rlimits": "RLIMIT_CORE, RLIMIT_NOFILE"}))],
        );
        let failure = store.call("start", &start(config, "c1", "u1", &[&base])).failure();
        assert_eq!(
            (failure["code"].as_str(), failure["subject"].as_str()),
            (Some("not-permitted"), Some("RLIMIT_NOFILE"))
        );
        assert!(failure["hint"].is_string());
    });
}

#[test]
fn a_limit_of_memory_kills_and_says_so() {
    as_root(|store| {
        let base = store.base();
        let probe = store.call("probe", &json!({"sub": null})).reply();
        let controllers: Vec<&str> = probe["cgroup"]["controllers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one.as_str().unwrap())
            .collect();
        if !controllers.contains(&"memory") {
            eprintln!("left out: no memory controller can be written here");
            return;
        }
        let eater = "awk 'BEGIN { s = \"x\"; while (1) s = s s }'";
        let config = with(
            spec(&["sh", "-c", eater]),
            &[("/linux/resources", json!({"memory": {"limit": 16 << 20}}))],
        );
        let reply = store.call("start", &start(config, "c1", "u1", &[&base])).reply();
        assert_eq!(
            (reply["oomKilled"].as_bool(), reply["exitCode"].as_i64()),
            (Some(true), Some(137)),
            "{reply}"
        );
        let config = with(
            spec(&["sh", "-c", "for i in 1 2 3 4 5 6 7 8; do sleep 5 & done; echo all"]),
            &[("/linux/resources", json!({"pids": {"limit": 4}}))],
        );
        let answer = store.call("start", &start(config, "c1", "u1", &[&base]));
        assert!(!answer.text().contains("all"), "{answer:?}");
    });
}

#[test]
fn a_limit_that_cannot_be_applied_is_a_failure_that_names_it() {
    each_rung(|store| {
        let base = store.base();
        // Who is root outside of it may make groups.
        if store.rung != Rung::Userns {
            return;
        }
        let config = with(spec(&["true"]), &[("/linux/resources", json!({"pids": {"limit": 10}}))]);
        let failure = store.call("start", &start(config, "c1", "u1", &[&base])).failure();
        assert_eq!(
            (failure["code"].as_str(), failure["subject"].as_str()),
            (Some("not-permitted"), Some("pids"))
        );
    });
}

#[test]
fn parameters_of_own_namespaces_are_set_before_proc_is_frozen() {
    each_rung(|store| {
        let base = store.base();
        let config = with(
            spec(&["cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start", "/proc/sys/kernel/msgmax"]),
            &[(
                "/linux/sysctl",
                json!({"net.ipv4.ip_unprivileged_port_start": "80", "kernel.msgmax": "4242"}),
            )],
        );
        assert_eq!(store.call("start", &start(config, "c1", "u1", &[&base])).text(), "80\n4242\n");
    });
}

#[test]
fn without_a_network_there_is_loopback_alone() {
    each_rung(|store| {
        let text = store
            .shell("ip -o link | wc -l; ip -o link; wget -T 2 -qO- http://127.0.0.1:1/; wget -T 2 -qO- http://169.254.169.254/; true")
            .text();
        assert!(text.starts_with("1\n") && text.contains("lo:") && text.contains("UP"), "{text}");
    });
}

#[test]
fn links_of_the_image_lead_nowhere_but_into_the_image() {
    each_rung(|store| {
        let canary = store.host("canary");
        fs::write(canary.join("file"), "untouched").unwrap();
        let target = canary.to_str().unwrap().to_owned();
        let base = store.base();
        let hostile = store.layer('c', |root| {
            fs::create_dir_all(root.join("etc")).unwrap();
            symlink(format!("{target}/hosts"), root.join("etc/hosts")).unwrap();
            symlink("../../../../../../etc/resolv", root.join("etc/resolv.conf")).unwrap();
            symlink(&target, root.join("data")).unwrap();
            symlink("loop2", root.join("loop1")).unwrap();
            symlink("loop1", root.join("loop2")).unwrap();
        });
        let files = json!([{"destination": "/etc/hosts", "content": "h", "mode": 0o644}, {"destination": "/etc/resolv.conf", "content": "r", "mode": 0o644}]);
        let config = mounted(
            spec(&["sh", "-c", "cat /etc/hosts /etc/resolv /etc/resolv.conf; touch /data/x"]),
            json!({"destination": "/data", "type": "tmpfs"}),
        );
        let answer = store.call("start", &with(start(config, "c1", "u1", &[&hostile, &base]), &[("/files", files)]));
        assert_eq!((answer.exit_code(), answer.text().as_str()), (0, "hrr"));
        assert_eq!(fs::read_dir(&canary).unwrap().count(), 1, "something was made on the host");
        let config = mounted(spec(&["true"]), json!({"destination": "/loop1/x", "type": "tmpfs"}));
        assert_eq!(
            store.call("start", &start(config, "c1", "u2", &[&hostile, &base])).failure()["code"],
            "attack"
        );
    });
}

#[test]
fn a_linked_dev_and_a_linked_proc_cannot_be_used_against_the_host() {
    each_rung(|store| {
        let base = store.base();
        let canary = store.host("canary");
        let layer = |digit: char, name: &str| store.layer(digit, |root| symlink(&canary, root.join(name)).unwrap());
        let (dev, proc, sys) = (layer('d', "dev"), layer('e', "proc"), layer('f', "sys"));
        store.call("start", &start(spec(&["true"]), "c1", "u1", &[&dev, &base])).reply();
        for hostile in [proc, sys] {
            assert_eq!(
                store
                    .call("start", &start(spec(&["true"]), "c1", "u2", &[&hostile, &base]))
                    .failure()["code"],
                "attack"
            );
        }
        assert_eq!(fs::read_dir(&canary).unwrap().count(), 0);
    });
}

#[test]
fn nothing_is_mounted_into_proc() {
    each_rung(|store| {
        let base = store.base();
        for destination in ["/proc/self/attr", "/proc/1/environ", "/link"] {
            let hostile = store.layer('c', |root| {
                if !root.join("link").is_symlink() {
                    symlink("/proc/sys", root.join("link")).unwrap();
                }
            });
            let kind = if destination.ends_with("environ") {
                json!({"type": "bind", "source": "/etc/hostname", "options": ["bind"]})
            } else {
                json!({"type": "tmpfs"})
            };
            let config = mounted(spec(&["true"]), with(kind, &[("/destination", json!(destination))]));
            let failure = store.call("start", &start(config, "c1", "u1", &[&hostile, &base])).failure();
            assert_eq!(failure["code"], "attack", "{destination}: {failure}");
        }
    });
}

#[test]
fn a_working_directory_that_is_missing_is_made_and_stays() {
    each_rung(|store| {
        let hostile = store.layer('c', |root| {
            if !root.join("away").is_symlink() {
                symlink("../../../made/by/link", root.join("away")).unwrap();
            }
        });
        let base = store.base();
        for (cwd, made) in [("/new/dir", "/new/dir"), ("/away/in", "/made/by/link/in")] {
            let config = with(
                spec(&["sh", "-c", "pwd -P; stat -c %a:%u ."]),
                &[("/process/cwd", json!(cwd)), ("/root/readonly", json!(true))],
            );
            let answer = store.call("start", &start(config, "c1", "u1", &[&hostile, &base]));
            assert_eq!(answer.text(), format!("{made}\n755:0\n"));
            assert!(
                store.written("u1").contains(&made.trim_start_matches('/').to_owned()),
                "{:?}",
                store.written("u1")
            );
        }
    });
}

#[test]
fn a_working_directory_that_is_none_or_outside_is_refused() {
    each_rung(|store| {
        let base = store.base();
        for (cwd, code) in [("/etc/passwd", "not-found"), ("/proc/self/fd/7", "not-found")] {
            let failure = store
                .call(
                    "start",
                    &start(with(spec(&["true"]), &[("/process/cwd", json!(cwd))]), "c1", "u1", &[&base]),
                )
                .failure();
            assert_eq!(failure["code"], code, "{cwd}: {failure}");
        }
        assert_eq!(store.written("u1"), Vec::<String>::new(), "nothing is made for a link of /proc");
        // Whatever descriptor of the helper is a directory of the host: none may be entered.
        for number in 3..40 {
            let cwd = json!(format!("/proc/self/fd/{number}"));
            let answer = store.call(
                "start",
                &start(with(spec(&["true"]), &[("/process/cwd", cwd)]), "c1", "u1", &[&base]),
            );
            assert!(
                ["not-found", "attack"].contains(&answer.failure()["code"].as_str().unwrap()),
                "descriptor {number}: {answer:?}"
            );
        }
    });
}

#[test]
fn the_helper_cannot_be_reached_as_the_program_of_process_1() {
    each_rung(|store| {
        let base = store.base();
        let arguments = with(
            start(
                spec(&["sh", "-c", "echo x > /proc/1/exe || echo refused; readlink /proc/1/exe"]),
                "c1",
                "u1",
                &[&base],
            ),
            &[("/init", json!(true))],
        );
        let text = store.call("start", &arguments).text();
        assert!(text.starts_with("refused\n"), "{text}");
        assert!(!text.contains(store.root.parent().unwrap().to_str().unwrap()), "{text}");
    });
}

#[test]
fn other_ids_own_files_and_set_id_bits_work() {
    each_rung(|store| {
        let text = store.shell("touch /x && chown 33:44 /x && stat -c '%u:%g' /x").text();
        assert_eq!(text, "33:44\n");
    });
}
