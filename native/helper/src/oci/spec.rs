//! `spec`: writes a configuration to begin with into a bundle.

use crate::fail::failed_on;
use crate::oci::arguments::{Arguments, Known, bad};
use crate::oci::commands::{HELP, absolute};
use crate::oci::{OCI_VERSION, Runtime};
use berth_wire::Failure;
use rustix::fs::{CWD, Mode, OFlags};
use serde_json::{Value, json};

pub(crate) const OPTIONS: [Known; 3] = [HELP, ("bundle", Some('b'), true), ("rootless", None, false)];
const FILE: &str = "config.json";
const CAPABILITIES: [&str; 3] = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];

/// Writes `config.json`; one that is there stays.
pub(crate) fn run(_: &Runtime, arguments: &Arguments) -> Result<i32, Failure> {
    if let Some(word) = arguments.rest.first() {
        return Err(bad(word, "the command takes no words"));
    }
    let path = format!("{}/{FILE}", absolute(arguments.value("bundle").unwrap_or("."))?);
    let config = if arguments.has("rootless") { rootless() } else { root() };
    let text = serde_json::to_string_pretty(&config).unwrap_or_default();
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path.as_str(), flags, Mode::from_raw_mode(0o644))
        .and_then(|file| berth_sys::file::write_all(&file, text.as_bytes()))
        .map(|()| 0)
        .map_err(|error| {
            failed_on("write configuration", &path)(error).hint("Remove the file that is there first, or name another --bundle")
        })
}

fn root() -> Value {
    let namespaces = ["pid", "network", "ipc", "uts", "mount", "cgroup"].map(|kind| json!({"type": kind}));
    let capabilities = json!({"bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES});
    let mount = |destination: &str, kind: &str, options: &[&str]| json!({"destination": destination, "type": kind, "source": kind, "options": options});
    json!({
        "ociVersion": OCI_VERSION,
        "process": {
            "terminal": true,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": capabilities,
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": true,
        },
        "root": {"path": "rootfs", "readonly": true},
        "hostname": "berth",
        "mounts": [
            mount("/proc", "proc", &["nosuid", "noexec", "nodev"]),
            mount("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
            mount("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            mount("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
            mount("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
            mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
            mount("/sys/fs/cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"]),
        ],
        "linux": {
            "resources": {"devices": [{"allow": false, "access": "rwm"}]},
            "namespaces": namespaces,
            "maskedPaths": [
                "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
                "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
            ],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    })
}

/// For a caller without privileges: a user namespace with its own id alone, in which a terminal cannot be given to another group.
fn rootless() -> Value {
    let mut config = root();
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    if let Some(Value::Array(namespaces)) = config.pointer_mut("/linux/namespaces") {
        namespaces.push(json!({"type": "user"}));
    }
    if let Some(Value::Array(options)) = config.pointer_mut("/mounts/2/options") {
        options.retain(|option| option != "gid=5");
    }
    if let Some(Value::Object(linux)) = config.get_mut("linux") {
        linux.remove("resources");
        linux.insert("uidMappings".to_owned(), json!([{"containerID": 0, "hostID": uid, "size": 1}]));
        linux.insert("gidMappings".to_owned(), json!([{"containerID": 0, "hostID": gid, "size": 1}]));
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::config::Config;

    #[test]
    fn what_is_written_is_what_this_runtime_runs() {
        for config in [root(), rootless()] {
            let read = Config::read(&serde_json::to_vec(&config).unwrap(), "/b").unwrap();
            assert!(read.warnings.is_empty() && read.has_process);
        }
    }
}
