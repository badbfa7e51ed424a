//! `berth-native oci` as its callers use it: bundles of busybox, as root and as an ordinary user, and bad input of every kind.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test, which starts programs as users do, and says what it leaves out"
)]

#[path = "support/watchdog.rs"]
mod watchdog;

use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;
use watchdog::Lines;

const BUSYBOX: &str = "/bin/busybox";
/// An ordinary user.
const USER: u32 = 1001;

/// A folder for containers, and bundles beside it.
struct World {
    place: TempDir,
    user: u32,
}

impl World {
    /// Says why, where a container of root is not possible.
    fn root() -> Option<Self> {
        Self::new(0)
    }

    fn new(user: u32) -> Option<Self> {
        let missing = |what: &str| {
            eprintln!("left out: it needs {what}");
            None
        };
        if !rustix::process::geteuid().is_root() {
            return missing("root");
        }
        if !Path::new(BUSYBOX).exists() {
            return missing("busybox-static");
        }
        let place = tempfile::tempdir().unwrap();
        chown(place.path(), Some(user), Some(user)).unwrap();
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let binary = place.path().join("berth-native-oci");
        fs::copy(env!("CARGO_BIN_EXE_berth-native"), binary).unwrap();
        Some(Self { place, user })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// A bundle whose process runs `script`; `change` gets its configuration.
    fn bundle(&self, name: &str, script: &str, change: impl FnOnce(&mut Value)) -> String {
        let bundle = self.path(name);
        for folder in ["bin", "dev", "etc", "proc", "sys", "tmp"] {
            fs::create_dir_all(bundle.join("rootfs").join(folder)).unwrap();
        }
        fs::copy(BUSYBOX, bundle.join("rootfs/bin/busybox")).unwrap();
        for applet in [
            "sh", "cat", "echo", "id", "sleep", "hostname", "touch", "ls", "grep", "tty", "readlink", "env", "true", "head",
        ] {
            symlink("busybox", bundle.join("rootfs/bin").join(applet)).unwrap();
        }
        let mut config = config(script);
        change(&mut config);
        fs::write(bundle.join("config.json"), serde_json::to_vec(&config).unwrap()).unwrap();
        self.own(&bundle);
        bundle.to_str().unwrap().to_owned()
    }

    fn own(&self, folder: &Path) {
        let status = Command::new("chown")
            .args(["-Rh", &format!("{0}:{0}", self.user)])
            .arg(folder)
            .status()
            .unwrap();
        assert!(status.success());
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.path("berth-native-oci"));
        command.arg("--root").arg(self.path("state")).args(words).stdin(Stdio::null());
        if self.user != 0 {
            command.uid(self.user).gid(self.user);
        }
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        watchdog::output(&mut self.command(words))
    }

    /// Runs a command that must succeed; gives what it printed.
    fn good(&self, words: &[&str]) -> String {
        let output = self.run(words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{words:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that must fail; gives what it said.
    fn bad(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{words:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Creates a container whose output goes to a pipe: a container that lives on keeps the streams of its maker.
    fn create(&self, words: &[&str]) -> Lines {
        let mut child = watchdog::spawn(self.command(words).stdout(Stdio::piped()));
        assert!(watchdog::end_of(&mut child).success(), "{words:?}");
        Lines::of(child.stdout.take().unwrap())
    }

    fn state(&self, id: &str) -> Value {
        serde_json::from_str(&self.good(&["state", id])).unwrap()
    }

    fn assert_nothing_left(&self) {
        let left: Vec<_> = fs::read_dir(self.path("state"))
            .map(|all| all.flatten().collect())
            .unwrap_or_default();
        assert!(left.is_empty(), "{left:?}");
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(self.place.path().to_str().unwrap()), "{mounts}");
    }
}

fn config(script: &str) -> Value {
    let capabilities = json!(["CAP_KILL", "CAP_CHOWN"]);
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": ["/bin/sh", "-c", script],
            "env": ["PATH=/bin", "GREETING=hello"],
            "cwd": "/",
            "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities},
            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 512, "hard": 512}],
            "noNewPrivileges": true,
        },
        "root": {"path": "rootfs"},
        "hostname": "box",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["newinstance", "ptmxmode=0666", "mode=0620"]},
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["nosuid", "noexec", "nodev", "ro"]},
        ],
        "annotations": {"com.example.key": "value"},
        "linux": {
            "namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}, {"type": "network"}],
            "resources": {"devices": [{"allow": false, "access": "rwm"}]},
            "maskedPaths": ["/proc/kcore", "/proc/keys"],
            "readonlyPaths": ["/proc/sys"],
        },
    })
}

