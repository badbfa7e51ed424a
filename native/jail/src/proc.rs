//! Writes to /proc, only through descriptors of a real procfs (`spec/hardening.md` 4, rule 5).

use crate::fail::{attack, failed, failed_on, refused};
use crate::report::Reporter;
use berth_sys::process::Namespaces;
use berth_sys::procfs;
use berth_wire::Failure;
use berth_wire::oci::Spec;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

const SYSCTL_HINT: &str = "Look at what --sysctl names: sysctl -a lists the parameters that this kernel has, with their values";
const HIDDEN_HINT: &str = "A container that hides parts of /proc forbids it: leave out --sysctl and --domainname, or run that one with an unmasked /proc (Kubernetes: securityContext.procMount Unmasked, with hostUsers: false)";
const OOM_SCORE: &str = "self/oom_score_adj";

/// Whether the file is on a procfs.
pub(crate) fn is_proc(fd: impl AsFd) -> Result<bool, Failure> {
    procfs::is_proc(fd).map_err(failed("statfs"))
}

/// A procfs of this pid namespace that nobody else has mounted anything over.
pub(crate) fn private() -> Result<OwnedFd, Failure> {
    let fs = rustix::mount::fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC).map_err(failed("fsopen proc"))?;
    rustix::mount::fsconfig_create(&fs).map_err(failed("mount proc"))?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    rustix::mount::fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes).map_err(|error| failed("fsmount proc")(error).hint(HIDDEN_HINT))
}

/// Sets how likely the kernel is to choose this process when memory runs out. Lowering it needs a capability: then it stays, with a warning.
pub(crate) fn set_oom_score(score: Option<i32>, reporter: &Reporter) -> Result<(), Failure> {
    let Some(score) = score else { return Ok(()) };
    let fd = procfs::open_to_write(OOM_SCORE).map_err(|error| match procfs::explain(error) {
        Some(message) => attack("open oom_score_adj", OOM_SCORE, message),
        None => failed("open oom_score_adj")(error),
    })?;
    match rustix::io::write(&fd, score.to_string().as_bytes()) {
        Ok(_) => Ok(()),
        Err(Errno::ACCESS | Errno::PERM) => {
            reporter.warn(format!("the OOM score stays as it is: the helper may not lower it to {score}"));
            Ok(())
        }
        Err(error) => Err(failed("write oom_score_adj")(error)),
    }
}

/// Sets the kernel parameters of the container's own namespaces; any other is refused by name.
pub(crate) fn set_parameters(spec: &Spec, kinds: Namespaces) -> Result<(), Failure> {
    if spec.linux.sysctl.is_empty() {
        return Ok(());
    }
    let proc = private()?;
    spec.linux.sysctl.iter().try_for_each(|(key, value)| {
        if !is_namespaced(key, kinds) {
            return Err(refused(
                "linux.sysctl",
                format!("{key:?} does not belong to a namespace of the container"),
            ));
        }
        set_parameter(&proc, key, value)
    })
}

fn set_parameter(proc: &OwnedFd, key: &str, value: &str) -> Result<(), Failure> {
    let path = format!("sys/{}", key.replace('.', "/"));
    // `/proc/sys/net` is a link to the reader's own namespace, so links are followed, but not out of this mount.
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV;
    let fd = rustix::fs::openat2(proc, &path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty(), resolve)
        .map_err(|error| failed_on("open sysctl", key)(error).hint(SYSCTL_HINT))?;
    rustix::io::write(&fd, value.as_bytes())
        .map(drop)
        .map_err(|error| failed_on("write sysctl", key)(error).hint(SYSCTL_HINT))
}

fn is_namespaced(key: &str, kinds: Namespaces) -> bool {
    if key.contains("..") || key.contains('/') {
        return false;
    }
    let ipc = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    if key.starts_with("net.") {
        kinds.has(Namespaces::NETWORK)
    } else if ipc.contains(&key) || key.starts_with("fs.mqueue.") {
        kinds.has(Namespaces::IPC)
    } else {
        key == "kernel.domainname" && kinds.has(Namespaces::UTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_parameters_of_own_namespaces_are_taken() {
        assert!(is_namespaced("net.core.somaxconn", Namespaces::NETWORK));
        assert!(!is_namespaced("net.core.somaxconn", Namespaces::MOUNT));
        assert!(is_namespaced("kernel.shmmax", Namespaces::IPC));
        for key in ["kernel.core_pattern", "vm.swappiness", "net.../kernel.core_pattern", "net./x"] {
            assert!(!is_namespaced(key, Namespaces::NETWORK.and(Namespaces::IPC)), "{key}");
        }
    }
}
