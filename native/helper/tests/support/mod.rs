//! Drives the built binary by its protocol, in a store of its own, on the rungs that this machine allows to the user of the test.
//!
//! The image is Debian's static busybox. A rung that is not possible is left out with a line that says why.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::disallowed_methods, reason = "tests start programs as users do")]

use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tempfile::TempDir;

pub(crate) mod watchdog;
use watchdog::PATIENCE;
pub(crate) use watchdog::spawn;

const BUSYBOX: &str = "/bin/busybox";
/// The test user of rung `userns`, and where its subordinate ids begin.
const USER: u32 = 1001;
const NAME: &str = "berthtest";
/// What a container has that drops and adds no capabilities.
const POD: [&str; 14] = [
    "chown",
    "dac_override",
    "fsetid",
    "fowner",
    "mknod",
    "net_raw",
    "setgid",
    "setuid",
    "setfcap",
    "setpcap",
    "net_bind_service",
    "sys_chroot",
    "kill",
    "audit_write",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rung {
    Root,
    /// Root with the capabilities of a pod.
    Full,
    Userns,
}

/// Runs a test on each rung that is possible here.
pub(crate) fn each_rung(test: impl Fn(&Store)) {
    for rung in [Rung::Root, Rung::Full, Rung::Userns] {
        if let Some(store) = Store::new(rung) {
            eprintln!("rung {rung:?}");
            test(&store);
            store.assert_nothing_left();
        }
    }
}

/// Runs a test as root.
pub(crate) fn as_root(test: impl Fn(&Store)) {
    if let Some(store) = Store::new(Rung::Root) {
        test(&store);
        store.assert_nothing_left();
    }
}

pub(crate) struct Store {
    place: TempDir,
    pub(crate) root: PathBuf,
    binary: PathBuf,
    pub(crate) rung: Rung,
    id_map: Value,
}

impl Store {
    fn new(rung: Rung) -> Option<Self> {
        let missing = |what: &str| {
            eprintln!("left out on rung {rung:?}: {what}");
            None
        };
        if !rustix::process::geteuid().is_root() {
            return missing("it needs root");
        }
        if !Path::new(BUSYBOX).exists() {
            return missing("it needs busybox-static");
        }
        let id_map = match rung {
            Rung::Root => json!({"kind": "root"}),
            Rung::Full => json!({"kind": "full", "uidCount": own_count("uid"), "gidCount": own_count("gid")}),
            Rung::Userns => match subordinate_ids() {
                Some(id_map) => id_map,
                None => return missing("it needs newuidmap, setpriv and a user with subordinate ids (package uidmap)"),
            },
        };
        let place = tempfile::tempdir().unwrap();
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let binary = place.path().join("berth-native");
        fs::copy(env!("CARGO_BIN_EXE_berth-native"), &binary).unwrap();
        let root = place.path().join("store");
        fs::create_dir(&root).unwrap();
        fs::set_permissions(&root, fs::Permissions::from_mode(0o700)).unwrap();
        let store = Self {
            place,
            root,
            binary,
            rung,
            id_map,
        };
        store.own(&store.root.clone());
        Some(store)
    }

    /// Gives a file to the user of the rung.
    fn own(&self, path: &Path) {
        if self.rung == Rung::Userns {
            chown(path, Some(USER), Some(USER)).unwrap();
        }
    }

    /// A folder beside the store, for files of the host.
    pub(crate) fn host(&self, name: &str) -> PathBuf {
        let path = self.place.path().join(name);
        fs::create_dir_all(&path).unwrap();
        self.own(&path);
        path
    }

    pub(crate) fn snapshots(&self) -> PathBuf {
        let folder = match self.rung {
            Rung::Root => "root".to_owned(),
            Rung::Full => format!("full-{}", self.id_map["uidCount"]),
            Rung::Userns => format!("sub-{}-{}", self.id_map["firstUid"], self.id_map["uidCount"]),
        };
        self.root.join("snapshots").join(folder)
    }

    /// A base snapshot with busybox; gives its name.
    pub(crate) fn base(&self) -> String {
        self.layer('b', |root| {
            for folder in ["bin", "dev", "etc", "proc", "root", "sys", "tmp"] {
                fs::create_dir(root.join(folder)).unwrap();
            }
            fs::copy(BUSYBOX, root.join("bin/busybox")).unwrap();
            for name in [
                "sh", "cat", "ls", "id", "echo", "sleep", "mount", "ps", "grep", "httpd", "wget", "touch", "mkdir", "rm", "wc", "dd",
                "kill", "stat", "hostname", "true", "tty", "stty", "head", "ip", "chown", "readlink", "env", "mknod", "date", "nc", "ln",
                "awk", "sort", "tail", "seq", "yes", "find",
            ] {
                symlink("busybox", root.join("bin").join(name)).unwrap();
            }
            fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").unwrap();
        })
    }

    /// A snapshot named by 64 times `digit`, filled by `fill`.
    pub(crate) fn layer(&self, digit: char, fill: impl FnOnce(&Path)) -> String {
        self.named_layer(&digit.to_string().repeat(64), fill)
    }

    pub(crate) fn named_layer(&self, name: &str, fill: impl FnOnce(&Path)) -> String {
        let folder = self.snapshots().join(name);
        fs::create_dir_all(folder.join("fs")).unwrap();
        fs::create_dir_all(folder.join("work")).unwrap();
        for path in [self.root.join("snapshots"), self.snapshots()] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
        }
        fill(&folder.join("fs"));
        if self.rung == Rung::Userns {
            self.own(&self.root.join("snapshots"));
            self.own(&self.snapshots());
            own_all(&folder);
        }
        name.to_owned()
    }

    /// The tree of an upper.
    pub(crate) fn upper(&self, name: &str) -> PathBuf {
        self.snapshots().join(name).join("fs")
    }

    /// What is in the tree of an upper, sorted, as paths.
    pub(crate) fn written(&self, name: &str) -> Vec<String> {
        let root = self.upper(name);
        let mut found = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
                found.push(entry.path().strip_prefix(&root).unwrap().display().to_string());
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                }
            }
        }
        found.sort();
        found
    }

    /// The helper where a part of /proc is hidden, as in a pod: in a user namespace it can mount none of its own.
    pub(crate) fn command_in_pod(&self) -> Command {
        let helper = self.command();
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation", "private", "sh", "-c"])
            .args(["mount --bind /dev/null /proc/timer_list && exec \"$@\"", "sh"])
            .arg(helper.get_program())
            .args(helper.get_args())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = match self.rung {
            Rung::Root => Command::new(&self.binary),
            Rung::Full => {
                let mut command = Command::new("setpriv");
                let kept: Vec<String> = POD.iter().map(|name| format!("+{name}")).collect();
                let kept = format!("-all,{}", kept.join(","));
                command
                    .args(["--bounding-set", &kept, "--inh-caps", "-all", "--"])
                    .arg(&self.binary);
                command
            }
            Rung::Userns => {
                let mut command = Command::new("setpriv");
                let id = USER.to_string();
                command
                    .args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"])
                    .arg(&self.binary);
                command
            }
        };
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn request(&self, op: &str, args: &Value) -> Value {
        let id = if self.rung == Rung::Userns { USER } else { 0 };
        json!({
            "version": 1,
            "store": {"root": self.root, "uid": id, "gid": id},
            "idMap": self.id_map,
            "operation": {"op": op, "args": args},
        })
    }

    pub(crate) fn id_map(&self) -> Value {
        self.id_map.clone()
    }

    /// Starts an operation that is talked to.
    pub(crate) fn open(&self, op: &str, args: &Value) -> Session {
        Session::start(self.command().arg(op), &self.request(op, args))
    }

    /// Runs an operation to its end.
    pub(crate) fn call(&self, op: &str, args: &Value) -> Answer {
        self.open(op, args).finish()
    }

    /// Runs a shell script in a container of its own that nobody keeps.
    pub(crate) fn shell(&self, script: &str) -> Answer {
        self.call("start", &start(spec(&["/bin/sh", "-c", script]), "c1", "u1", &[&self.base_name()]))
    }

    pub(crate) fn base_name(&self) -> String {
        let name = "b".repeat(64);
        if self.snapshots().join(&name).exists() { name } else { self.base() }
    }

    pub(crate) fn states(&self) -> Vec<Value> {
        let reply = self.call("state", &json!({"containers": []})).reply();
        reply["containers"].as_array().unwrap().clone()
    }

    /// No process of the store's binary, no mount below the store, no container, no cgroup.
    pub(crate) fn assert_nothing_left(&self) {
        let states = self.states();
        for state in &states {
            let arguments = json!({"snapshots": [], "containers": [state["id"]], "force": true, "garbage": false});
            self.call("remove", &arguments).reply();
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(self.root.to_str().unwrap()), "a mount is left");
        wait_until("all processes of the helper have ended", || self.processes().is_empty());
        let containers = fs::read_dir(self.root.join("containers")).map(Iterator::count).unwrap_or_default();
        assert_eq!(containers, 0, "a container folder is left");
    }

    /// Processes that have something of this store open, be it their program or a folder: a sealed copy runs from memory.
    fn processes(&self) -> Vec<String> {
        let ours = |link: &Path| fs::read_link(link).is_ok_and(|target| target.starts_with(self.place.path()));
        let uses = |entry: &fs::DirEntry| {
            let descriptors = fs::read_dir(entry.path().join("fd")).into_iter().flatten().flatten();
            ours(&entry.path().join("exe")) || descriptors.map(|entry| entry.path()).any(|link| ours(&link))
        };
        let all = fs::read_dir("/proc").unwrap().map(Result::unwrap);
        all.filter(|entry| entry.file_name() != std::process::id().to_string().as_str())
            .filter(uses)
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect()
    }
}