/// A script that says that it runs, and ends with 5 at SIGTERM.
const WAITING: &str = "trap 'echo bye; exit 5' TERM; echo up; while true; do sleep 0.05; done";

#[test]
fn run_gives_the_output_and_the_code_of_a_confined_process() {
    let Some(world) = World::root() else { return };
    let script = "echo $GREETING $(hostname) $(id -u) $$; echo >/dev/null && echo null; touch /made && echo writable; \
        cat /proc/keys; echo x >/proc/sys/kernel/domainname || echo kept; grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status; exit 3";
    let filter = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["swapon"], "action": "SCMP_ACT_ERRNO"}]});
    let bundle = world.bundle("b", script, |config| config["linux"]["seccomp"] = filter);
    let output = world.run(&["run", "--bundle", &bundle, "one"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    for line in [
        "hello box 0 1",
        "null",
        "writable",
        "kept",
        "CapEff:\t0000000000000021",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}: {text}");
    }
    assert!(
        Path::new(&bundle).join("rootfs/made").exists(),
        "the bundle's own root takes the writes"
    );
    world.assert_nothing_left();
}

#[test]
fn a_container_goes_from_created_to_stopped_and_away() {
    let Some(world) = World::root() else { return };
    let bundle = world.bundle("b", WAITING, |_| {});
    let pid_file = world.path("pid");
    let mut output = world.create(&["create", "--bundle", &bundle, "--pid-file", pid_file.to_str().unwrap(), "c"]);
    let state = world.state("c");
    assert_eq!(state["status"], "created");
    assert_eq!(state["bundle"], bundle);
    assert_eq!(state["annotations"]["com.example.key"], "value");
    assert_eq!(fs::read_to_string(pid_file).unwrap(), state["pid"].to_string());
    assert!(world.bad(&["create", "--bundle", &bundle, "c"]).contains("already exists"));
    assert!(world.bad(&["delete", "c"]).contains("not stopped"));

    // What changes in the bundle now is too late.
    fs::write(Path::new(&bundle).join("config.json"), "{}").unwrap();
    world.good(&["start", "c"]);
    assert_eq!(output.next().as_deref(), Some("up"));
    assert_eq!(world.state("c")["status"], "running");
    assert!(world.bad(&["start", "c"]).contains("running"));
    assert!(world.bad(&["delete", "c"]).contains("not stopped"));
    assert!(world.good(&["list", "--quiet"]).contains('c'));

    world.good(&["pause", "c"]);
    assert_eq!(world.state("c")["status"], "paused");
    assert!(world.bad(&["exec", "c", "true"]).contains("paused"));
    world.good(&["resume", "c"]);
    assert!(world.bad(&["resume", "c"]).contains("running"));

    assert!(world.bad(&["kill", "c", "NOPE"]).contains("NOPE"));
    world.good(&["kill", "c", "TERM"]);
    let rest: Vec<String> = output.collect();
    assert_eq!(rest, ["bye"], "the end of its output is the end of the container");
    let stopped = std::iter::repeat_with(|| world.state("c"))
        .take(1000)
        .find(|state| state["status"] == "stopped");
    assert_eq!(stopped.unwrap()["pid"], 0);
    assert!(world.bad(&["kill", "c", "KILL"]).contains("not running"));
    assert!(world.bad(&["start", "c"]).contains("stopped"));
    assert!(world.bad(&["exec", "c", "true"]).contains("not running"));
    world.good(&["delete", "c"]);
    assert!(world.bad(&["state", "c"]).contains("does not exist"));
    assert!(world.bad(&["delete", "c"]).contains("does not exist"));
    world.good(&["delete", "--force", "c"]);
    world.assert_nothing_left();
}