/// How many ids this process has from 0 on, by one line of its map.
fn own_count(kind: &str) -> u32 {
    let map = fs::read_to_string(format!("/proc/self/{kind}_map")).unwrap();
    map.split_whitespace().nth(2).unwrap().parse().unwrap()
}

/// The range of the test user, who is made when root runs the tests and there is none.
fn subordinate_ids() -> Option<Value> {
    let tools = ["/usr/bin/newuidmap", "/usr/bin/newgidmap", "/usr/bin/setpriv"];
    if !tools.iter().all(|tool| Path::new(tool).exists()) {
        return None;
    }
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    let name = passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        (fields.get(2) == Some(&USER.to_string().as_str())).then(|| fields[0].to_owned())
    });
    let name = match name {
        Some(name) => name,
        None => {
            let made = Command::new("useradd")
                .args(["--uid", &USER.to_string(), "--no-create-home", NAME])
                .status()
                .ok()?;
            made.success().then(|| NAME.to_owned())?
        }
    };
    let range = |file: &str| -> Option<(u32, u32)> {
        let find = || {
            fs::read_to_string(file).unwrap_or_default().lines().find_map(|line| {
                let fields: Vec<&str> = line.split(':').collect();
                (fields.len() == 3 && fields[0] == name).then(|| Some((fields[1].parse().ok()?, fields[2].parse().ok()?)))?
            })
        };
        find().or_else(|| {
            let mut opened = fs::OpenOptions::new().append(true).create(true).open(file).ok()?;
            writeln!(opened, "{name}:300000:65536").ok()?;
            find()
        })
    };
    let ((first_uid, uid_count), (first_gid, gid_count)) = (range("/etc/subuid")?, range("/etc/subgid")?);
    Some(json!({
        "kind": "sub", "firstUid": first_uid, "uidCount": uid_count, "firstGid": first_gid, "gidCount": gid_count,
        "newuidmap": tools[0], "newgidmap": tools[1],
    }))
}