#[test]
fn exec_runs_a_further_process_in_every_namespace_of_the_container() {
    let Some(world) = World::root() else { return };
    let bundle = world.bundle("b", WAITING, |_| {});
    let output = world.create(&["run", "--detach", "--bundle", &bundle, "c"]);
    let text = world.good(&[
        "exec",
        "--env",
        "MORE=1",
        "--cwd",
        "/tmp",
        "--user",
        "7:8",
        "c",
        "sh",
        "-c",
        "echo $MORE $PWD $(id -u):$(id -g) $(hostname); readlink /proc/1/exe || cat /proc/1/comm",
    ]);
    assert!(text.starts_with("1 /tmp 7:8 box\n"), "{text}");
    assert_eq!(world.run(&["exec", "c", "sh", "-c", "exit 6"]).status.code(), Some(6));
    assert!(world.bad(&["exec", "c", "nope"]).contains("executable file not found in $PATH"));
    assert!(world.bad(&["exec", "c"]).contains("no command"));
    let process = json!({"args": ["echo", "from a file"], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}});
    let file = world.path("process.json");
    fs::write(&file, process.to_string()).unwrap();
    assert_eq!(world.good(&["exec", "--process", file.to_str().unwrap(), "c"]), "from a file\n");
    fs::write(&file, json!({"args": ["true"], "cwd": "/", "apparmorProfile": "x"}).to_string()).unwrap();
    assert!(
        world
            .bad(&["exec", "--process", file.to_str().unwrap(), "c"])
            .contains("process.apparmorProfile")
    );
    world.good(&["delete", "--force", "c"]);
    drop(output);
    world.assert_nothing_left();
}

#[test]
fn hooks_run_at_their_points_with_the_state() {
    let Some(world) = World::root() else { return };
    let log = world.path("log");
    let hook = |name: &str| {
        let script = format!("{{ echo {name}; cat; echo; }} >>{}", log.display());
        json!([{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"]}])
    };
    let inside = json!([{"path": "/bin/sh", "args": ["sh", "-c", "cat >/tmp/state; [ $(hostname) = box ] && [ -d /proc/1 ]"]}]);
    let bundle = world.bundle("b", "cat /tmp/state", |config| {
        config["hooks"] = json!({
            "prestart": hook("prestart"), "createRuntime": hook("createRuntime"), "createContainer": hook("createContainer"),
            "startContainer": inside, "poststart": hook("poststart"), "poststop": hook("poststop"),
        });
    });
    let printed = world.good(&["run", "--bundle", &bundle, "c"]);
    let state: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((state["id"].as_str(), state["status"].as_str()), (Some("c"), Some("created")));
    let log = fs::read_to_string(log).unwrap();
    let names: Vec<&str> = log.lines().filter(|line| !line.starts_with('{') && !line.is_empty()).collect();
    assert_eq!(names, ["prestart", "createRuntime", "createContainer", "poststart", "poststop"]);
    let states: Vec<Value> = log
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let words: Vec<_> = states.iter().map(|state| state["status"].as_str().unwrap()).collect();
    assert_eq!(words, ["created", "created", "created", "running", "stopped"]);
    assert!(states[0]["pid"].as_i64().unwrap() > 0);

    let bundle = world.bundle("fails", "true", |config| {
        config["hooks"] = json!({"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", "echo because >&2; exit 4"]}]});
    });
    let said = world.bad(&["create", "--bundle", &bundle, "c"]);
    assert!(said.contains("code 4") && said.contains("because"), "{said}");
    let bundle = world.bundle("slow", "true", |config| {
        config["hooks"] = json!({"startContainer": [{"path": "/bin/sleep", "args": ["sleep", "60"], "timeout": 1}]});
    });
    assert!(world.bad(&["run", "--bundle", &bundle, "c"]).contains("more than its 1 s"));
    world.assert_nothing_left();
}

#[test]
fn what_cannot_be_done_is_said_by_name_and_leaves_nothing() {
    let Some(world) = World::root() else { return };
    type Change = fn(&mut Value);
    let cases: [(&str, Change, &str); 11] = [
        (
            "apparmor",
            |c| c["process"]["apparmorProfile"] = json!("x"),
            "process.apparmorProfile",
        ),
        ("no-linux", |c| drop(c.as_object_mut().unwrap().remove("linux")), "linux"),
        ("no-args", |c| c["process"]["args"] = json!([]), "process.args"),
        ("cwd", |c| c["process"]["cwd"] = json!("tmp"), "process.cwd"),
        ("rootfs", |c| c["root"]["path"] = json!("nowhere"), "nowhere"),
        ("host", |c| c["root"]["path"] = json!("/"), "root.path"),
        ("terminal", |c| c["process"]["terminal"] = json!(true), "--console-socket"),
        (
            "program",
            |c| c["process"]["args"] = json!(["nope"]),
            "executable file not found in $PATH",
        ),
        ("mount", |c| c["mounts"][0]["type"] = json!("nofs"), "nofs"),
        (
            "namespace",
            |c| c["linux"]["namespaces"][4]["path"] = json!("/proc/self/ns/nope"),
            "/proc/self/ns/nope",
        ),
        (
            "shared",
            |c| c["linux"]["rootfsPropagation"] = json!("rshared"),
            "linux.rootfsPropagation",
        ),
    ];
    for (name, change, word) in cases {
        let bundle = world.bundle(name, "true", change);
        let said = world.bad(&["create", "--bundle", &bundle, "c"]);
        assert!(said.contains(word), "{name}: {said}");
        assert!(world.bad(&["state", "c"]).contains("does not exist"), "{name}");
    }
    let broken = world.path("broken");
    fs::create_dir(&broken).unwrap();
    let broken = broken.to_str().unwrap();
    assert!(world.bad(&["create", "--bundle", broken, "c"]).contains("config.json"));
    fs::write(format!("{broken}/config.json"), "{\"ociVersion\": ").unwrap();
    assert!(world.bad(&["create", "--bundle", broken, "c"]).contains("config.json"));
    for (words, word) in [
        (&["state"][..], "id of a container"),
        (&["state", "a", "b"], "no more words"),
        (&["state", "../x"], "invalid id"),
        (&["create", "--bundle", broken, "a/b"], "config.json"),
        (&["start", "nobody"], "does not exist"),
        (&["kill", "nobody"], "does not exist"),
        (&["exec", "nobody", "true"], "does not exist"),
        (&["--systemd-cgroup", "state", "x"], "--systemd-cgroup"),
        (&["--log-format", "xml", "state", "x"], "xml"),
        (&["checkpoint", "x"], "checkpoint"),
        (&["frobnicate"], "frobnicate"),
        (&["create", "--frobnicate", "x"], "--frobnicate"),
        (&["create", "--preserve-fds", "9", "--bundle", broken, "x"], "--preserve-fds"),
    ] {
        let said = world.bad(words);
        assert!(said.contains(word), "{words:?}: {said}");
    }
    world.assert_nothing_left();
}

#[test]
fn a_capability_that_is_not_known_is_left_out_and_said() {
    let Some(world) = World::root() else { return };
    let bundle = world.bundle("b", "grep CapEff /proc/self/status", |c| {
        for set in ["bounding", "effective", "permitted"] {
            let names = c["process"]["capabilities"][set].as_array_mut().unwrap();
            names.push(json!("CAP_OF_TOMORROW"));
        }
    });
    let output = world.run(&["run", "--bundle", &bundle, "c"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "CapEff:\t0000000000000021\n");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said.matches("CAP_OF_TOMORROW").count(), 1, "{said}");
    world.assert_nothing_left();
}