fn own_all(path: &Path) {
    std::os::unix::fs::lchown(path, Some(USER), Some(USER)).unwrap();
    if path.symlink_metadata().unwrap().is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            own_all(&entry.unwrap().path());
        }
    }
}

/// Waits for a state of the machine that no descriptor tells of.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("in ten seconds it did not come about that {what}");
}

pub(crate) fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap();
    [&[kind][..], &length.to_be_bytes(), payload].concat()
}

pub(crate) const END: u8 = 0;
pub(crate) const REQUEST: u8 = 1;
pub(crate) const DATA: u8 = 2;
pub(crate) const CONTROL: u8 = 4;
pub(crate) const ERROR_DATA: u8 = 5;

/// A helper at work.
pub(crate) struct Session {
    pub(crate) child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<Value>,
    output: Receiver<(u8, Vec<u8>)>,
    seen: Vec<Value>,
    early: Vec<u8>,
}

impl Session {
    pub(crate) fn start(command: &mut Command, request: &Value) -> Self {
        let mut child = spawn(command);
        let mut stdin = child.stdin.take().unwrap();
        // A helper that refuses at once does not read everything.
        let _ = stdin.write_all(&frame(REQUEST, &serde_json::to_vec(request).unwrap()));
        let (send, lines) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON on fd 2: {line}"));
                if send.send(value).is_err() {
                    break;
                }
            }
        });
        let (send, output) = channel();
        let mut stdout = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            let mut head = [0; 5];
            while stdout.read_exact(&mut head).is_ok() {
                let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
                let mut payload = vec![0; usize::try_from(length).unwrap()];
                if stdout.read_exact(&mut payload).is_err() || send.send((head[0], payload)).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            stdin: Some(stdin),
            lines,
            output,
            seen: Vec::new(),
            early: Vec::new(),
        }
    }

    pub(crate) fn send(&mut self, kind: u8, payload: &[u8]) {
        self.stdin.as_mut().unwrap().write_all(&frame(kind, payload)).unwrap();
    }

    pub(crate) fn control(&mut self, control: &Value) {
        self.send(CONTROL, &serde_json::to_vec(control).unwrap());
    }

    /// Closes fd 0, as an engine does that is gone.
    pub(crate) fn close(&mut self) {
        self.stdin = None;
    }

    /// Waits for an event of this type.
    pub(crate) fn event(&mut self, kind: &str) -> Value {
        loop {
            let line = self
                .lines
                .recv_timeout(PATIENCE)
                .unwrap_or_else(|error| panic!("no event {kind}: {error}; seen {:?}", self.seen));
            self.seen.push(line.clone());
            if line["event"]["type"] == kind {
                return line["event"].clone();
            }
        }
    }

    /// Waits until standard output has said `text`.
    pub(crate) fn expect(&mut self, text: &str) {
        while !String::from_utf8_lossy(&self.early).contains(text) {
            let (kind, bytes) = self
                .output
                .recv_timeout(PATIENCE)
                .unwrap_or_else(|error| panic!("{text:?} did not come: {error}; {:?}", self.seen));
            if kind == DATA {
                self.early.extend(bytes);
            }
        }
    }

    /// Waits for the end.
    pub(crate) fn finish(mut self) -> Answer {
        let mut answer = Answer {
            lines: std::mem::take(&mut self.seen),
            stdout: std::mem::take(&mut self.early),
            ..Answer::default()
        };
        while let Ok((kind, bytes)) = self.output.recv_timeout(PATIENCE) {
            match kind {
                DATA => answer.stdout.extend(bytes),
                ERROR_DATA => answer.stderr.extend(bytes),
                _ => answer.ended = true,
            }
        }
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            answer.lines.push(line);
        }
        let status = self.child.wait().unwrap();
        answer.code = status.code();
        answer
    }
}