#[test]
fn without_a_process_a_container_is_made_and_not_started() {
    let Some(world) = World::root() else { return };
    let bundle = world.bundle("b", "true", |c| drop(c.as_object_mut().unwrap().remove("process")));
    let _output = world.create(&["create", "--bundle", &bundle, "c"]);
    assert_eq!(world.state("c")["status"], "created");
    assert!(world.bad(&["start", "c"]).contains("no process"));
    assert_eq!(world.state("c")["status"], "created");
    assert!(world.bad(&["run", "--bundle", &bundle, "d"]).contains("no process"));
    world.good(&["delete", "--force", "c"]);
    world.assert_nothing_left();
}

#[test]
fn a_hook_that_hangs_keeps_nobody_from_removing_the_container() {
    let Some(world) = World::root() else { return };
    let begun = world.path("begun");
    let script = format!("touch {}; exec sleep 300", begun.display());
    let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"]}]);
    let bundle = world.bundle("b", WAITING, |c| c["hooks"] = json!({"createRuntime": hook}));
    let mut maker = watchdog::spawn(world.command(&["create", "--bundle", &bundle, "c"]).stderr(Stdio::piped()));
    let mut said = Lines::of(maker.stderr.take().unwrap());
    let creating = || {
        let output = world.run(&["state", "c"]);
        let state: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        state["status"] == "creating" && state["pid"] == 0 && world.path("state/c/making").exists()
    };
    while !(begun.exists() && creating()) {
        assert!(maker.try_wait().unwrap().is_none(), "{:?}", said.next());
        std::thread::yield_now();
    }
    assert!(world.bad(&["start", "c"]).contains("creating"));
    assert!(world.bad(&["delete", "c"]).contains("creating"));
    world.good(&["delete", "--force", "c"]);
    assert_eq!(watchdog::end_of(&mut maker).code(), Some(1));
    assert!(said.any(|line| line.contains("ended meanwhile")));

    // One that is started already is as well.
    let bundle = world.bundle("p", WAITING, |c| c["hooks"] = json!({"poststart": hook}));
    let mut runner = watchdog::spawn(world.command(&["run", "--detach", "--bundle", &bundle, "c"]).stdout(Stdio::piped()));
    assert_eq!(Lines::of(runner.stdout.take().unwrap()).next().as_deref(), Some("up"));
    world.good(&["delete", "--force", "c"]);
    runner.kill().unwrap();
    runner.wait().unwrap();
    world.assert_nothing_left();
}

#[test]
fn groups_that_a_container_made_go_with_it_and_its_limits_change() {
    let Some(world) = World::root() else { return };
    let bundle = world.bundle("b", WAITING, |_| {});
    let mut output = world.create(&["run", "--detach", "--bundle", &bundle, "c"]);
    assert_eq!(output.next().as_deref(), Some("up"));
    let find = || {
        let pattern = "c.*-*-*";
        let mut command = Command::new("find");
        command.args(["/sys/fs/cgroup", "-type", "d", "-path", &format!("*/berth-oci/{pattern}")]);
        let found = String::from_utf8(watchdog::output(&mut command).stdout).unwrap();
        found.lines().map(PathBuf::from).collect::<Vec<_>>()
    };
    let inode = fs::metadata(world.path("state/c"))
        .map(|meta| std::os::unix::fs::MetadataExt::ino(&meta))
        .unwrap();
    let ours = |path: &PathBuf| path.display().to_string().contains(&format!("-{inode:x}"));
    let groups: Vec<PathBuf> = find().into_iter().filter(ours).collect();
    if groups.is_empty() {
        eprintln!("left out: it needs cgroups that can be written");
        world.good(&["delete", "--force", "c"]);
        return;
    }
    let held = |file: &str| groups.iter().find_map(|group| fs::read_to_string(group.join(file)).ok());
    world.good(&["update", "--pids-limit", "77", "c"]);
    assert_eq!(held("pids.max").unwrap().trim(), "77");
    let mut child = watchdog::spawn(world.command(&["update", "--resources", "-", "c"]).stdin(Stdio::piped()));
    let text = br#"{"memory": {"limit": 67108864}, "pids": null}"#;
    child.stdin.take().unwrap().write_all(text).unwrap();
    assert!(watchdog::end_of(&mut child).success());
    let limit = held("memory.max").or_else(|| held("memory.limit_in_bytes")).unwrap();
    assert_eq!(limit.trim(), "67108864");
    assert_eq!(held("pids.max").unwrap().trim(), "77", "what is not named stays");
    assert!(world.bad(&["update", "--memory", "lots", "c"]).contains("lots"));
    let stats: Value = serde_json::from_str(&world.good(&["events", "--stats", "c"])).unwrap();
    assert_eq!((&stats["type"], &stats["id"]), (&json!("stats"), &json!("c")));
    assert_eq!(stats["data"]["memory"]["usage"]["limit"], 67_108_864);
    assert!(stats["data"]["pids"]["current"].as_u64().unwrap() >= 1);

    let pid = world.state("c")["pid"].to_string();
    for group in &groups {
        let inner = group.join("inner/most");
        if fs::create_dir_all(&inner).is_ok() {
            // A v1 group of processors takes none before it has some.
            let _ = fs::write(inner.join("cgroup.procs"), &pid);
        }
    }
    world.good(&["delete", "--force", "c"]);
    let left: Vec<PathBuf> = find().into_iter().filter(ours).collect();
    assert!(left.is_empty(), "{left:?}");
    world.assert_nothing_left();
}

#[test]
fn the_configuration_that_spec_writes_runs() {
    let Some(world) = World::root() else { return };
    let bundle = world.bundle("b", "true", |_| {});
    let file = Path::new(&bundle).join("config.json");
    assert!(
        world.bad(&["spec", "--bundle", &bundle]).contains("config.json"),
        "one that is there stays"
    );
    fs::remove_file(&file).unwrap();
    world.good(&["spec", "--bundle", &bundle]);
    let mut config: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(["/bin/echo", "hello"]);
    fs::write(&file, config.to_string()).unwrap();
    assert_eq!(world.good(&["run", "--bundle", &bundle, "c"]), "hello\n");
    assert_eq!(world.good(&["run", "--no-pivot", "--bundle", &bundle, "c"]), "hello\n");
    world.assert_nothing_left();
}

#[test]
fn links_of_an_image_lead_neither_to_this_machine_nor_into_proc() {
    let Some(world) = World::root() else { return };
    let own_dev = |c: &mut Value| c["mounts"].as_array_mut().unwrap().retain(|mount| mount["destination"] != "/dev");
    let host = world.path("host");
    fs::create_dir(&host).unwrap();
    let host = host.to_str().unwrap();
    let bundle = world.bundle("device", "ls /dev/net", |c| {
        own_dev(c);
        c["linux"]["devices"] = json!([{"path": "/dev/net/tun", "type": "c", "major": 10, "minor": 200}]);
    });
    symlink(host, format!("{bundle}/rootfs/dev/net")).unwrap();
    assert_eq!(world.good(&["run", "--bundle", &bundle, "c"]), "tun\n");
    assert_eq!(fs::read_dir(host).unwrap().count(), 0, "the node was made on this machine");
    assert!(Path::new(&format!("{bundle}/rootfs{host}/tun")).exists());

    let bundle = world.bundle("console", "true", |c| {
        own_dev(c);
        c["process"]["terminal"] = json!(true);
    });
    symlink("/proc/sys/kernel/domainname", format!("{bundle}/rootfs/dev/console")).unwrap();
    let said = world.bad(&["run", "--bundle", &bundle, "c"]);
    assert!(said.contains("the target lies in /proc"), "{said}");

    let bundle = world.bundle("terminal", "true", |c| {
        c["mounts"]
            .as_array_mut()
            .unwrap()
            .retain(|mount| mount["destination"] != "/dev/pts");
        c["process"]["terminal"] = json!(true);
    });
    assert!(world.bad(&["run", "--bundle", &bundle, "c"]).contains("/dev/pts"));

    for number in 3..12 {
        let name = format!("cwd-{number}");
        let bundle = world.bundle(&name, "ls", |c| c["process"]["cwd"] = json!(format!("/proc/self/fd/{number}")));
        world.bad(&["run", "--bundle", &bundle, "c"]);
    }
    world.assert_nothing_left();
}