/// All that a helper said.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) lines: Vec<Value>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    /// The end frame came.
    pub(crate) ended: bool,
    pub(crate) code: Option<i32>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub(crate) fn error_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// The result of an operation that succeeded.
    pub(crate) fn reply(&self) -> Value {
        let last = self.lines.last().unwrap_or_else(|| panic!("nothing was said: {self:?}"));
        assert!(last["reply"].is_object(), "{:?}", self.lines);
        assert!(self.ended && self.code == Some(0), "{self:?}");
        last["reply"]["result"].clone()
    }

    /// The failure of one that did not.
    pub(crate) fn failure(&self) -> Value {
        let last = self.lines.last().unwrap_or_else(|| panic!("nothing was said: {self:?}"));
        assert!(last["failure"].is_object(), "{:?}", self.lines);
        assert_eq!(self.code, Some(1));
        last["failure"].clone()
    }

    /// The exit code of the process.
    pub(crate) fn exit_code(&self) -> i64 {
        self.reply()["exitCode"].as_i64().unwrap()
    }

    pub(crate) fn warnings(&self) -> Vec<String> {
        let warning = |line: &Value| (line["event"]["type"] == "warning").then(|| line["event"]["message"].as_str().unwrap().to_owned());
        self.lines.iter().filter_map(warning).collect()
    }
}

/// The capabilities of the profile `run`.
pub(crate) const CAPABILITIES: [&str; 11] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// A configuration as the engine makes it, with a network namespace.
pub(crate) fn spec(arguments: &[&str]) -> Value {
    let namespaces = ["mount", "pid", "ipc", "uts", "cgroup", "network"].map(|kind| json!({"type": kind}));
    let mount = |destination: &str, kind: &str, options: &[&str]| json!({"destination": destination, "type": kind, "options": options});
    json!({
        "ociVersion": "1.2.1",
        "process": {
            "terminal": false,
            "user": {"uid": 0, "gid": 0, "additionalGids": []},
            "args": arguments,
            "env": ["PATH=/bin", "HOME=/root"],
            "cwd": "/",
            "capabilities": {"bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES, "inheritable": [], "ambient": []},
            "rlimits": [{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}],
            "noNewPrivileges": true,
            "oomScoreAdj": 800,
        },
        "root": {"path": "rootfs", "readonly": false},
        "hostname": "box",
        "mounts": [
            mount("/proc", "proc", &["nosuid", "noexec", "nodev"]),
            mount("/dev", "tmpfs", &["nosuid", "noexec", "strictatime", "mode=755", "size=65536k"]),
            mount("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]),
            mount("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
            mount("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
            mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
            mount("/sys/fs/cgroup", "cgroup", &["nosuid", "noexec", "nodev", "ro"]),
        ],
        "linux": {
            "namespaces": namespaces,
            "maskedPaths": ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    })
}

/// Arguments of `start`, attached, without network.
pub(crate) fn start(config: Value, container: &str, upper: &str, lowers: &[&str]) -> Value {
    json!({
        "container": container,
        "config": config,
        "rootfs": {"lowers": lowers, "upper": upper},
        "detach": false,
        "keep": false,
        "stdin": false,
        "log": false,
        "network": {"mode": "none"},
        "files": [],
        "init": false,
        "record": "",
        "stopSignal": "SIGTERM",
        "owner": null,
    })
}

pub(crate) fn life() -> Value {
    json!({
        "restart": {"policy": "no", "maxRetries": 0}, "health": null, "logLimits": {"maxSize": 1000000, "maxFiles": 1}, "stdinOnce": false,
        "attributes": {}, "joins": [],
    })
}

/// `base` with some fields set, by JSON pointer.
pub(crate) fn with(mut base: Value, changes: &[(&str, Value)]) -> Value {
    for (pointer, value) in changes {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        base.pointer_mut(parent).unwrap()[key] = value.clone();
    }
    base
}

/// Adds a mount to a configuration.
pub(crate) fn mounted(mut config: Value, mount: Value) -> Value {
    config["mounts"].as_array_mut().unwrap().push(mount);
    config
}

/// Runs `work` in a thread whose `calls`, and those of the programs that it starts, answer `error`.
pub(crate) fn filtered<T: Send>(calls: &[&str], error: rustix::io::Errno, work: impl FnOnce() -> T + Send) -> T {
    use berth_seccomp::{Architecture, compile, table};
    for call in calls {
        assert!(table::number(call, Architecture::NATIVE).is_some(), "{call} is no call");
    }
    let profile = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": calls, "action": "SCMP_ACT_ERRNO", "errnoRet": error.raw_os_error()}],
    });
    let filter = compile(&serde_json::from_value(profile).unwrap(), Architecture::NATIVE).unwrap();
    let filtered = || {
        // As root without `no_new_privs`, so that newuidmap works in it.
        berth_sys::seccomp::install(&filter.instructions, filter.log).unwrap();
        work()
    };
    std::thread::scope(|scope| {
        scope
            .spawn(filtered)
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