/// A descriptor that the caller keeps open on purpose is no way out (CVE-2024-21626), and what waits to be started cannot be changed
/// (CVE-2019-5736).
#[test]
fn a_preserved_descriptor_is_no_working_directory_and_the_waiting_program_is_sealed() {
    let Some(world) = World::root() else { return };
    let host = world.path("host");
    fs::create_dir(&host).unwrap();
    let bundle = world.bundle("b", "cat /proc/self/cwd/secret", |c| c["process"]["cwd"] = json!("/proc/self/fd/3"));
    let words = ["run", "--preserve-fds", "1", "--bundle", &bundle, "c"];
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "exec 3< \"$0\"; exec \"$@\""]).arg(&host);
    shell
        .arg(world.path("berth-native-oci"))
        .arg("--root")
        .arg(world.path("state"))
        .args(words);
    let output = watchdog::output(shell.stdin(Stdio::null()));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("outside the container"), "{output:?}");
    let bundle = world.bundle("waits", "true", |_| ());
    drop(world.create(&["create", "--bundle", &bundle, "w"]));
    let program = fs::read_link(format!("/proc/{}/exe", world.state("w")["pid"])).unwrap();
    assert!(program.to_string_lossy().starts_with("/memfd:"), "{program:?}");
    world.good(&["delete", "--force", "w"]);
    world.assert_nothing_left();
}

#[test]
fn a_cgroup_that_has_processes_is_not_taken_and_one_of_others_stays() {
    let Some(world) = World::root() else { return };
    let above = format!("berth-oci-test-{}", std::process::id());
    let [inner, outer] = [format!("/{above}/a"), format!("/{above}")].map(|path| {
        let name = format!("in{}", path.replace('/', "-"));
        world.bundle(&name, WAITING, |c| c["linux"]["cgroupsPath"] = json!(path))
    });
    let _output = world.create(&["create", "--bundle", &inner, "a"]);
    if world.good(&["ps", "a"]).is_empty() {
        eprintln!("left out: it needs cgroups that can be written");
        world.good(&["delete", "--force", "a"]);
        return;
    }
    let said = world.bad(&["create", "--bundle", &outer, "b"]);
    assert!(said.contains("linux.cgroupsPath"), "{said}");
    assert_eq!(world.state("a")["status"], "created");
    world.good(&["delete", "--force", "a"]);
    let group = Command::new("find")
        .args(["/sys/fs/cgroup", "-type", "d", "-name", &above])
        .output()
        .unwrap();
    let groups = String::from_utf8(group.stdout).unwrap();
    assert!(!groups.is_empty(), "the group above went");
    for group in groups.lines() {
        fs::remove_dir(group).unwrap();
    }
    world.assert_nothing_left();
}

#[test]
fn a_container_is_removed_by_nobody_who_means_an_earlier_one() {
    let Some(world) = World::root() else { return };
    let bundle = world.bundle("b", WAITING, |_| {});
    let mut child = watchdog::spawn(world.command(&["run", "--bundle", &bundle, "c"]).stdout(Stdio::piped()));
    let mut lines = Lines::of(child.stdout.take().unwrap());
    assert_eq!(lines.next().as_deref(), Some("up"));
    // It speaks before whoever started it has let go of the lock.
    fs::File::open(world.path("state/c")).unwrap().lock().unwrap();
    let runner = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(runner, rustix::process::Signal::STOP).unwrap();
    world.good(&["delete", "--force", "c"]);
    let pid = world.path("pid");
    let victim = world.path("victim");
    fs::write(&victim, "mine").unwrap();
    symlink(&victim, world.path(".pid")).unwrap();
    let _output = world.create(&["create", "--pid-file", pid.to_str().unwrap(), "--bundle", &bundle, "c"]);
    rustix::process::kill_process(runner, rustix::process::Signal::CONT).unwrap();
    assert_eq!(watchdog::end_of(&mut child).code(), Some(137));
    assert_eq!(world.state("c")["status"], "created");
    assert_eq!(fs::read_to_string(&pid).unwrap(), world.state("c")["pid"].to_string());
    assert_eq!(fs::read_to_string(&victim).unwrap(), "mine", "a link was followed");
    world.good(&["delete", "--force", "c"]);
    world.assert_nothing_left();
}

#[test]
fn what_a_maker_left_when_it_died_can_be_removed() {
    let Some(world) = World::root() else { return };
    let record = json!({
        "id": "c", "bundle": "/nowhere", "rootfs": "/nowhere/rootfs", "created": "2026-01-01T00:00:00Z", "owner": 0, "ociVersion": "1.0.2",
        "annotations": {}, "cgroup": "/berth-oci/nobody", "userNamespace": false, "nodesOnly": false, "sharesPids": false, "process": null,
    });
    let left = |text: &str| {
        fs::create_dir_all(world.path("state/c")).unwrap();
        fs::write(world.path("state/c/state.json"), text).unwrap();
    };
    left(&record.to_string());
    assert_eq!(world.state("c")["status"], "stopped");
    world.good(&["delete", "c"]);
    left("{\"id\": ");
    assert!(world.bad(&["delete", "c"]).contains("--force"));
    world.good(&["delete", "--force", "c"]);
    world.assert_nothing_left();
}

#[test]
fn errors_are_in_the_log_as_engines_read_them() {
    let Some(world) = World::root() else { return };
    let log = world.path("oci-log");
    world.bad(&["--log", log.to_str().unwrap(), "--log-format", "json", "state", "nobody"]);
    let line: Value = serde_json::from_str(&fs::read_to_string(log).unwrap()).unwrap();
    assert_eq!(line["level"], "error");
    assert!(line["msg"].as_str().unwrap().contains("does not exist"));
    assert!(line["time"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn features_name_what_the_checks_accept() {
    let output = Command::new(env!("CARGO_BIN_EXE_berth-native"))
        .args(["oci", "features"])
        .output()
        .unwrap();
    let features: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(features["ociVersionMin"], "1.0.0");
    assert!(
        features["linux"]["capabilities"]
            .as_array()
            .unwrap()
            .contains(&json!("CAP_SYS_ADMIN"))
    );
    let output = Command::new(env!("CARGO_BIN_EXE_berth-native"))
        .args(["oci", "--version"])
        .output()
        .unwrap();
    let version = format!("spec: {}", features["ociVersionMax"].as_str().unwrap());
    assert!(String::from_utf8(output.stdout).unwrap().contains(&version));
}

#[test]
fn an_ordinary_user_runs_a_bundle_in_a_user_namespace() {
    let Some(world) = World::new(USER) else { return };
    let allowed = Command::new("setpriv")
        .args(["--reuid", "1001", "--regid", "1001", "--clear-groups", "unshare", "-Ur", "true"])
        .output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        eprintln!("left out: it needs user namespaces for uid {USER}, and setpriv");
        return;
    }
    let bundle = world.bundle(
        "b",
        "echo $(id -u) $(hostname); touch /made && echo wrote; echo >/dev/null && echo null; exit 4",
        |config| {
            config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
            for map in ["uidMappings", "gidMappings"] {
                config["linux"][map] = json!([{"containerID": 0, "hostID": USER, "size": 1}]);
            }
            config["mounts"][2]["options"] = json!(["newinstance", "ptmxmode=0666"]);
        },
    );
    let output = world.run(&["run", "--bundle", &bundle, "c"]);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "0 box\nwrote\nnull\n");
    let output = world.create(&[
        "run",
        "--detach",
        "--bundle",
        &world.bundle("w", WAITING, |config| {
            *config = serde_json::from_slice(&fs::read(format!("{bundle}/config.json")).unwrap()).unwrap();
            config["process"]["args"] = json!(["/bin/sh", "-c", WAITING]);
        }),
        "w",
    ]);
    assert_eq!(world.good(&["exec", "w", "sh", "-c", "id -u; hostname"]), "0\nbox\n");
    world.good(&["delete", "--force", "w"]);
    drop(output);
    world.assert_nothing_left();
}
